"""`python -m tests.bench.soak`: whether the daemon carries so many live streams for long, and whether anything in it grows.

The real daemon, its broker, and MP3 of 128 kbit/s over HTTP, as in the live part of the benchmark. Once all streams are online it
is only watched: windows dropped, streams lost, sound received, memory, file descriptors, processes, cores. What grows shows as the
slope of a straight line through the samples, the first minutes left out, in which buffers fill.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.cli.common import wait_without_spinning
from tests.bench import processes
from tests.bench.daemon import Surroundings, surroundings
from tests.bench.exposition import Exposition, quantile
from tests.bench.table import Section, number

ONLINE_LIMIT_S = 120.0
SETTLE_S = 20.0
EVERY_S = 30.0
FILLING_SHARE = 1 / 6
"""Of the time watched: rings of two minutes, histories and SQLite's cache fill in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment."""

    at_s: float
    memory_mb: float
    descriptors: int
    children: int
    dropped: float


def watch(around: Surroundings, *, streams: int, for_s: float) -> Section:
    """Let the daemon listen to so many streams for so long; return what was seen as a table."""
    around.streams(streams)
    began_s = time.monotonic()
    while _online(around.metrics()) < streams:
        if time.monotonic() - began_s > ONLINE_LIMIT_S:
            raise SystemExit(f"not all of {streams} streams were online after {ONLINE_LIMIT_S:.0f} s")
        time.sleep(1.0)
    time.sleep(SETTLE_S)
    before, began_s, cpu = around.metrics(), time.monotonic(), _cpu(around)
    samples = [_sample(around, began_s)]
    while time.monotonic() - began_s < for_s:
        time.sleep(min(EVERY_S, for_s / 4))
        samples.append(_sample(around, began_s))
        one, dropped = samples[-1], samples[-1].dropped - samples[0].dropped
        text = f"{one.at_s:6.0f} s: {dropped:.0f} dropped, {one.memory_mb:.0f} MB, {one.descriptors} descriptors"
        print(f"{text}, {one.children} children", flush=True)
    after, took_s = around.metrics(), time.monotonic() - began_s
    used = {name: (value - cpu[name]) / took_s for name, value in _cpu(around).items()}

    def grown(name: str) -> float:
        return after.total(name) - before.total(name)

    behind = [page.buckets("monitor_matcher_behind_seconds") for page in (before, after)]
    late = [sample for sample in samples if sample.at_s >= FILLING_SHARE * took_s]
    rows = [
        ("streams, minutes", f"{streams}, {took_s / 60:.1f}"),
        ("online at the end", f"{_online(after):.0f}"),
        ("windows analysed", number(grown("monitor_matcher_windows_total"))),
        ("windows dropped", number(grown("monitor_windows_dropped_total"))),
        ("streams lost", number(grown("monitor_stream_restarts_total"))),
        ("sound received, of that sent", f"{grown('monitor_stream_sound_seconds_total') / took_s / streams:.4f}"),
        ("result behind the sound, 50 %, 99 %", f"{quantile(*behind, 0.5)} s, {quantile(*behind, 0.99)} s"),
        ("events told", number(grown("monitor_detections_total"))),
        ("daemon's memory, first, last", f"{samples[0].memory_mb:.0f}, {samples[-1].memory_mb:.0f} MB"),
        ("its slope after the first sixth", f"{_slope(late, [one.memory_mb for one in late]):+.2f} MB/h"),
        ("descriptors, first, last", f"{samples[0].descriptors}, {samples[-1].descriptors}"),
        ("children, first, last", f"{samples[0].children}, {samples[-1].children}"),
        *((f"cores: {name}", f"{share:.2f}") for name, share in used.items()),
    ]
    return Section(title="Soak", columns=("measured", "value"), rows=rows)


def _sample(around: Surroundings, began_s: float) -> Sample:
    return Sample(
        at_s=time.monotonic() - began_s,
        memory_mb=processes.memory_mb(around.daemon),
        descriptors=sum(1 for _ in Path(f"/proc/{around.daemon}/fd").iterdir()),
        children=len(processes.children(around.daemon)),
        dropped=around.metrics().total("monitor_windows_dropped_total"),
    )


def _online(page: Exposition) -> float:
    return page.value("monitor_stream_state", 'state="online"')


def _cpu(around: Surroundings) -> dict[str, float]:
    return {
        "daemon": processes.cpu_s(around.daemon),
        "decoders": sum(processes.cpu_s(child) for child in processes.children(around.daemon)),
        "station": processes.cpu_s(around.station),
        "whole machine": processes.Machine.now().busy_s,
    }


def _slope(samples: list[Sample], values: list[float]) -> float:
    """Return growth an hour, by least squares."""
    return float(np.polyfit([sample.at_s / 3600.0 for sample in samples], values, 1)[0])


def main() -> None:
    """Watch, and print the table."""
    parser = argparse.ArgumentParser(prog="tests.bench.soak", description=__doc__)
    parser.add_argument("--streams", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=60.0, help="(default: %(default)s)")
    arguments = parser.parse_args()
    processes.stop_in_order()
    wait_without_spinning()  # as the commands that are measured do
    from tests.bench.machine import describe
    from tests.bench.material import Material

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        material = Material(Path(folder), quick=False)
        print(describe(material.engine.recipe, f"--streams {arguments.streams} --minutes {arguments.minutes:g}"), flush=True)
        with surroundings(material.folder / "live", material.large_catalog, material.mp3) as around:
            print(watch(around, streams=arguments.streams, for_s=60.0 * arguments.minutes).markdown())


if __name__ == "__main__":
    main()
