"""What was put stays, in order, until the broker has it; a damaged file is left alone."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import OutboxError, OutboxUnwritable
from monitor.facts import DetectionsLost, OutboxChanged
from monitor.messages import Detection, EventKind
from monitor.publish.outbox import DiskOutbox

Make = Callable[..., Detection]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0
        self.passed_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.passed_s

    def wait(self, seconds: float) -> None:
        """Let time pass; setting the clock alone is `now_s`."""
        self.now_s += seconds
        self.passed_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def facts() -> list[Any]:
    return []


@pytest.fixture
def opened(tmp_path: Path, clock: Clock, facts: list[Any]) -> Iterator[Callable[[], DiskOutbox]]:
    made: list[DiskOutbox] = []

    def make() -> DiskOutbox:
        for outbox in made:
            outbox.close()
        made.clear()
        made.append(
            DiskOutbox(tmp_path / "data" / "outbox.db", keep_days=1.0, tell=facts.append, utc_s=clock, now_s=clock.monotonic)
        )
        return made[0]

    yield make
    for outbox in made:
        outbox.close()


def test_sequences_have_no_gaps_and_count_each_station(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2, station="b"), detection(3)])
    outbox.put([detection(4, station="b")])
    assert [(m.station, m.sequence) for m in outbox.pending(10)] == [("radio-1", 1), ("b", 1), ("radio-1", 2), ("b", 2)]
    assert [json.loads(m.payload)["sequence"] for m in outbox.pending(10)] == [1, 1, 2, 2]


def test_a_restart_keeps_what_waits_and_counts_on(opened: Callable[[], DiskOutbox], detection: Make, clock: Clock) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2)])
    outbox.acknowledge([outbox.pending(1)[0].number])
    again = opened()
    assert [m.sequence for m in again.pending(10)] == [2]
    assert again.depth == 1
    again.acknowledge([m.number for m in again.pending(10)])
    clock.wait(2 * 86400)
    assert again.prune() == 2
    after = opened()
    after.put([detection(3)])
    assert [m.sequence for m in after.pending(10)] == [3], "pruning must not make sequences start anew"


def test_acknowledging_twice_counts_once(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2)])
    first = outbox.pending(1)[0].number
    outbox.acknowledge([first])
    outbox.acknowledge([first])
    assert outbox.depth == 1


def test_delivered_messages_are_kept_for_keep_days(opened: Callable[[], DiskOutbox], detection: Make, clock: Clock) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2)])
    outbox.acknowledge([outbox.pending(1)[0].number])
    clock.wait(0.9 * 86400)
    assert outbox.prune() == 0
    clock.wait(0.2 * 86400)
    assert outbox.prune() == 1
    assert outbox.depth == 1, "what waits is never pruned"


def test_it_says_how_much_waits_since_when(
    opened: Callable[[], DiskOutbox], detection: Make, clock: Clock, facts: list[Any]
) -> None:
    outbox = opened()
    outbox.put([detection(1)])
    clock.now_s += 5.0
    outbox.put([detection(2)])
    assert (facts[-1].depth, facts[-1].oldest_utc_s) == (2, 1_790_000_000.0)
    assert 0 < facts[-1].used_bytes < facts[-1].budget_bytes == 4_096_000_000
    outbox.acknowledge([m.number for m in outbox.pending(10)])
    assert (facts[-1].depth, facts[-1].oldest_utc_s) == (0, None)


def test_it_knows_the_stations_of_earlier_runs(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    opened().put([detection(1), detection(2, station="b"), detection(3)])
    assert opened().stations() == ["b", "radio-1"]


def test_plays_that_a_crash_left_on_air_are_ended_once(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    # A daemon killed in the middle of a play never told its end: a subscriber saw it on air for ever.
    outbox = opened()
    outbox.put([detection(1), detection(2, station="b"), detection(3)])
    outbox.put([detection(1, kind=EventKind.UPDATED, end_utc_s=1_790_000_060.0), detection(3, kind=EventKind.ENDED)])
    outbox.put([detection(4), detection(4, kind=EventKind.RETRACTED)])
    again = opened()
    assert again.end_left_over() == 2
    assert again.depth == 9
    last = {m.station: (m.sequence, json.loads(m.payload)) for m in again.pending(10)}
    sequence, content = last["radio-1"]
    assert (sequence, content["sequence"], content["id"], content["type"]) == (7, 7, "play-1", "ended")
    assert content["end"] == content["heard_until"] == "2026-09-21T14:14:20.000Z"
    assert (last["b"][0], last["b"][1]["id"], last["b"][1]["type"]) == (2, "play-2", "ended")
    assert opened().end_left_over() == 0


def test_an_outbox_from_before_plays_were_remembered_opens(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    outbox._database.execute("DROP TABLE on_air")
    again = opened()
    assert again.end_left_over() == 0
    again.put([detection(1)])
    assert opened().end_left_over() == 1


def test_an_outbox_of_the_first_format_is_taken_over(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2, station="b")])
    outbox.acknowledge([1])
    for index in ("by_play", "by_time"):
        outbox._database.execute(f"DROP INDEX {index}")
    for column in ("play", "start_utc_s", "end_utc_s"):
        outbox._database.execute(f"ALTER TABLE message DROP COLUMN {column}")
    outbox._database.execute("PRAGMA user_version = 1")
    again = opened()
    again.put([detection(3)])
    assert [(m.station, m.sequence) for m in again.pending(10)] == [("b", 1), ("radio-1", 2)]
    rows = again._database.execute("SELECT play, start_utc_s, end_utc_s FROM message ORDER BY number").fetchall()
    assert rows == [(f"play-{number}", 1_790_000_000.0, 1_790_000_015.5) for number in (1, 2, 3)]


def test_stations_can_be_left_out(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    outbox.put([detection(1), detection(2, station="b"), detection(3, station="c")])
    assert [m.station for m in outbox.pending(10, without=["radio-1", "c"])] == ["b"]


def fill(outbox: DiskOutbox, make: Make, count: int) -> None:
    for _ in range(count // 100):
        outbox.put([make(number) for number in range(100)])


def test_the_budget_takes_what_is_delivered_before_what_waits(tmp_path: Path, detection: Make, facts: list[Any]) -> None:
    outbox = DiskOutbox(tmp_path / "o.db", keep_days=1000.0, max_mb=2.0, tell=facts.append)
    fill(outbox, detection, 400)
    outbox.acknowledge([m.number for m in outbox.pending(400)])
    fill(outbox, detection, 800)
    held = outbox._database.execute("SELECT count(*), min(sequence) FROM message WHERE delivered_utc_s IS NULL").fetchone()
    assert held == (800, 401), "all that waits is there"
    assert outbox._database.execute("SELECT count(*) FROM message WHERE delivered_utc_s IS NOT NULL").fetchone() == (0,)
    assert not [fact for fact in facts if isinstance(fact, DetectionsLost)]
    fill(outbox, detection, 2000)
    lost = sum(fact.count for fact in facts if isinstance(fact, DetectionsLost))
    assert lost > 0, "a full budget is told, not hidden"
    assert [m.sequence for m in outbox.pending(10**6)] == list(range(401 + lost, 3201)), "the oldest went, the hole shows"
    assert outbox.depth == 2800 - lost
    sizes = [fact.used_bytes for fact in facts if isinstance(fact, OutboxChanged)]
    assert max(sizes) <= 2_000_000
    outbox.close()
    assert (tmp_path / "o.db").stat().st_size < 2_300_000, "what is free is used again"


def test_history_leaves_half_of_the_budget_for_a_broker_that_goes_away(tmp_path: Path, detection: Make) -> None:
    outbox = DiskOutbox(tmp_path / "o.db", keep_days=1000.0, max_mb=2.0, tell=lambda fact: None)
    for _ in range(30):
        outbox.put([detection(number) for number in range(100)])
        outbox.acknowledge([m.number for m in outbox.pending(100)])
    kept, oldest = outbox._database.execute("SELECT count(*), min(sequence) FROM message").fetchone()
    assert kept == 3001 - oldest
    assert 300 < kept < 1000
    assert outbox._used_bytes() < 1_250_000
    outbox.close()


def test_a_clock_set_years_ahead_makes_nothing_old_at_once(opened: Callable[[], DiskOutbox], detection: Make, clock: Clock) -> None:
    # An hour after such a step all history was gone, and setting the clock right did not bring it back.
    outbox = opened()
    outbox.put([detection(1)])
    outbox.acknowledge([outbox.pending(1)[0].number])
    clock.wait(3600)
    clock.now_s += 5 * 365 * 86400
    assert outbox.prune() == 0
    clock.wait(3600)
    assert opened().prune() == 0, "nor does a restart believe it"
    clock.now_s -= 5 * 365 * 86400
    again = opened()
    clock.wait(0.8 * 86400)
    assert again.prune() == 0
    clock.wait(0.2 * 86400)
    assert again.prune() == 1, "a clock that is right prunes as ever"


def test_a_clock_that_is_right_after_all_is_caught_up_with(opened: Callable[[], DiskOutbox], detection: Make, clock: Clock) -> None:
    outbox = opened()
    outbox.put([detection(1)])
    outbox.acknowledge([outbox.pending(1)[0].number])
    clock.now_s += 10 * 86400  # it was off for ten days, or its clock was ten days slow
    again = opened()
    assert again.prune() == 0
    clock.wait(0.4 * 86400)
    assert again.prune() == 0
    clock.wait(0.2 * 86400)
    assert again.prune() == 1


def test_events_name_the_store_that_counts_them(opened: Callable[[], DiskOutbox], detection: Make, tmp_path: Path) -> None:
    # A station that moved to another monitor counts from 1 again: by the number alone a subscriber took it all for repetitions.
    def named(outbox: DiskOutbox) -> set[str]:
        return {json.loads(message.payload)["store"] for message in outbox.pending(100)}

    outbox = opened()
    outbox.put([detection(1)])
    again = opened()
    assert again.end_left_over() == 1
    again.put([detection(2, station="b")])
    (ours,) = named(again)
    other = DiskOutbox(tmp_path / "other.db", keep_days=1.0, tell=lambda fact: None)
    other.put([detection(1)])
    assert named(other) != {ours}
    other.close()


def test_pruning_goes_on_until_nothing_old_is_left(opened: Callable[[], DiskOutbox], detection: Make, clock: Clock) -> None:
    outbox = opened()
    fill(outbox, detection, 1200)
    outbox.acknowledge([m.number for m in outbox.pending(1100)])
    clock.wait(2 * 86400)
    assert outbox.prune() == 1100
    assert outbox.depth == 100


def test_threads_may_put_at_once(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    outbox = opened()
    threads = [threading.Thread(target=lambda: [outbox.put([detection(n)]) for n in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [m.sequence for m in outbox.pending(100)] == list(range(1, 41))


def test_a_full_disk_is_transient_and_loses_nothing(opened: Callable[[], DiskOutbox], detection: Make, tmp_path: Path) -> None:
    outbox = opened()
    outbox.put([detection(1)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "data" / "outbox.db-wal").stat().st_size, hard))
    try:
        with pytest.raises(OutboxUnwritable, match=r"outbox\.db"):
            outbox.put([detection(2), detection(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert outbox.depth == 1
    outbox.put([detection(2), detection(3)])
    assert [m.sequence for m in outbox.pending(10)] == [1, 2, 3]


# Found by tests/chaos: killed while the disk was full, the daemon came back to exit 78, which systemd takes for good.
def test_a_disk_that_is_full_at_the_start_is_transient_too(opened: Callable[[], DiskOutbox], detection: Make) -> None:
    opened().put([detection(1)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OutboxUnwritable, match="is the disk full"):
            opened()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert opened().depth == 1


def test_a_killed_writer_leaves_what_put_returned_from(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import detection
from monitor.publish.outbox import DiskOutbox
make = detection._get_wrapped_function()()
outbox = DiskOutbox(Path(sys.argv[1]), keep_days=1, tell=lambda fact: None)
for number in range(1, 10**6):
    outbox.put([make(number)])
    print(number, flush=True)
"""
    path = tmp_path / "outbox.db"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    seen = [int(child.stdout.readline()) for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    seen += [int(line) for line in child.stdout]
    child.wait()
    child.stdout.close()
    outbox = DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)
    stored = [m.sequence for m in outbox.pending(10**6)]
    outbox.close()
    assert stored[: len(seen)] == seen
    assert len(stored) - len(seen) <= 1


