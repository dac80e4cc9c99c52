"""How alike the windows of a play were to what is stored at its place, and what that says of how the recording was used.

Knows hops and similarities. Knows nothing of where in the recording a play is.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.line import median
from monitor.messages import Usage

FILLED = (0.07, 0.84)
"""A window that the recording fills by a share f is (f - FILLED[0]) / FILLED[1] times as alike as the others (fitted to the starts
and ends of 264 plays of the validation split in six conditions: 0.10 s off in the median, where a fixed share is 0.16 off)."""
EDGE = 64
"""Windows at either end among which the first and the last are looked for."""
LEAST = 8
"""Windows that must be heard before it is said how a recording was used."""
SOFT = 0.9
"""Share of its usual similarity below which a window at an end of a play is in a fade; a hard cut leaves only the first lower."""


class Levels:
    """The similarity of every window that was heard."""

    def __init__(self, hops: NDArray[np.int64], levels: NDArray[np.float32], speaking: NDArray[np.bool_]) -> None:
        """Begin with windows [n] at rising hops, and which of them speak for the recording."""
        self._hops, self._levels = array("q", hops.tolist()), array("d", levels.tolist())
        self._speaking_sum, self._speaking = float(levels[speaking].sum()), int(speaking.sum())

    def __len__(self) -> int:
        return len(self._levels)

    def note(self, hop: int, level: float, *, speaks: bool) -> None:
        """Take the next window."""
        self._hops.append(hop)
        self._levels.append(level)
        if speaks:
            self._speaking_sum += level
            self._speaking += 1

    def forget(self) -> None:
        """Keep none but the mean."""
        for kept in (self._hops, self._levels):
            del kept[:]

    @property
    def mean(self) -> float:
        """Mean similarity of the windows that speak for the recording."""
        return self._speaking_sum / self._speaking if self._speaking else 0.0

    def edges(self, first: int, last: int) -> tuple[float, float]:
        """Return how much of its first and of its last window the recording fills: the less alike, beside the others, the less."""
        usual = median(np.array(self._within(first, last) or [1.0]))
        ends = slice(None, EDGE), slice(-EDGE, None)
        levels = {hop: own for end in ends for hop, own in zip(self._hops[end], self._levels[end], strict=True)}
        filled = [FILLED[0] + FILLED[1] * levels.get(hop, 0.6 * usual) / max(usual, 1e-3) for hop in (first, last)]
        return min(max(filled[0], 0.3), 1.0), min(max(filled[1], 0.3), 1.0)

    def soft(self, first: int, last: int) -> tuple[bool, bool]:
        """Say whether it came up softly, and whether it went so: the second or third window at an end is less alike than usual."""
        inside = self._within(first, last)
        if len(inside) < LEAST:
            return False, False
        least = SOFT * float(np.median(inside))
        return min(inside[1:3]) < least, min(inside[-3:-1]) < least

    def usage(self, first: int, last: int, evidence: Evidence, speed: float) -> Usage:
        """Return how the recording was used: in the foreground, or under something louder."""
        inside = self._within(first, last)
        if len(inside) < LEAST:
            return Usage.UNKNOWN
        return Usage.FOREGROUND if evidence.is_foreground(median(np.array(inside)), speed) else Usage.BACKGROUND

    def _within(self, first: int, last: int) -> list[float]:
        return [level for hop, level in zip(self._hops, self._levels, strict=True) if first <= hop <= last]
