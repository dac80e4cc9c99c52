"""Between the pipeline and the disk: detections the disk does not take are held in memory and tried again.

Fits `pipeline.ports.Outbox`. Knows order and a limit. Knows nothing of SQLite or brokers.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from monitor.errors import Transient
from monitor.facts import DetectionsLost, DetectionsWaiting, Tell
from monitor.messages import Detection

RETRY_S = 5.0
"""A full disk is emptied by people or by log rotation: seconds are soon enough, and a try is one failed write."""
PRUNE_S = 3600.0


class Store(Protocol):
    """What a keeper keeps into."""

    def put(self, detections: Sequence[Detection]) -> None:
        """Keep the detections, all or none."""
        ...

    def prune(self) -> int:
        """Forget what is old."""
        ...


class Keeper:
    """Holds at most `limit` detections, drops its oldest when full, counts them (`DetectionsLost`). For any thread."""

    def __init__(self, store: Store, *, told: Callable[[Sequence[Detection]], None], tell: Tell, limit: int = 10_000) -> None:
        """Keep into `store`; `told` hears of every detection once, stored or not, and may be called from any thread."""
        self._store = store
        self._told = told
        self._tell = tell
        self._limit = limit
        self._held: deque[Detection] = deque()
        self._guard = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many detections are in memory only."""
        return len(self._held)

    def put(self, detections: Sequence[Detection]) -> None:
        """Keep the detections on disk, or in memory until the disk takes them.

        Raises:
            OutboxError: The store is damaged; nothing will mend that but a person.
        """
        with self._guard:
            self._held.extend(detections)
            self._store_held(had_waiting=len(self._held) > len(detections))
        self._told(detections)

    def retry(self) -> None:
        """Try again to store what is held."""
        with self._guard:
            if self._held:
                self._store_held(had_waiting=True)

    async def run(self) -> None:
        """Retry and prune for ever."""
        tick = 0
        while True:
            await asyncio.sleep(RETRY_S)
            tick += 1
            if self._held:
                await asyncio.to_thread(self.retry)
            if tick % int(PRUNE_S / RETRY_S) == 0:
                await asyncio.to_thread(self._prune)

    def _prune(self) -> None:
        try:
            self._store.prune()
        except Transient as error:
            self._tell(DetectionsWaiting(count=len(self._held), reason=str(error)))

    def _store_held(self, *, had_waiting: bool) -> None:
        try:
            self._store.put(tuple(self._held))
        except Transient as error:
            lost = max(0, len(self._held) - self._limit)
            for _ in range(lost):
                self._held.popleft()
            self._tell(DetectionsWaiting(count=len(self._held), reason=str(error)))
            if lost:
                self._tell(DetectionsLost(count=lost))
            return
        self._held.clear()
        if had_waiting:
            self._tell(DetectionsWaiting(count=0))
