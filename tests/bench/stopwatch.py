"""How long things take: in turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LEAST_ROUNDS = 5


def in_turns(works: dict[str, Callable[[], object]], for_s: float) -> dict[str, float]:
    """Run every work once unmeasured, then all in turns; return the median seconds of each."""
    for work in works.values():
        work()
    took_s: dict[str, list[float]] = {name: [] for name in works}
    until_s = time.perf_counter() + for_s
    rounds = 0
    while rounds < LEAST_ROUNDS or time.perf_counter() < until_s:
        rounds += 1
        for name, work in works.items():
            started_s = time.perf_counter()
            work()
            took_s[name].append(time.perf_counter() - started_s)
    return {name: statistics.median(times) for name, times in took_s.items()}


@dataclass(slots=True)
class Spent:
    """What a stretch of the program took."""

    wall_s: float = 0.0
    own_cpu_s: float = 0.0
    children_cpu_s: float = 0.0
    """Of child processes that were waited for within the stretch."""

    @property
    def cpu_s(self) -> float:
        """Of this process and its children."""
        return self.own_cpu_s + self.children_cpu_s


@contextmanager
def spending() -> Iterator[Spent]:
    """Measure the body; the numbers are there when it has been left."""
    spent = Spent()
    wall_s, own_s, children_s = time.perf_counter(), _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
    yield spent
    spent.wall_s = time.perf_counter() - wall_s
    spent.own_cpu_s = _cpu_s(resource.RUSAGE_SELF) - own_s
    spent.children_cpu_s = _cpu_s(resource.RUSAGE_CHILDREN) - children_s


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def load() -> str:
    """How busy the machine has been in the last minute."""
    return f"{os.getloadavg()[0]:.2f}"
