"""What children cost: on a made-up /proc, and on a real child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from monitor.observe.decoders import DecoderCollector


def look(collector: DecoderCollector) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(collector)
    return {sample.name: sample.value for metric in registry.collect() for sample in metric.samples}


def child(proc: Path, number: int, *, ticks: tuple[int, int], pages: tuple[int, int]) -> None:
    folder = proc / str(number)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(
        f"{number} (a) b)) S 1 {number} 1 0 -1 4194304 100 0 0 0 {ticks[0]} {ticks[1]} 0 0 20 0 1 0 55 0 0\n"
    )
    (folder / "statm").write_text(f"9000 {pages[0]} {pages[1]} 1 0 2 0\n")


def test_children_of_all_threads_are_added_up(tmp_path: Path) -> None:
    for thread, children in (("10", "21 22 "), ("11", "23 99 ")):
        (tmp_path / "self/task" / thread).mkdir(parents=True)
        (tmp_path / "self/task" / thread / "children").write_text(children)
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for number in (21, 22, 23):
        child(tmp_path, number, ticks=(2 * tick, tick), pages=(500, 300))
    found = look(DecoderCollector(tmp_path))
    assert found["monitor_decoder_processes"] == 3, "99 has gone meanwhile"
    assert found["monitor_decoder_memory_bytes"] == 3 * 200 * page
    assert found["monitor_decoder_cpu_seconds_total"] >= 9.0


def test_a_real_child_is_seen_and_its_time_stays_when_it_ends() -> None:
    collector = DecoderCollector()
    before = look(collector)
    work = "import sys\nfor _ in range(3_000_000): pass\nprint('x', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"
        during = look(collector)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
    after = look(collector)
    assert during["monitor_decoder_processes"] == before["monitor_decoder_processes"] + 1
    assert during["monitor_decoder_memory_bytes"] > 1_000_000
    assert before["monitor_decoder_cpu_seconds_total"] < during["monitor_decoder_cpu_seconds_total"]
    assert during["monitor_decoder_cpu_seconds_total"] <= after["monitor_decoder_cpu_seconds_total"]
    assert after["monitor_decoder_processes"] == before["monitor_decoder_processes"]


def test_without_proc_there_are_zeros(tmp_path: Path) -> None:
    found = look(DecoderCollector(tmp_path))
    assert (found["monitor_decoder_processes"], found["monitor_decoder_memory_bytes"]) == (0, 0)
