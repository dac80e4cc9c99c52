"""Which windows go into the next batch, and when.

Knows ages and sizes. Knows nothing of audio, tensors or devices. When more is waiting than the limit, the oldest window goes:
live sound grows stale, and the newest says most.
"""

from __future__ import annotations

from collections import deque

from monitor.messages import Window


class Batcher:
    """Windows of all streams, waiting; drops its oldest when full and hands them back."""

    def __init__(self, *, size: int, max_wait_s: float, limit: int) -> None:
        """Start empty.

        Args:
            size: Windows of a full batch.
            max_wait_s: How long a window may wait for company.
            limit: Windows that may wait.
        """
        self._waiting: deque[Window] = deque()
        self._size, self._max_wait_s, self.limit = size, max_wait_s, limit

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, window: Window) -> Window | None:
        """Let a window wait; return the one that was dropped for it, if one was."""
        self._waiting.append(window)
        return self._waiting.popleft() if len(self._waiting) > self.limit else None

    def due_s(self) -> float | None:
        """Return when the next batch must go at the latest, on the clock of the windows; None when nothing waits."""
        return self._waiting[0].arrived_s + self._max_wait_s if self._waiting else None

    def take(self, now_s: float) -> list[Window]:
        """Return the next batch: a full one at once, a smaller one when its oldest has waited long enough, else nothing."""
        due_s = self.due_s()
        if due_s is None or (len(self._waiting) < self._size and now_s < due_s):
            return []
        return [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
