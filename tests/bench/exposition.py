"""What the daemon's metrics page says, summed over stations."""

from __future__ import annotations

import re
from urllib.request import urlopen

_LINE = re.compile(r"(monitor_\w+)(?:\{(.*)\})? (\S+)")
_STATION = re.compile(r'station="[^"]*",?')


class Exposition:
    """One reading: values by name and labels, the station left out."""

    def __init__(self, text: str) -> None:
        self._values: dict[tuple[str, str], float] = {}
        for line in text.splitlines():
            if found := _LINE.match(line):
                key = found[1], _STATION.sub("", found[2] or "").rstrip(",")
                self._values[key] = self._values.get(key, 0.0) + float(found[3])

    @classmethod
    def read(cls, port: int) -> Exposition:
        """Fetch the page.

        Raises:
            OSError: Nobody answers.
        """
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return cls(answer.read().decode())

    def value(self, name: str, labels: str = "") -> float:
        """Return a value; 0 when there is none."""
        return self._values.get((name, labels), 0.0)

    def total(self, name: str) -> float:
        """Return the sum of a name over all labels."""
        return sum(value for (found, _), value in self._values.items() if found == name)

    def buckets(self, name: str) -> dict[float, float]:
        """Return a histogram's counts, cumulative, by upper limit."""
        return {
            float(labels.removeprefix('le="').rstrip('"')): value
            for (found, labels), value in self._values.items()
            if found == f"{name}_bucket"
        }


def quantile(before: dict[float, float], after: dict[float, float], part: float) -> str:
    """Return below which limit of a histogram so large a part of what came between two readings lies."""
    limits = sorted(after)
    counts = [after[limit] - before.get(limit, 0.0) for limit in limits]
    if not counts or not counts[-1]:
        return "-"
    limit = next(limit for limit, count in zip(limits, counts, strict=True) if count >= part * counts[-1])
    return f"≤ {limit:g}" if limit != float("inf") else f"> {limits[-2]:g}"
