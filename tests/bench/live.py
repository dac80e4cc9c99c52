"""How many live streams this machine carries: MP3 of 128 kbit/s over HTTP, the real daemon, more streams step by step.

A step is good when no window was dropped, no stream was lost, and sound came in as fast as it was sent. After the first that is
not, one more is tried half way between.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from tests.bench import processes
from tests.bench.daemon import Surroundings, surroundings
from tests.bench.exposition import quantile
from tests.bench.material import LARGE_ROWS, Material
from tests.bench.table import Section, number

STEPS = (50, 100, 200, 300, 400, 500, 600, 800, 1000)
QUICK_STEPS = (4, 8)
FOR_S = 40.0
ONLINE_LIMIT_S = 90.0
SETTLE_S = 10.0
"""After the last stream is there: until what its opening cost is over."""
ENOUGH = 0.995
"""Share of the sound sent that must have come in; the rest is how the step's ends fall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one number of streams gave."""

    streams: int
    online: int
    online_after_s: float
    sound: float
    """Seconds of sound a stream and second."""
    dropped: float
    restarts: float
    windows_per_s: float
    batch: float
    """Windows a batch, mean."""
    batch_ms: float
    wait: str
    behind: tuple[str, str]
    """Bounds of the median and of the 99th percentile, seconds."""
    cpu: dict[str, float]
    """Cores in use, by part."""
    work: dict[str, float]
    """Share of the time that a stage of the daemon was at work."""
    daemon_mb: float
    ffmpeg_mb: float

    @property
    def good(self) -> bool:
        """Nothing was lost."""
        return self.online == self.streams and not self.dropped and not self.restarts and self.sound >= ENOUGH