@pytest.mark.parametrize(
    "content", [b"this is no database, but a long enough text to be read as one" * 20, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(content)
    with pytest.raises(OutboxError, match=r"outbox\.db: damaged or not an outbox"):
        DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_permanent(tmp_path: Path, detection: Make) -> None:
    path = tmp_path / "outbox.db"
    outbox = DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)
    outbox.put([detection(number) for number in range(200)])
    outbox.close()
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))
    with pytest.raises(OutboxError, match="damaged"):
        DiskOutbox(path, keep_days=1.0, tell=lambda fact: None).pending(1000)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    content = path.read_bytes()
    with pytest.raises(OutboxError, match="another program"):
        DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)
    assert path.read_bytes() == content


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    outbox = DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)
    outbox.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 3")
    database.close()
    with pytest.raises(OutboxError, match="format 3, not 2"):
        DiskOutbox(path, keep_days=1.0, tell=lambda fact: None)


def test_two_monitors_may_not_share_one(opened: Callable[[], DiskOutbox], tmp_path: Path) -> None:
    opened()
    with pytest.raises(OutboxError, match="another monitor"):
        DiskOutbox(tmp_path / "data" / "outbox.db", keep_days=1.0, tell=lambda fact: None)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match=r"file/outbox\.db"):
        DiskOutbox(tmp_path / "file" / "outbox.db", keep_days=1.0, tell=lambda fact: None)
