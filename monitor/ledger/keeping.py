"""From facts to the account of every station: what was received, what it was, when it was; written every few seconds.

Knows facts, the clock and the rules in `core/hearing.py` and `core/airtime.py`. Knows nothing of sound, networks or SQL.

A fact only joins a queue, so that nobody waits for a disk. What was received and analysed is placed in UTC once its time is known
to a second, or after `PLACED_S`. A station that sends nothing is written as not received `ABSENT_S` behind the clock. What the
disk does not take stays in memory, up to `MOST_HELD` intervals a station; beyond that the oldest are given up and become `not
received`. At a crash what is not on disk becomes `not received` too, at the next start: `WRITE_S` and the delay of the analysis.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from monitor.core.airtime import SET_BACK_S, Account, Interval, Span, join, overlay, totals
from monitor.core.hearing import Hearing, Stretch
from monitor.core.recipe import Recipe
from monitor.errors import Transient
from monitor.facts import AirtimeWritten, Fact, LedgerStateChanged, SoundReceived, Tell, WindowsAnalysed
from monitor.ledger.book import Batch, PlayRow
from monitor.messages import Detection, EventKind

WRITE_S = 5.0
"""What a crash may cost, and what a transaction is worth."""
ABSENT_S = 30.0
"""Sound that was held up on the way comes within so long: the daemon opens a quiet stream again after 10 s."""
PLACED_S = 30.0
"""After so long the time of a sample is as well known as it will be."""
SURE_S = 1.0
STEP_S = 0.25
"""Sound whose ends lie farther apart in UTC than it is long has lost something in between."""
MOST_HELD = 20_000
"""Intervals of one station in memory while the disk takes none: some days of talk and music. As many plays of all stations."""
PRUNE_S = 3600.0

Place = Callable[[str, int], tuple[float, float]]
"""Station and position in samples to UTC seconds and their uncertainty; LookupError when it is not known any more."""


class Store(Protocol):
    """What the ledger is kept in."""

    def ends(self) -> Mapping[str, float]:
        """Say where each station's account ends."""
        ...

    def write(self, batch: Batch) -> None:
        """Keep a batch, all or nothing."""
        ...

    def prune(self) -> None:
        """Forget what is old."""
        ...


class _Station:
    """One station on its way to the disk."""

    def __init__(self, recipe: Recipe, account: Account, silence_db: float) -> None:
        self.hearing = Hearing(recipe, silence_db=silence_db)
        self.account = account
        self.silence_db = silence_db
        self.waiting: deque[Stretch] = deque()
        """Settled, not yet placed in UTC."""
        self.unwritten: list[Interval] = []
        self.counted_s = account.end_s
        """Up to here the seconds are told."""
        self.heard_s = float("-inf")
        """Monotonic time of the last sound."""
        self.closed = False
        self.plays: dict[str, Span] = {}
        """Of the last minutes, for the numbers."""


