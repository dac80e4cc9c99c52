"""What an outbox holds can be read beside the monitor that fills it, and without it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.errors import OutboxError
from monitor.messages import Detection, EventKind, Reference
from monitor.publish.history import History
from monitor.publish.outbox import DiskOutbox

Make = Callable[..., Detection]
NOON = 1_790_000_000.0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[DiskOutbox]:
    made = DiskOutbox(tmp_path / "outbox.db", keep_days=30.0, tell=lambda fact: None, utc_s=lambda: NOON + 1000.0)
    yield made
    made.close()


@pytest.fixture
def at(detection: Make) -> Callable[..., Detection]:
    """Return a function that makes an event of play `number`, on air from and to so many seconds after noon."""

    def make(number: int, kind: EventKind, start_s: float, end_s: float, **changes: Any) -> Detection:
        return detection(number, kind=kind, start_utc_s=NOON + start_s, end_utc_s=NOON + end_s, **changes)

    return make


def test_a_play_is_what_its_last_event_says(outbox: DiskOutbox, at: Make, tmp_path: Path) -> None:
    better = Reference(id=8, path="b.opus", title="Better")
    outbox.put([at(1, EventKind.STARTED, 0, 4), at(2, EventKind.STARTED, 1, 5, station="b"), at(3, EventKind.STARTED, 2, 6)])
    outbox.put([at(1, EventKind.UPDATED, -2, 30, reference=better), at(3, EventKind.RETRACTED, 2, 8)])
    outbox.put([at(1, EventKind.ENDED, -2, 60, reference=better)])
    with History(tmp_path / "outbox.db") as history:
        assert history.stations() == ["b", "radio-1"]
        plays = history.plays(["radio-1", "b"], NOON - 10, NOON + 100)
    told = [(play["id"], play["type"], play["reference"]["title"], play["sequence"]) for play in plays]
    assert told == [("play-1", "ended", "Better", 5), ("play-2", "started", "Ö", 1), ("play-3", "retracted", "Ö", 4)]


def test_plays_are_found_by_what_was_on_air_between_two_times(outbox: DiskOutbox, at: Make, tmp_path: Path) -> None:
    outbox.put([at(1, EventKind.STARTED, 0, 4), at(1, EventKind.ENDED, 0, 300), at(2, EventKind.ENDED, 300, 400)])
    with History(tmp_path / "outbox.db") as history:

        def ids(from_s: float, to_s: float) -> list[str]:
            return [play["id"] for play in history.plays(["radio-1"], NOON + from_s, NOON + to_s)]

        assert ids(-10, 0) == []
        assert ids(100, 101) == ["play-1"], "in the middle, where no event lies"
        assert ids(299, 301) == ["play-1", "play-2"]
        assert ids(300, 301) == ["play-2"]
        assert ids(400, 500) == []
        assert history.plays(["b"], NOON, NOON + 500) == []


def test_events_come_in_the_order_they_were_stored_with_their_delivery(outbox: DiskOutbox, at: Make, tmp_path: Path) -> None:
    outbox.put([at(number, EventKind.ENDED, number, number + 1) for number in range(1200)])
    outbox.acknowledge([m.number for m in outbox.pending(700)])
    with History(tmp_path / "outbox.db") as history:
        events = list(history.events(["radio-1"], NOON, NOON + 5000))
        assert [event.sequence for event in events] == list(range(1, 1201)), "more than one step"
        assert [event.sequence for event in events if event.delivered_utc_s is None] == list(range(701, 1201))
        assert [event.sequence for event in history.sequence("radio-1", 698, 703)] == list(range(698, 704))
        assert [event.sequence for event in history.sequence("b", 1, 10)] == []


def test_reading_neither_blocks_nor_is_blocked(outbox: DiskOutbox, at: Make, tmp_path: Path) -> None:
    outbox.put([at(number, EventKind.ENDED, number, number + 1) for number in range(600)])
    with History(tmp_path / "outbox.db") as history:
        reading = history.events(["radio-1"], NOON, NOON + 5000)
        next(reading)
        outbox.put([at(600, EventKind.ENDED, 600, 601)])
        outbox._database.execute("BEGIN IMMEDIATE")
        assert len(list(reading)) == 599, "what was there when it began"
        outbox._database.execute("ROLLBACK")
        assert outbox._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "no reader is in the way"


def test_an_outbox_at_rest_can_be_read_and_stays_as_it_is(at: Make, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    outbox = DiskOutbox(folder / "outbox.db", keep_days=30.0, tell=lambda fact: None)
    outbox.put([at(1, EventKind.ENDED, 0, 4)])
    outbox.close()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with History(folder / "outbox.db") as history:
        assert len(history.plays(["radio-1"], 0.0, 1e10)) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_what_a_killed_monitor_left_can_be_read(outbox: DiskOutbox, at: Make, tmp_path: Path) -> None:
    outbox.put([at(1, EventKind.ENDED, 0, 4)])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("outbox.db", "outbox.db-wal"):  # as after a power cut: the log is not folded in
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    with History(copy / "outbox.db") as history:
        assert len(history.plays(["radio-1"], 0.0, 1e10)) == 1


def test_it_knows_since_when_nothing_is_gone(at: Make, tmp_path: Path) -> None:
    clock = [NOON]
    outbox = DiskOutbox(
        tmp_path / "pruned.db", keep_days=1.0, tell=lambda fact: None, utc_s=lambda: clock[0], now_s=lambda: clock[0]
    )

    def since() -> float | None:
        with History(tmp_path / "pruned.db") as history:
            return history.whole_since()

    assert since() is None, "nothing was ever there"
    for number in (1, 2, 3, 4):
        outbox.put([at(number, EventKind.ENDED, 0, 4)])
        if number != 2:  # too large for the broker: it stays, and is no sign that what came after it does
            outbox.acknowledge([outbox.pending(10)[-1].number])
        clock[0] += 1000.0
    clock[0] += 86400.0 - 4000.0
    assert (outbox.prune(), since()) == (0, None)
    clock[0] += 2500.0
    assert (outbox.prune(), since()) == (2, NOON + 3000.0)
    clock[0] += 86400.0
    assert (outbox.prune(), since()) == (1, math.inf), "what waits was stored before the last that went"
    clock[0] += 1000.0
    outbox.put([at(5, EventKind.ENDED, 0, 4), at(6, EventKind.ENDED, 0, 4)])
    assert since() == math.inf
    outbox.acknowledge([2])
    clock[0] += 2 * 86400.0
    assert (outbox.prune(), since()) == (1, clock[0] - 2 * 86400.0), "a long outage: all since its beginning waits"
    outbox.close()


def test_what_is_no_outbox_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match=r"none\.db: no such file; name one with --outbox"):
        History(tmp_path / "none.db")
    (tmp_path / "text").write_text("no database at all" * 100)
    with pytest.raises(OutboxError, match=r"text: cannot be read \(file is not a database\)"):
        History(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(OutboxError, match="is no outbox"):
        History(tmp_path / "other.db")
    outbox = DiskOutbox(tmp_path / "old.db", keep_days=1.0, tell=lambda fact: None)
    outbox._database.execute("PRAGMA user_version = 1")
    outbox.close()
    with pytest.raises(OutboxError, match="start the new monitor once"):
        History(tmp_path / "old.db")


STEPS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(EventKind), st.integers(1, 3)), max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, cuts=st.lists(st.integers(0, 20), max_size=3))
def test_a_subscriber_who_hears_some_twice_knows_what_the_store_knows(
    detection: Make, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, EventKind, int]], cuts: list[int]
) -> None:
    # After a lost connection the last messages come again. Whoever keeps the event with the highest sequence of each id is right.
    path = tmp_path_factory.mktemp("fold") / "outbox.db"
    outbox = DiskOutbox(path, keep_days=30.0, tell=lambda fact: None)
    for number, kind, who in steps:
        outbox.put([replace(detection(number, kind=kind), reference=Reference(id=who, path="", title=f"T{who}"))])
    sent = [json.loads(message.payload) for message in outbox.pending(100)]
    outbox.close()
    heard = list(sent)
    for cut in cuts:
        heard += sent[max(cut - 5, 0) : cut]
    folded: dict[str, Any] = {}
    for event in heard:
        if event["sequence"] > folded.get(event["id"], {"sequence": 0})["sequence"]:
            folded[event["id"]] = event
    with History(path) as history:
        assert {play["id"]: play for play in history.plays(["radio-1"], 0.0, 1e10)} == folded
