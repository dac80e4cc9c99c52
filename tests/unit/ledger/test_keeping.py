"""The ledger over made-up lives of a station: whatever happens, every second is one thing, and what was heard is found again."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.airtime import Interval
from monitor.core.hearing import OVERDUE_S
from monitor.core.recipe import Recipe
from monitor.core.timeline import Timeline
from monitor.errors import LedgerUnwritable
from monitor.facts import AirtimeWritten, Fact, LedgerStateChanged, SoundReceived, WindowsAnalysed
from monitor.ledger.book import Batch, Book
from monitor.ledger.keeping import MOST_HELD, WRITE_S, Ledger
from monitor.ledger.reading import Airtime, read
from monitor.messages import AirState, Detection, EventKind, Play, Reference

RECIPE = Recipe(name="any")
RATE, HOP, PIECE = RECIPE.sample_rate_hz, RECIPE.hop_samples, 2000
UTC_S = 1_800_000_000.0
LATE_S = 20.0
"""What is settled lies so far behind what is heard at most, in these lives."""
MUSIC, SPEECH, SILENCE = AirState.MUSIC, AirState.SPEECH, AirState.SILENCE
NONE, SHED, MATCHED = AirState.NOT_RECEIVED, AirState.SHED, AirState.MATCHED


@dataclass
class World:
    """A clock, a disk, one or more stations and the monitor that listens to them."""

    path: Path
    stations: tuple[str, ...] = ("one",)
    now_s: float = 1000.0
    wall_s: float = UTC_S - 1000.0
    """UTC minus the monotonic clock."""
    full: bool = False
    facts: list[Fact] = field(default_factory=list)
    timelines: dict[str, Timeline] = field(default_factory=dict)
    positions: dict[str, int | None] = field(default_factory=dict)
    hops: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    @property
    def utc_s(self) -> float:
        return self.now_s + self.wall_s

    def ends(self) -> Mapping[str, float]:
        return self.book.ends()

    def write(self, batch: Batch) -> None:
        if self.full:
            raise LedgerUnwritable("disk full")
        self.book.write(batch)

    def prune(self) -> None:
        self.book.prune()

    def start(self) -> None:
        """Start the monitor."""
        self.book = Book(self.path, keep_days=400.0, utc_s=lambda: self.utc_s, now_s=lambda: self.now_s)
        self.ledger = Ledger(
            self,
            RECIPE,
            lambda name, position: self.timelines[name].utc_s(position),
            self.facts.append,
            utc_s=lambda: self.utc_s,
            now_s=lambda: self.now_s,
        )
        for name in self.stations:
            self.timelines[name] = Timeline(rate_hz=RATE, hop_samples=HOP)
            self.positions[name] = None
        self.ledger.set_stations(dict.fromkeys(self.stations, -60.0))
        self.tick_s = self.now_s + WRITE_S

    def crash(self) -> None:
        """Kill it: what is not on disk is gone."""
        self.book.close()

    def stop(self) -> None:
        """Stop it as it stops."""
        self.ledger.tick(over=True)
        self.book.close()

    def wait(self, seconds: float) -> None:
        """Let time pass without sound."""
        for name in self.stations:
            self.positions[name] = None
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self._pass(min(1.0, until_s - self.now_s))

    def listen(self, seconds: float, kind: str = "m", *, shed: bool = False, only: str = "") -> None:
        """Receive sound of a kind, in pieces, and analyse it unless it is shed."""
        for _ in range(round(seconds * RATE / PIECE)):
            self._pass(PIECE / RATE)
            for name in (only,) if only else self.stations:
                self._receive(name, kind, shed=shed)

    def _receive(self, name: str, kind: str, *, shed: bool) -> None:
        timeline, position = self.timelines[name], self.positions[name]
        if position is None:
            position = timeline.begin(self.now_s)
            self.hops[name] = position // HOP
        timeline.heard(position + PIECE, self.now_s, self.wall_s)
        self.ledger.tell(SoundReceived(stream=name, position=position, seconds=PIECE / RATE))
        self.positions[name] = position + PIECE
        while self.hops[name] * HOP + 2 * HOP <= position + PIECE:
            if not shed:
                music = np.array([0.95 if kind == "m" else 0.05], np.float32)
                level = np.array([-90.0 if kind == "." else -20.0], np.float32)
                self.ledger.tell(WindowsAnalysed(streams=(name,), hops=np.array([self.hops[name]]), music=music, level_db=level))
            self.hops[name] += 1

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        if self.now_s >= self.tick_s:
            self.tick_s = self.now_s + WRITE_S
            self.ledger.tick()

    def read(self, start_s: float, end_s: float, station: str = "one") -> Airtime:
        return read(self.path, station, start_s, end_s)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ledger.db")


def told(airtime: Airtime, zero_s: float) -> list[tuple[float, float, AirState]]:
    return [(round(one.start_s - zero_s, 1), round(one.end_s - zero_s, 1), one.state) for one in airtime.intervals]


def near(found: list[tuple[float, float, AirState]], expected: list[tuple[float, float, AirState]], within_s: float = 1.0) -> None:
    assert [one[2] for one in found] == [one[2] for one in expected], found
    for one, other in zip(found, expected, strict=True):
        assert one[0] == pytest.approx(other[0], abs=within_s), found
        assert one[1] == pytest.approx(other[1], abs=within_s), found


def detection(kind: EventKind, start_s: float, end_s: float, *, number: int = 1, station: str = "one") -> Detection:
    play = Play(
        stream=station,
        reference_id=7,
        start_s=0.0,
        end_s=1.0,
        reference_start_s=0.0,
        reference_end_s=1.0,
        speed=1.0,
        score=1.0,
        evidence=100.0,
        confidence=1.0,
        detected_s=3.0,
    )
    return Detection(
        id=f"play-{number}",
        kind=kind,
        station=station,
        start_utc_s=start_s,
        end_utc_s=end_s,
        uncertainty_s=0.2,
        detected_utc_s=start_s + 3,
        play=play,
        reference=Reference(id=7, path="x", artist="A", title="T"),
        recipe="r",
        generation=1,
    )


def test_a_day_in_small(world: World) -> None:
    zero_s = world.utc_s
    world.listen(60.0, "m")
    world.listen(30.0, "s")
    world.listen(20.0, ".")
    world.wait(45.0)
    world.listen(40.0, "s")
    world.listen(15.0, "s", shed=True)
    world.listen(30.0, "s")
    world.stop()
    near(
        told(world.read(zero_s, world.utc_s), zero_s),
        [
            (0, 60, MUSIC),
            (60, 90, SPEECH),
            (90, 110, SILENCE),
            (110, 155, NONE),
            (155, 195, SPEECH),
            (195, 210, SHED),
            (210, 240, SPEECH),
        ],
    )


def test_a_crash_loses_the_last_seconds_and_says_so(world: World) -> None:
    zero_s = world.utc_s
    world.listen(60.0)
    world.crash()
    world.wait(0.0)
    world.now_s += 30.0
    world.start()
    world.listen(30.0)
    world.stop()
    found = told(world.read(zero_s, world.utc_s), zero_s)
    near(found, [(0, 52, MUSIC), (52, 90, NONE), (90, 120, MUSIC)], within_s=6.0)
    assert found[1][1] == pytest.approx(90.0, abs=0.5)


def test_what_the_disk_does_not_take_is_kept_and_written_later(world: World) -> None:
    zero_s = world.utc_s
    world.listen(30.0)
    world.full = True
    world.listen(60.0, "s")
    assert world.read(zero_s, zero_s + 90.0).written_s < zero_s + 31.0
    world.full = False
    world.listen(30.0)
    world.stop()
    near(told(world.read(zero_s, world.utc_s), zero_s), [(0, 30, MUSIC), (30, 90, SPEECH), (90, 120, MUSIC)])
    changes = [fact for fact in world.facts if isinstance(fact, LedgerStateChanged)]
    assert (changes[-1].held, changes[-1].reason) == (0, "")
    assert all(fact.held >= 1 and "disk full" in fact.reason for fact in changes[:-1])


def test_memory_is_bounded_while_the_disk_takes_nothing(world: World) -> None:
    world.full = True
    one = world.ledger._stations["one"]
    for second in range(MOST_HELD + 10):
        state = MUSIC if second % 2 else SPEECH
        world.ledger._add(one, one.account.heard(world.utc_s + second, world.utc_s + second + 1, state))
    assert len(one.unwritten) <= MOST_HELD
    world.full = False
    world.now_s += MOST_HELD + 10
    world.ledger.tick()
    start_s = UTC_S
    found = world.read(start_s, start_s + MOST_HELD + 10).intervals
    assert found[0].state is NONE
    assert found[-1].state is MUSIC


def test_a_real_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.db", keep_days=1.0)
    first = [Interval(start_s=UTC_S, end_s=UTC_S + 10, state=MUSIC)]
    book.write(Batch(stretches={"one": first}, plays={}))
    pages = book._database.execute("PRAGMA page_count").fetchone()[0]
    book._database.execute(f"PRAGMA max_page_count = {pages}")
    many = [Interval(start_s=UTC_S + n, end_s=UTC_S + n + 1, state=MUSIC if n % 2 else SPEECH) for n in range(10, 4000)]
    with pytest.raises(LedgerUnwritable, match="full"):
        book.write(Batch(stretches={"one": many}, plays={}))
    assert book.ends() == {"one": UTC_S + 10}
    book._database.execute("PRAGMA max_page_count = 100000")
    book.write(Batch(stretches={"one": many}, plays={}))
    assert book.ends() == {"one": UTC_S + 4000}
    book.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow, as on a disk that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_that_is_full_at_the_start_holds_nobody_up(world: World, again: bool) -> None:
    # The daemon ended with 75, over and over, because of the ledger, while the outbox on another disk would have taken everything.
    zero_s = world.utc_s
    if again:
        world.listen(60.0)
    world.stop()
    if not again:
        world.path.unlink()
    world.now_s += 10.0
    with full_disk():
        world.start()
        world.listen(60.0)
        assert [fact.reason for fact in world.facts if isinstance(fact, LedgerStateChanged)][-1]
    assert world.ledger._fails
    world.listen(60.0)
    assert not world.ledger._fails
    world.stop()
    before = [(0.0, 60.0, MUSIC), (60.0, 70.0, NONE), (70.0, 190.0, MUSIC)]
    near(told(world.read(zero_s, world.utc_s), zero_s), before if again else [(0.0, 10.0, NONE), (10.0, 130.0, MUSIC)])


def test_a_clock_set_years_ahead_forgets_nothing_at_once(tmp_path: Path) -> None:
    now_s, wall_s = 0.0, UTC_S
    book = Book(tmp_path / "ledger.db", keep_days=1.0, utc_s=lambda: now_s + wall_s, now_s=lambda: now_s)
    book.write(Batch(stretches={"one": [Interval(start_s=UTC_S, end_s=UTC_S + 10, state=MUSIC)]}, plays={}))
    wall_s += 3 * 365 * 86400.0
    now_s += 3600.0
    book.prune()
    assert book.ends() == {"one": UTC_S + 10}
    book.close()
    book = Book(tmp_path / "ledger.db", keep_days=1.0, utc_s=lambda: now_s + wall_s, now_s=lambda: now_s)
    book.prune()
    assert book.ends() == {"one": UTC_S + 10}
    wall_s -= 3 * 365 * 86400.0
    now_s += 86400.0
    book.prune()
    assert book.ends() == {}, "a clock that is right prunes as ever"
    book.close()


def test_plays_are_laid_over_revised_ended_and_taken_back(world: World) -> None:
    zero_s = world.utc_s
    world.listen(20.0)
    world.ledger.told([detection(EventKind.STARTED, zero_s + 10, zero_s + 20)])
    world.listen(40.0)
    near(told(world.read(zero_s, zero_s + 50), zero_s), [(0, 10, MUSIC), (10, 50, MATCHED)])  # it may go on
    world.ledger.told([detection(EventKind.ENDED, zero_s + 8, zero_s + 35)])
    world.ledger.told([detection(EventKind.ENDED, zero_s + 40, zero_s + 45, number=2)])
    world.listen(20.0)
    expected = [(0, 8, MUSIC), (8, 35, MATCHED), (35, 40, MUSIC), (40, 45, MATCHED), (45, 60, MUSIC)]
    near(told(world.read(zero_s, zero_s + 60), zero_s), expected)
    world.ledger.told([detection(EventKind.RETRACTED, zero_s + 40, zero_s + 45, number=2)])
    world.stop()
    near(told(world.read(zero_s, zero_s + 60), zero_s), [(0, 8, MUSIC), (8, 35, MATCHED), (35, 60, MUSIC)])


def test_a_play_a_crash_left_on_air_ends_where_it_was_last_told(world: World) -> None:
    zero_s = world.utc_s
    world.listen(20.0)
    world.ledger.told([detection(EventKind.UPDATED, zero_s + 5, zero_s + 18)])
    world.listen(20.0)
    world.crash()
    world.start()
    world.listen(20.0)
    world.stop()
    assert [one for one in told(world.read(zero_s, zero_s + 30), zero_s) if one[2] is MATCHED] == [(5.0, 18.0, MATCHED)]


def test_stations_do_not_mix(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db", stations=("one", "two"))
    zero_s = world.utc_s
    for _ in range(4):
        world.listen(20.0, "m", only="one")
        world.listen(20.0, "s", only="two")
    world.stop()
    for name, sound in (("one", MUSIC), ("two", SPEECH)):
        airtime = world.read(zero_s, world.utc_s, name)
        assert {one.state for one in airtime.intervals} <= {sound, NONE}
        assert sum(one.seconds for one in airtime.intervals if one.state is sound) == pytest.approx(80.0, abs=2.0)


def test_a_source_that_is_opened_anew_begins_its_positions_anew(world: World) -> None:
    zero_s = world.utc_s
    world.listen(30.0, "m")
    world.ledger.close_station("one")
    world.timelines["one"], world.positions["one"] = Timeline(rate_hz=RATE, hop_samples=HOP), None
    world.listen(30.0, "s")
    world.stop()
    near(told(world.read(zero_s, world.utc_s), zero_s), [(0, 30, MUSIC), (30, 60, SPEECH)])


def test_a_removed_station_keeps_its_account_and_may_come_back(world: World) -> None:
    zero_s = world.utc_s
    world.listen(30.0)
    world.ledger.set_stations({})
    world.ledger.close_station("one")
    world.positions["one"] = None
    world.now_s += 100.0
    world.ledger.tick()
    assert repr(world.ledger).startswith("Ledger(0 stations")
    world.ledger.set_stations({"one": -60.0})
    world.listen(30.0)
    world.stop()
    near(told(world.read(zero_s, world.utc_s), zero_s), [(0, 30, MUSIC), (30, 130, NONE), (130, 160, MUSIC)])


def test_the_numbers_count_every_second_once(world: World) -> None:
    zero_s = world.utc_s
    world.listen(60.0)
    world.ledger.told([detection(EventKind.STARTED, zero_s + 50, zero_s + 60)])
    world.listen(40.0)
    world.wait(80.0)
    world.listen(40.0)
    world.stop()
    told_s = dict.fromkeys(AirState, 0.0)
    for fact in world.facts:
        if isinstance(fact, AirtimeWritten):
            told_s[fact.state] += fact.seconds
    assert sum(told_s.values()) == pytest.approx(world.utc_s - zero_s, abs=0.5)
    assert told_s[MATCHED] == pytest.approx(50.0 + 40.0, abs=15.0)
    assert told_s[NONE] == pytest.approx(80.0, abs=2.0)


@pytest.mark.parametrize("step_s", [2.0, -2.0, 3600.0, -7200.0])
def test_a_step_of_the_wall_clock_leaves_no_hole_and_no_overlap(world: World, step_s: float) -> None:
    zero_s = world.utc_s
    world.listen(120.0)
    world.wall_s += step_s
    world.listen(120.0)
    world.stop()
    start_s = min(zero_s, zero_s + 120.0 + step_s)
    found = world.read(start_s, world.utc_s)
    assert sum(one.seconds for one in found.intervals) == pytest.approx(world.utc_s - start_s)
    assert found.written_s == pytest.approx(world.utc_s, abs=0.5)
    heard_s = sum(one.seconds for one in found.intervals if one.state is MUSIC)
    lost_s = {2.0: 0.0, -2.0: 2.0, 3600.0: 0.0, -7200.0: 120.0}[step_s]
    assert heard_s == pytest.approx(240.0 - lost_s, abs=3.0)


lives = st.lists(
    st.tuples(
        st.sampled_from(("music", "speech", "silence", "shed", "away", "crash", "stop", "full", "ntp")),
        st.integers(2, 160),
    ),
    min_size=1,
    max_size=7,
)


def unsettled_s(truth: list[tuple[float, float, AirState]], at_s: float) -> float:
    """Return how much before a moment is not on disk then.

    What was shed is known to be when something later is analysed, or it is overdue, or nothing more comes.
    """
    shed = any(state is SHED and end_s > at_s - OVERDUE_S for _, end_s, state in truth)
    return WRITE_S + LATE_S + (OVERDUE_S if shed else 0.0)


@given(lives, st.integers(0, 2**20))
@settings(deadline=None, max_examples=25)
def test_every_life_adds_up_and_is_told_as_it_was(life: list[tuple[str, int]], seed: int) -> None:
    folder = Path(tempfile.mkdtemp())
    draw = random.Random(seed)
    try:
        world = World(folder / "ledger.db")
        zero_s = full_s = world.utc_s
        world.listen(6.0)
        truth: list[tuple[float, float, AirState]] = []
        blurred = []
        """Where the truth is not known to a second: around changes, crashes and steps."""
        for what, quarters in life:
            seconds, begin_s = quarters / 4, world.utc_s
            match what:
                case "music" | "speech" | "silence":
                    world.listen(seconds, {"music": "m", "speech": "s", "silence": "."}[what])
                    truth.append((begin_s, world.utc_s, AirState(what)))
                case "shed":
                    world.listen(seconds, shed=True)
                    truth.append((begin_s, world.utc_s, SHED))
                case "away":
                    world.wait(seconds)
                    truth.append((begin_s, world.utc_s, NONE))
                case "crash":
                    known_s = full_s if world.full else begin_s
                    blurred.append((known_s - unsettled_s(truth, known_s), begin_s))
                    world.crash()
                    world.now_s += seconds
                    world.start()
                    truth.append((begin_s, world.utc_s, NONE))
                case "stop":
                    world.stop()
                    if world.full:  # what the disk never took is lost with the process
                        blurred.append((full_s - unsettled_s(truth, full_s), begin_s))
                    world.now_s += seconds
                    world.start()
                    truth.append((begin_s, world.utc_s, NONE))
                case "full":
                    world.full, full_s = not world.full, full_s if world.full else world.utc_s
                case "ntp":
                    step_s = draw.uniform(-1.0, 1.0)
                    world.wall_s += step_s
                    # What is not yet written moves with the clock: the second it jumped over is missing before it.
                    blurred.append((begin_s - WRITE_S - LATE_S, begin_s + 1.5))
        world.full = False
        world.stop()
        airtime = world.read(zero_s, world.utc_s)
        assert all(one.end_s == other.start_s for one, other in pairwise(airtime.intervals))
        assert sum(one.seconds for one in airtime.intervals) == pytest.approx(world.utc_s - zero_s, abs=1e-6)
        database = sqlite3.connect(folder / "ledger.db")
        rows = database.execute("SELECT start_ms, end_ms FROM stretch ORDER BY start_ms").fetchall()
        database.close()
        assert all(one[1] == other[0] for one, other in pairwise(rows))
        blurred += [(border - 4.5, border + 4.5) for one in truth for border in one[:2]]
        for begin_s, end_s, state in truth:
            at_s = begin_s + 0.25
            while at_s < end_s:
                if not any(start_s <= at_s <= stop_s for start_s, stop_s in blurred):
                    found = next(one.state for one in airtime.intervals if one.start_s <= at_s < one.end_s)
                    assert found is state, (at_s - zero_s, found, state)
                at_s += 0.5
    finally:
        shutil.rmtree(folder)


def test_two_monitors_do_not_write_one_ledger(world: World) -> None:
    with pytest.raises(Exception, match="another monitor is using it"):
        Book(world.path, keep_days=1.0)


def test_what_is_old_is_forgotten(world: World) -> None:
    zero_s = world.utc_s
    world.listen(60.0)
    world.wait(40.0)
    world.now_s += 401 * 86400.0
    world.ledger.tick()
    assert told(world.read(zero_s, zero_s + 60.0), zero_s) == [(0.0, 60.0, NONE)]


def test_a_play_is_kept_as_it_was_last_told(world: World) -> None:
    zero_s = world.utc_s
    world.listen(30.0)
    one = detection(EventKind.ENDED, zero_s + 5, zero_s + 15)
    world.ledger.told([one, replace(one, reference=Reference(id=8, path="y", artist="B", title="U"))])
    world.stop()
    (play,) = world.read(zero_s, world.utc_s).plays
    assert (play.reference, play.artist, play.title, play.on_air) == (8, "B", "U", False)


def test_plays_in_memory_are_bounded_too(world: World) -> None:
    world.full = True
    zero_s = world.utc_s
    world.ledger.told(detection(EventKind.ENDED, zero_s, zero_s + 1, number=number) for number in range(MOST_HELD + 10))
    world.ledger.tick()
    world.full = False
    world.listen(10.0)
    world.stop()
    kept = {play.play for play in world.read(zero_s, world.utc_s).plays}
    assert len(kept) == MOST_HELD
    assert f"play-{MOST_HELD + 9}" in kept