class Ledger:
    """Keeps every station's account. `tell` and `told` may be called from any thread and wait for nothing."""

    def __init__(
        self,
        store: Store,
        recipe: Recipe,
        place: Place,
        tell: Tell,
        *,
        utc_s: Callable[[], float] = time.time,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._recipe, self._place, self._say = store, recipe, place, tell
        self._utc_s, self._now_s = utc_s, now_s
        self._queue: deque[SoundReceived | WindowsAnalysed | Detection] = deque()
        self._guard = threading.Lock()
        """Of everything but the queue."""
        self._ends = dict(store.ends())
        self._stations: dict[str, _Station] = {}
        self._wanted: frozenset[str] = frozenset()
        self._plays: dict[str, PlayRow | None] = {}
        self._fails = False
        self._pruned_s = now_s()

    def __repr__(self) -> str:
        return f"Ledger({len(self._stations)} stations, {sum(len(one.unwritten) for one in self._stations.values())} unwritten)"

    def tell(self, fact: Fact) -> None:
        """Take the facts that say what was received and what it was."""
        if isinstance(fact, SoundReceived | WindowsAnalysed):
            self._queue.append(fact)

    def told(self, detections: Iterable[Detection]) -> None:
        """Take what is said of plays."""
        self._queue.extend(detections)

    def set_stations(self, silence_db: Mapping[str, float]) -> None:
        """Take the stations that are to be listened to, and the level in dBFS below which each is silent.

        A new one's account begins now; one that is known goes on where it was written last. One that is no longer there is let go
        when it is closed.
        """
        with self._guard:
            self._wanted = frozenset(silence_db)
            for name, level_db in silence_db.items():
                if name in self._stations:
                    self._stations[name].silence_db = level_db
                else:
                    self._stations[name] = _Station(self._recipe, Account(self._ends.get(name, self._utc_s())), level_db)

    def close_station(self, name: str) -> None:
        """Settle a station whose source is over, while its positions still have a time; it may come back, from position 0 on."""
        with self._guard:
            self._take()
            if one := self._stations.get(name):
                self._settle(name, one, over=True)
                one.hearing = Hearing(self._recipe, silence_db=one.silence_db)
                one.closed = True

    def tick(self, *, over: bool = False) -> None:
        """Take what was told, settle what can be, write it; `over`: all of it, nothing more is to come."""
        with self._guard:
            self._take()
            for name, one in self._stations.items():
                self._settle(name, one, over=over)
                if name in self._wanted and (over or self._now_s() - one.heard_s > ABSENT_S):
                    self._add(one, one.account.absent(self._utc_s() - (0.0 if over else ABSENT_S)))
            self._write()
            gone = [n for n, one in self._stations.items() if n not in self._wanted and one.closed and not one.unwritten]
            for name in gone:
                self._ends[name] = self._stations.pop(name).account.end_s

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(WRITE_S)
            await asyncio.to_thread(self.tick)

    def _take(self) -> None:
        """Empty the queue into the rules."""
        for _ in range(len(self._queue)):
            match self._queue.popleft():
                case SoundReceived() as sound:
                    if one := self._stations.get(sound.stream):
                        one.heard_s, one.closed = self._now_s(), False
                        one.hearing.received(sound.position, round(sound.seconds * self._recipe.sample_rate_hz))
                case WindowsAnalysed() as windows:
                    for stream, hop, music, level_db in zip(
                        windows.streams, windows.hops.tolist(), windows.music.tolist(), windows.level_db.tolist(), strict=True
                    ):
                        if one := self._stations.get(stream):
                            one.hearing.analysed(hop, music, level_db)
                case Detection() as detection:
                    self._play(detection)

    def _play(self, detection: Detection) -> None:
        gone = detection.kind is EventKind.RETRACTED
        reference = detection.reference
        self._plays[detection.id] = (
            None
            if gone
            else PlayRow(
                play=detection.id,
                station=detection.station,
                start_s=detection.start_utc_s,
                end_s=detection.end_utc_s,
                on_air=detection.kind is not EventKind.ENDED,
                reference=reference.id,
                artist=reference.artist,
                title=reference.title,
            )
        )
        if len(self._plays) > MOST_HELD:
            del self._plays[next(iter(self._plays))]
        if one := self._stations.get(detection.station):
            one.plays.pop(detection.id, None)
            if not gone:
                end_s = detection.end_utc_s if detection.kind is EventKind.ENDED else float("inf")
                one.plays[detection.id] = Span(play=detection.id, start_s=detection.start_utc_s, end_s=end_s)

    def _settle(self, name: str, one: _Station, *, over: bool) -> None:
        """Let what is settled become intervals, as far as its time is known."""
        quiet = self._now_s() - one.heard_s > ABSENT_S
        one.waiting.extend(one.hearing.settle(over=over or quiet))
        while one.waiting:
            stretch = one.waiting[0]
            try:
                end_s, doubt_s = self._place(name, stretch.end - 1)
                if doubt_s > SURE_S and not over and end_s > self._utc_s() - PLACED_S:
                    return
                parts = list(self._placed(name, stretch))
            except LookupError:  # the source is gone, and with it when this was: it stays not received
                parts = []
            one.waiting.popleft()
            for start_s, end_s in parts:
                self._add(one, one.account.heard(start_s, end_s, stretch.state))

    def _placed(self, name: str, stretch: Stretch) -> Iterator[tuple[float, float]]:
        """Place a stretch in UTC: in parts, where time stepped within it."""
        length_s = (stretch.end - stretch.first) / self._recipe.sample_rate_hz
        sample_s = 1 / self._recipe.sample_rate_hz
        start_s, _ = self._place(name, stretch.first)
        end_s = self._place(name, stretch.end - 1)[0] + sample_s
        if abs(end_s - start_s - length_s) <= STEP_S:
            yield start_s, end_s
        elif stretch.end - stretch.first <= self._recipe.hop_samples:
            yield start_s, start_s + length_s
        else:
            middle = (stretch.first + stretch.end) // 2
            yield from self._placed(name, Stretch(first=stretch.first, end=middle, state=stretch.state))
            yield from self._placed(name, Stretch(first=middle, end=stretch.end, state=stretch.state))

    def _add(self, one: _Station, intervals: Sequence[Interval]) -> None:
        """Put new intervals to those that wait for the disk, in place of what they replace."""
        for new in intervals:
            while one.unwritten and one.unwritten[-1].start_s >= new.start_s:
                one.unwritten.pop()
            if one.unwritten and one.unwritten[-1].end_s > new.start_s:
                last = one.unwritten.pop()
                one.unwritten.append(Interval(start_s=last.start_s, end_s=new.start_s, state=last.state))
            join(one.unwritten, new)
        if len(one.unwritten) > MOST_HELD:
            del one.unwritten[: MOST_HELD // 2]

    def _write(self) -> None:
        batch = Batch(
            stretches={name: tuple(one.unwritten) for name, one in self._stations.items() if one.unwritten}, plays=dict(self._plays)
        )
        prune = self._now_s() - self._pruned_s >= PRUNE_S
        try:
            if batch.stretches or batch.plays:
                self._store.write(batch)
            if prune:
                self._pruned_s = self._now_s()
                self._store.prune()
        except Transient as error:
            self._fails = True
            self._say(LedgerStateChanged(held=sum(map(len, batch.stretches.values())), reason=str(error)))
            return
        if self._fails:
            self._fails = False
            self._say(LedgerStateChanged(held=0))
        self._plays.clear()
        for name in batch.stretches:
            self._count(name, self._stations[name])

    def _count(self, name: str, one: _Station) -> None:
        """Tell how much of what, each second once: as far as it was known when it was written."""
        if one.unwritten[0].start_s < one.counted_s - SET_BACK_S:
            one.counted_s = one.unwritten[0].start_s
        new = [
            Interval(start_s=max(part.start_s, one.counted_s), end_s=part.end_s, state=part.state)
            for part in one.unwritten
            if part.end_s > one.counted_s
        ]
        for state, seconds in totals(overlay(new, one.plays.values())).items():
            if seconds > 0.0:
                self._say(AirtimeWritten(stream=name, state=state, seconds=seconds))
        one.counted_s = max(one.counted_s, one.account.end_s)
        one.unwritten.clear()
        one.plays = {play: span for play, span in one.plays.items() if span.end_s > one.counted_s - PRUNE_S}
