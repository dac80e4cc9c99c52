"""Recordings that do not exist: fingerprints to fill a catalogue with, without the audio.

An impostor follows a real recording, with a little of another one in each window: z = x cos a + y sin a, brought back to unit
length. It moves and repeats itself as recordings do, lies where fingerprints lie, and few recordings give many impostors. Mixing
makes it less alike to strangers, and the more so the more it is mixed; without any, impostors would be copies of each other.
Whether they behave like real rivals is measured in each run (`check`), not believed. Tried on the validation split and worse:
the real course mirrored along the axes of least variance (alike to strangers by 0.03 to 0.09 less than real rivals are, and
hardly more so in larger numbers), and more of the second recording. Far cheaper than sampling a model fitted to fingerprints
(synthetic latent distractors, arXiv 2509.18620).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANGLE = math.radians(10.0)
"""How much of the second recording: see `check`."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)
SHARES, FEWEST = (64, 16, 4, 1), 4096
"""Of so many fingerprints impostors are checked: one in 64, in 16, in 4 and all, if these are still so many."""


class Impostors:
    """Makes impostors from real recordings that are never played here."""

    def __init__(self, base: Sequence[NDArray[Any]], *, seed: int) -> None:
        """Take real fingerprints, [hops, dim] each."""
        self._base = [rows for rows in base if len(rows)]
        self._random = np.random.default_rng(seed)
        self._deck: list[int] = []

    def recording(self, hops: int) -> NDArray[np.float32]:
        """Make one, [hops, dim]; windows of silence stay silent."""
        first, second = self._course(hops), self._course(hops)
        mixed = math.cos(ANGLE) * first + math.sin(ANGLE) * second
        length = np.linalg.norm(mixed, axis=1, keepdims=True).clip(1e-6)
        made: NDArray[np.float32] = np.where(np.any(first != 0, axis=1, keepdims=True), mixed / length, 0.0)
        return made.astype(np.float32)

    def _course(self, hops: int) -> NDArray[np.float32]:
        """Return so many windows of real recordings, from anywhere in one on through others if it is too short.

        No recording is taken again before all were taken.
        """
        parts: list[NDArray[Any]] = []
        held = 0
        while held < hops:
            if not self._deck:
                self._deck = self._random.permutation(len(self._base)).tolist()
            rows = self._base[self._deck.pop()]
            parts.append(np.roll(rows, int(self._random.integers(len(rows))), axis=0))
            held += len(rows)
        return np.concatenate(parts)[:hops].astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike unknown windows are to the nearest of so many fingerprints, real and made ones: quantiles over the windows."""

    real: tuple[float, ...]
    made: tuple[float, ...]
    fingerprints: int


def check(strange: NDArray[np.float32], real: NDArray[np.float32], made: NDArray[np.float32]) -> list[Likeness]:
    """Compare real and made fingerprints, equally many of each, as the nearest to windows that are in neither.

    Each time with four times as many, for how alike the nearest is grows with their number: impostors must keep up.
    """
    strange = strange[np.any(strange != 0, axis=1)]
    whole = min(len(real), len(made))
    sizes = [whole // share for share in SHARES if whole // share >= FEWEST] or [whole]

    def quantiles(rows: NDArray[np.float32]) -> list[tuple[float, ...]]:
        nearest, begun, found = np.full(len(strange), -1.0, np.float32), 0, []
        for size in sizes:
            for at in range(0, len(strange), 256):
                best = (strange[at : at + 256] @ rows[begun:size].T).max(axis=1)
                nearest[at : at + 256] = np.maximum(nearest[at : at + 256], best)
            begun = size
            found.append(tuple(float(value) for value in np.quantile(nearest, QUANTILES)))
        return found

    both = zip(sizes, quantiles(real), quantiles(made), strict=True)
    return [Likeness(fingerprints=size, real=one, made=other) for size, one, other in both]
