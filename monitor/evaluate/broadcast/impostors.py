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

import numpy as np
from numpy.typing import NDArray

ANGLE = math.radians(10.0)
"""How much of the second recording: see `check`."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)


class Impostors:
    """Makes impostors from real recordings that are never played here."""

    def __init__(self, base: Sequence[NDArray[np.float32]], *, seed: int) -> None:
        """Take real fingerprints, [hops, dim] each."""
        self._base = [rows for rows in base if len(rows)]
        self._random = np.random.default_rng(seed)

    def recording(self, hops: int) -> NDArray[np.float32]:
        """Make one, [hops, dim]; windows of silence stay silent."""
        first, second = self._course(hops), self._course(hops)
        mixed = math.cos(ANGLE) * first + math.sin(ANGLE) * second
        length = np.linalg.norm(mixed, axis=1, keepdims=True).clip(1e-6)
        made: NDArray[np.float32] = np.where(np.any(first != 0, axis=1, keepdims=True), mixed / length, 0.0)
        return made.astype(np.float32)

    def _course(self, hops: int) -> NDArray[np.float32]:
        """Return so many windows of real recordings, from anywhere in one on through others if it is too short."""
        parts: list[NDArray[np.float32]] = []
        held = 0
        while held < hops:
            rows = self._base[int(self._random.integers(len(self._base)))]
            parts.append(np.roll(rows, int(self._random.integers(len(rows))), axis=0))
            held += len(rows)
        return np.concatenate(parts)[:hops]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike unknown windows are to the nearest of so many fingerprints: quantiles over the windows."""

    real: tuple[float, ...]
    made: tuple[float, ...]
    fingerprints: int


def check(strange: NDArray[np.float32], real: NDArray[np.float32], made: NDArray[np.float32]) -> Likeness:
    """Compare real and made fingerprints, equally many of each, as the nearest to windows that are in neither."""
    size = min(len(real), len(made))
    strange = strange[np.any(strange != 0, axis=1)]

    def quantiles(rows: NDArray[np.float32]) -> tuple[float, ...]:
        best = np.concatenate([(strange[at : at + 256] @ rows[:size].T).max(axis=1) for at in range(0, len(strange), 256)])
        return tuple(float(value) for value in np.quantile(best, QUANTILES))

    return Likeness(real=quantiles(real), made=quantiles(made), fingerprints=size)
