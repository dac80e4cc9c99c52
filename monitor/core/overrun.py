"""How much sound a card's buffer lost, from when its frames were there to be fetched.

Knows counts of frames and the times it is told. Knows no sound card and no clock.

A card gives `rate_hz` frames a second. How far behind the clock the frames are that were fetched or wait in the buffer is the same
all the time, but for the size of the card's periods and some drift. A reader that is held up finds frames waiting; what the buffer
could not hold is missing for good: once the reader waits for the card again, it is further behind the clock than before.
"""

from __future__ import annotations

from collections import deque

LEAST_S = 0.1
"""Less is the card's rhythm: it gives its frames in periods of up to 85 ms."""
WAITED_S = 0.01
"""A read that took so long had to wait for the card: nothing was left in its buffer."""
KEPT = 100
"""Reads that say how far behind is usual: ten seconds, in which no drift matters."""
DECIDING = 5
"""Reads that waited before a loss is believed."""


class Overrun:
    """Watches one card's reads."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frames = 0.0
        self._usual_s: deque[float] = deque(maxlen=KEPT)
        self._behind_s: list[float] = []

    def read(self, frames: int, *, waiting: int, began_s: float, ended_s: float) -> float:
        """Take a read; return how many seconds of sound are now known to be lost, mostly none.

        Args:
            frames: That it fetched.
            waiting: Frames that were there after it.
            began_s: When it was begun, on a monotonic clock.
            ended_s: When it ended.
        """
        self._frames += frames
        behind_s = ended_s - (self._frames + waiting) / self._rate_hz
        if not self._usual_s or behind_s - min(self._usual_s) < LEAST_S:
            self._usual_s.append(behind_s)
            self._behind_s.clear()
            return 0.0
        if ended_s - began_s >= WAITED_S:
            self._behind_s.append(behind_s)
        if len(self._behind_s) < DECIDING:
            return 0.0
        lost_s = min(self._behind_s) - min(self._usual_s)
        self._frames += lost_s * self._rate_hz
        self._behind_s.clear()
        return lost_s
