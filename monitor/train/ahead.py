"""Batches drawn ahead, in a thread of their own. Knows nothing of what is in them."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

AHEAD = 3
"""Batches."""

Batch = TypeVar("Batch")


@contextmanager
def ahead(draw: Callable[[int], Batch], first: int) -> Iterator[Iterator[Batch]]:
    """Give batch after batch, from number `first` on; what `draw` raises is raised where its batch was asked for."""
    ready: queue.Queue[tuple[Batch] | Exception] = queue.Queue(AHEAD)
    stop = threading.Event()

    def fill() -> None:
        for number in itertools.count(first):
            if stop.is_set():
                return
            try:
                drawn: tuple[Batch] | Exception = (draw(number),)
            except Exception as error:
                drawn = error
            while not stop.is_set():
                try:
                    ready.put(drawn, timeout=0.2)
                    break
                except queue.Full:
                    continue

    def batches() -> Iterator[Batch]:
        while True:
            drawn = ready.get()
            if isinstance(drawn, Exception):
                raise drawn
            yield drawn[0]

    thread = threading.Thread(target=fill, name="sampler", daemon=True)
    thread.start()
    try:
        yield batches()
    finally:
        stop.set()
        thread.join()
