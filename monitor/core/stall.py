"""When a stream has gone quiet for too long.

Knows the times it is told. Knows nothing of streams, processes or clocks.
"""

from __future__ import annotations


class StallWatch:
    """Says when a stream has gone quiet. It is told the time; it never asks."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._heard_s: float | None = None

    def heard(self, now_s: float) -> None:
        """Note a sign of life; opening the stream counts as one."""
        self._heard_s = now_s

    def left_s(self, now_s: float) -> float:
        """Return how long from now the stream may stay quiet, at least 0; before the first sign of life, all of it."""
        return self._limit_s if self._heard_s is None else max(self._heard_s + self._limit_s - now_s, 0.0)
