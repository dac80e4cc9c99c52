"""What our ffmpeg children cost, asked of /proc whenever Prometheus asks us.

Knows proc(5). They do the greater part of a stream's work, and no figure of the process itself holds it. Knows no station.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME = 11, 12
"""Places in /proc/PID/stat behind the command's closing bracket."""


class DecoderCollector(Collector):
    """Processes, memory and CPU time of the children of this process; zeros where /proc does not say."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        """Look in `proc`."""
        self._proc = proc
        self._cpu_s = 0.0

    def collect(self) -> Iterator[Metric]:
        """Look now."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s, private_bytes, count = ended.ru_utime + ended.ru_stime, 0, 0
        for child in self._children():
            with suppress(OSError, ValueError, IndexError):  # gone meanwhile
                times = (self._proc / child / "stat").read_text().rpartition(")")[2].split()
                pages = (self._proc / child / "statm").read_text().split()
                cpu_s += (int(times[_UTIME]) + int(times[_STIME])) / _TICKS
                private_bytes += (int(pages[1]) - int(pages[2])) * _PAGE
                count += 1
        self._cpu_s = max(self._cpu_s, cpu_s)  # one that ended between the two looks is counted at the next
        yield CounterMetricFamily("monitor_decoder_cpu_seconds", "CPU time of the decoders, ended ones included.", self._cpu_s)
        yield GaugeMetricFamily("monitor_decoder_memory_bytes", "Memory of the decoders, without what they share.", private_bytes)
        yield GaugeMetricFamily("monitor_decoder_processes", "Decoders that run.", count)

    def _children(self) -> list[str]:
        found: list[str] = []
        with suppress(OSError):
            for thread in (self._proc / "self/task").iterdir():
                with suppress(OSError):
                    found += (thread / "children").read_text().split()
        return found
