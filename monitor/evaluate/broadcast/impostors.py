"""Recordings that do not exist: fingerprints to fill a catalogue with, without the audio.

An impostor follows a real recording, and goes half way from every two windows to those two in a row of a few other recordings that
are nearest, back on unit length: z = x + y, normalised. It moves and repeats itself as recordings do, and lies where fingerprints
lie, for half way between two that are alike there are others. Where two impostors follow the same recording they are alike by 0.69,
so that few recordings give many. Whether they behave like real rivals is measured in each run (`check`), not believed.

Tried on the public-test split's strangers (how alike the nearest of 172,000 is, median: real ones 0.564, these 0.555): nearest
windows one by one (0.557; but the impostor jumps, two neighbours are alike by 0.48, in real ones by 0.58, in these by 0.61), by
fours (0.554; 0.67), of one other recording (0.544), of sixteen (0.560; two impostors of one recording 0.80); ten degrees towards
any window of another (0.553, but 0.97: a hundred thousand of these are a few thousand); on the validation split, the real course
mirrored along the axes of least variance (0.03 to 0.09 less). Far cheaper than sampling a model fitted to fingerprints (synthetic
latent distractors, arXiv 2509.18620).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OTHERS = 4
"""Recordings whose windows it goes towards."""
ROW = 2
"""Windows in a row that are taken of one place in them."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)
SHARES, FEWEST = (64, 16, 4, 1), 4096
"""Of so many fingerprints impostors are checked: one in 64, in 16, in 4 and all, if these are still so many."""


class Impostors:
    """Makes impostors from real recordings that are never played here."""

    def __init__(self, base: Sequence[NDArray[Any]], *, seed: int, follow: int | None = None) -> None:
        """Take real fingerprints, [hops, dim] each; of two recordings at least, better of hundreds.

        Args:
            base: What they are made of.
            seed: Of the draws.
            follow: Only the first so many are followed; all unless told.
        """
        self._base = [rows for rows in base if len(rows) >= ROW]
        self._follow = min(follow or len(self._base), len(self._base))
        self._random = np.random.default_rng(seed)
        self._deck: list[int] = []

    def recording(self, hops: int) -> NDArray[np.float32]:
        """Make one, [hops, dim], out of as many real ones as it takes; windows of silence stay silent.

        No recording is followed again before all were.
        """
        parts: list[NDArray[np.float32]] = []
        while sum(map(len, parts)) < hops:
            if not self._deck:
                self._deck = self._random.permutation(self._follow).tolist()
            parts.append(self._beside(self._deck.pop()))
        return np.concatenate(parts)[:hops]

    def _beside(self, followed: int) -> NDArray[np.float32]:
        """Return a recording from anywhere in it on and round, half way to the nearest windows of others."""
        own = self._base[followed]
        course = np.roll(own, int(self._random.integers(len(own))), axis=0).astype(np.float32)
        others = self._random.choice(len(self._base) - 1, min(OTHERS, len(self._base) - 1), replace=False)
        towards = np.concatenate([self._base[at + (at >= followed)] for at in others]).astype(np.float32)
        mixed = course + towards[_nearest(course, towards)]
        length = np.linalg.norm(mixed, axis=1, keepdims=True).clip(1e-6)
        made: NDArray[np.float32] = np.where(np.any(course != 0, axis=1, keepdims=True), mixed / length, 0.0)
        return made


def _nearest(course: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each window [n, dim] its row of the others, nearest together for each ROW windows."""
    alike = course @ others.T
    blocks = alike[: len(course) - len(course) % ROW].reshape(-1, ROW, len(others))
    together = np.stack([blocks[:, at, at : len(others) - ROW + 1 + at] for at in range(ROW)]).sum(axis=0)
    rows = (together.argmax(axis=1)[:, None] + np.arange(ROW)).ravel()
    return np.append(rows, alike[len(rows) :].argmax(axis=1))


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
