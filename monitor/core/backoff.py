"""How long to wait before the next try: twice as long each time, up to a cap, spread at random.

Knows numbers and the times it is told; chance is handed in.
"""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Waits that double from `first_s` to `cap_s`, and start afresh after a stable time.

    Each is shortened by up to half, so that many who lost the same thing do not return at once. Who tells `worked` and
    `failed` gets the fresh start only after `stable_s` of working: a connection that flaps backs off like a dead one.
    """

    def __init__(self, first_s: float, cap_s: float, jitter: Callable[[], float], *, stable_s: float = 30.0) -> None:
        """Start at `first_s`; `jitter` gives numbers from 0 to 1 (`random.random`)."""
        self._first_s = first_s
        self._cap_s = cap_s
        self._jitter = jitter
        self._stable_s = stable_s
        self._ceiling_s = first_s
        self._works_since_s: float | None = None

    def next_s(self) -> float:
        """Return how long to wait now, and make the next wait longer."""
        ceiling_s = min(self._ceiling_s, self._cap_s)
        self._ceiling_s = min(ceiling_s * 2.0, self._cap_s)
        return ceiling_s * (1.0 - 0.5 * self._jitter())

    def reset(self) -> None:
        """Start anew: what was tried has worked."""
        self._ceiling_s = self._first_s

    def worked(self, now_s: float) -> None:
        """Note that it works since now."""
        self._works_since_s = now_s

    def failed(self, now_s: float) -> float:
        """Return how long to wait after a failure now."""
        if self._works_since_s is not None and now_s - self._works_since_s >= self._stable_s:
            self.reset()
        self._works_since_s = None
        return self.next_s()
