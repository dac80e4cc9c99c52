"""CPU and memory of processes, as /proc tells; and how one of ours is stopped."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def cpu_s(process: int, thread: int | None = None) -> float:
    """Return the CPU seconds of a process, or of one of its threads; 0 when it is gone."""
    path = PROC / str(process) / ("stat" if thread is None else f"task/{thread}/stat")
    with suppress(OSError):
        fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def children(parent: int) -> list[int]:
    """Return the processes started by a process."""
    found = []
    for path in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(path.parent.name))
    return found


def stop_in_order() -> None:
    """Let a SIGTERM end this process as an error would, so that what it started is stopped too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def memory_mb(process: int) -> float:
    """Return the proportional set size: pages that several processes share are counted in parts; 0 when it is gone."""
    with suppress(OSError):
        for line in (PROC / str(process) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """CPU seconds of all cores since the start."""

    busy_s: float
    stolen_s: float

    @classmethod
    def now(cls) -> Machine:
        """Read them."""
        user, nice, system, _idle, _wait, irq, softirq, steal, *_ = (
            int(field) / TICKS for field in (PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        )
        return cls(busy_s=user + nice + system + irq + softirq, stolen_s=steal)
