"""Which windows go into the next batch, and when.

Knows ages and sizes. Knows nothing of audio, tensors or devices. When more is waiting than the limit, the oldest window goes: live sound
grows stale, and the newest says most.
"""

from __future__ import annotations

from collections import deque

from monitor.messages import Window


class Batcher:
    """Windows of all streams, waiting; drops its oldest when full and says whose they were."""

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

    def put(self, window: Window) -> str | None:
        """Let a window wait; return the stream whose oldest window was dropped for it, if one was."""
        self._waiting.append(window)
        if len(self._waiting) > self.limit:
            return self._waiting.popleft().stream
        return None

    def due_s(self) -> float | None:
        """Return when the next batch must go at the latest, on the clock of the windows; None when nothing waits."""
        return self._waiting[0].arrived_s + self._max_wait_s if self._waiting else None

    def take(self, now_s: float) -> list[Window]:
        """Return the next batch: a full one at once, a smaller one when its oldest has waited long enough, else nothing."""
        due_s = self.due_s()
        if due_s is None or (len(self._waiting) < self._size and now_s < due_s):
            return []
        return [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]

    def forget(self, stream: str) -> int:
        """Drop what waits of a stream that was removed; return how much that was."""
        kept = deque(window for window in self._waiting if window.stream != stream)
        dropped = len(self._waiting) - len(kept)
        self._waiting = kept
        return dropped