def measure(material: Material) -> list[Section]:
    """Go up until something is lost."""
    steps: list[Step] = []
    with surroundings(material.folder / "live", material.large_catalog, material.mp3) as around:
        empty_mb = processes.memory_mb(around.daemon)
        for count in QUICK_STEPS if material.quick else STEPS:
            steps.append(_step(around, count, for_s=8.0 if material.quick else FOR_S))
            print(f"live: {steps[-1]}", flush=True)
            if not steps[-1].good:
                break
        if len(steps) > 1 and not steps[-1].good:
            steps.append(_step(around, (steps[-1].streams + steps[-2].streams) // 2, for_s=FOR_S))
            print(f"live: {steps[-1]}", flush=True)
    steps.sort(key=lambda step: step.streams)
    return [_throughput(steps), _cpu(steps), _memory(steps, empty_mb)]


def _step(around: Surroundings, count: int, *, for_s: float) -> Step:
    started_s = time.monotonic()
    around.streams(count)
    while True:
        time.sleep(1.0)
        online = int(around.metrics().value("monitor_stream_state", 'state="online"'))
        online_after_s = time.monotonic() - started_s
        if online == count or online_after_s > ONLINE_LIMIT_S:
            break
    time.sleep(SETTLE_S)
    before, before_s, used = around.metrics(), time.monotonic(), _used(around)
    time.sleep(for_s)
    after, after_s, now_used = around.metrics(), time.monotonic(), _used(around)
    took_s = after_s - before_s

    def grown(name: str) -> float:
        return after.total(name) - before.total(name)

    batches = grown("monitor_encoder_batch_seconds_count")
    behind = [name.buckets("monitor_matcher_behind_seconds") for name in (before, after)]
    waited = [name.buckets("monitor_encoder_wait_seconds") for name in (before, after)]
    return Step(
        streams=count,
        online=int(after.value("monitor_stream_state", 'state="online"')),
        online_after_s=online_after_s,
        sound=grown("monitor_stream_sound_seconds_total") / took_s / count,
        dropped=grown("monitor_windows_dropped_total"),
        restarts=grown("monitor_stream_restarts_total"),
        windows_per_s=grown("monitor_matcher_windows_total") / took_s,
        batch=grown("monitor_encoder_windows_total") / max(batches, 1),
        batch_ms=1e3 * grown("monitor_encoder_batch_seconds_sum") / max(batches, 1),
        wait=quantile(*waited, 0.99),
        behind=(quantile(*behind, 0.5), quantile(*behind, 0.99)),
        cpu=_shares({name: (now_used[name] - used[name]) / took_s for name in used}),
        work={
            "encoder": grown("monitor_encoder_batch_seconds_sum") / took_s,
            "lookups": grown("monitor_matcher_search_seconds_sum") / took_s,
            "tracking": grown("monitor_matcher_track_seconds_sum") / took_s,
        },
        daemon_mb=processes.memory_mb(around.daemon),
        ffmpeg_mb=sum(processes.memory_mb(child) for child in processes.children(around.daemon)),
    )


def _used(around: Surroundings) -> dict[str, float]:
    """Return the CPU seconds so far of everything that takes part."""
    loop_s = processes.cpu_s(around.daemon, around.daemon)
    machine = processes.Machine.now()
    return {
        "decoders": sum(processes.cpu_s(child) for child in processes.children(around.daemon)),
        "event loop": loop_s,
        "other threads": processes.cpu_s(around.daemon) - loop_s,
        "station": processes.cpu_s(around.station),
        "broker": processes.cpu_s(around.broker) if around.broker else 0.0,
        "bench": processes.cpu_s(os.getpid()),
        "whole machine": machine.busy_s,
        "stolen": machine.stolen_s,
    }


def _shares(cpu: dict[str, float]) -> dict[str, float]:
    """Add what others used: what is left of the whole machine."""
    whole = cpu.pop("whole machine")
    stolen = cpu.pop("stolen")
    return {**cpu, "others": max(whole - sum(cpu.values()), 0.0), "whole machine": whole, "stolen": stolen}


def _throughput(steps: list[Step]) -> Section:
    return Section(
        title="Live streams (MP3, 128 kbit/s, HTTP)",
        columns=(
            *("streams", "all online after s", "x real time", "windows/s", "dropped", "lost", "windows a batch", "ms a batch"),
            *("wait 99 % s", "behind 50 % s", "behind 99 % s"),
        ),
        rows=[
            (
                *(str(step.streams), f"{step.online_after_s:.0f}", f"{step.sound:.3f}", number(step.windows_per_s)),
                *(number(step.dropped), number(step.restarts), number(step.batch), f"{step.batch_ms:.1f}"),
                *(step.wait, *step.behind),
            )
            for step in steps
        ],
        notes=(
            f"Most streams without a dropped window, a lost stream or late sound: "
            f"{max((step.streams for step in steps if step.good), default=0)} of those tried. {FOR_S:.0f} s each, after all were "
            f"online; the daemon's defaults; catalogue of {LARGE_ROWS:,} fingerprints; half of what is on air is in it, every "
            "stream elsewhere in the programme. `behind`: age of a batch's oldest window when its result was there.",
        ),
    )


def _cpu(steps: list[Step]) -> Section:
    parts = tuple(steps[0].cpu)
    stages = tuple(steps[0].work)
    return Section(
        title="Live streams: cores in use",
        columns=("streams", *parts, *(f"at work: {stage}" for stage in stages), "ms a stream and second"),
        rows=[
            (
                str(step.streams),
                *(f"{step.cpu[part]:.2f}" for part in parts),
                *(f"{step.work[stage]:.2f}" for stage in stages),
                f"{1e3 * sum(step.cpu[part] for part in ('decoders', 'event loop', 'other threads')) / step.streams:.2f}",
            )
            for step in steps
        ],
        notes=(
            "CPU seconds a second. `decoders`: the ffmpeg processes, one a stream; `event loop`: the daemon's main thread; `other "
            "threads`: encoder, matcher, disk; `others`: whatever else ran on the machine; `at work`: wall time within a stage, "
            "waiting for Python's lock and for a core included. The last column is the daemon and its decoders.",
        ),
    )


def _memory(steps: list[Step], empty_mb: float) -> Section:
    return Section(
        title="Live streams: memory",
        columns=("streams", "daemon MB", "its decoders MB", "MB a stream, decoder", "MB a stream, daemon", "MB a stream"),
        rows=[
            (
                str(step.streams),
                number(step.daemon_mb),
                number(step.ffmpeg_mb),
                f"{step.ffmpeg_mb / step.streams:.1f}",
                f"{(step.daemon_mb - empty_mb) / step.streams:.2f}",
                f"{(step.ffmpeg_mb + step.daemon_mb - empty_mb) / step.streams:.1f}",
            )
            for step in steps
        ],
        notes=(f"Proportional set size. Without a stream the daemon had {empty_mb:.0f} MB.",),
    )
