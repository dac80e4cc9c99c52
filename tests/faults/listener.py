"""One station as the daemon hears it, written down: what came when, what was told, what is missing."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monitor.capture import FfmpegSource, SoundcardSource
from monitor.core.framing import Framer
from monitor.core.recipe import Recipe
from monitor.facts import Fact, HintHeard, SoundDamaged, SoundLost, StreamRestarted, StreamStateChanged, WindowsAnalysed
from monitor.ledger.book import Book
from monitor.ledger.keeping import Ledger
from monitor.ledger.reading import read
from monitor.messages import AirState, Chunk, StreamState
from monitor.settings import SourceKind, StreamSettings
from tests.faults.programme import missed_s

RECIPE = Recipe(name="any")
AWAY = (StreamState.RECONNECTING, StreamState.SILENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A fact and when it was told, on the wall clock."""

    at_s: float
    fact: Fact


@dataclass(slots=True)
class Listener:
    """A source of the daemon's, read to memory."""

    settings: StreamSettings
    folder: Path
    """Where its ledger lies."""
    chunks: list[Chunk] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    """When each chunk came, on the wall clock."""
    told: list[Told] = field(default_factory=list)
    _framer: Framer = field(default_factory=lambda: Framer(RECIPE))
    _source: FfmpegSource | SoundcardSource | None = None
    _ledger: Ledger | None = None
    _book: Book | None = None
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Listener:
        card = self.settings.kind is SourceKind.SOUNDCARD
        self._source = (SoundcardSource if card else FfmpegSource)(self.settings, RECIPE, self._tell)
        self._book = Book(self._path, keep_days=1.0)
        self._ledger = Ledger(self._book, RECIPE, lambda _, position: self._utc_s(position), lambda _: None)
        self._ledger.set_stations({self.settings.name: self.settings.silence_db})
        self._task = asyncio.create_task(self._listen(self._source))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert self._book is not None
        self._book.close()

    @property
    def _path(self) -> Path:
        return self.folder / f"ledger-{self.settings.name}.db"

    def _tell(self, fact: Fact) -> None:
        self.told.append(Told(at_s=time.time(), fact=fact))
        if self._ledger is not None:
            self._ledger.tell(fact)

    def _utc_s(self, position: int) -> tuple[float, float]:
        assert self._source is not None
        return self._source.utc_s(position)

    def _analyse(self, chunk: Chunk) -> None:
        """Stand in for the analysis: all that was heard is music, as loud as it is."""
        assert self._ledger is not None
        for window in self._framer.push(chunk):
            power = max(float(np.mean(window.samples**2)), 1e-12)
            self._ledger.tell(
                WindowsAnalysed(
                    streams=(chunk.stream,),
                    hops=np.array([window.hop]),
                    music=np.ones(1, np.float32),
                    level_db=np.array([10 * np.log10(power)], np.float32),
                )
            )

    def not_received_s(self, from_s: float, to_s: float) -> float:
        """Close the ledger's account, and return what it holds for not received between two wall times."""
        assert self._ledger is not None
        self._ledger.tick(over=True)
        airtime = read(self._path, self.settings.name, from_s, to_s)
        return sum(one.end_s - one.start_s for one in airtime.intervals if one.state is AirState.NOT_RECEIVED)

    async def _listen(self, source: FfmpegSource | SoundcardSource) -> None:
        async with aclosing(source.chunks()) as sound:
            async for chunk in sound:
                self.chunks.append(chunk)
                self.at_s.append(time.time())
                self._analyse(chunk)

    async def heard(self, after_s: float = 0.0, *, limit_s: float = 60.0) -> float:
        """Wait until sound has come after a time; return when."""
        until_s = time.time() + limit_s
        while not self.at_s or self.at_s[-1] <= after_s:
            assert self._task is not None
            if self._task.done():
                self._task.result()
            if time.time() > until_s:
                raise TimeoutError(f"{self.settings.name}: no sound within {limit_s:.0f} s")
            await asyncio.sleep(0.05)
        return next(at_s for at_s in self.at_s if at_s > after_s)

    async def reached(self, at_s: float, *, after_s: float, limit_s: float = 20.0) -> None:
        """Wait until the programme of a wall time is heard in what came after another: servers hold back some seconds.

        One that never comes is waited for so long, and then counts as missed.
        """
        until_s = time.time() + limit_s
        while time.time() < until_s:
            new = [chunk.samples for chunk, came_s in zip(self.chunks, self.at_s, strict=True) if came_s > after_s]
            if missed_s(new, at_s - 1.0, at_s + 1.0) == 0:
                return
            await asyncio.sleep(0.25)

    def lost_at(self, after_s: float) -> Told | None:
        """Return when it was first told, after a time, that the stream is away or silent."""
        for told in self.told:
            if told.at_s >= after_s and isinstance(told.fact, StreamStateChanged) and told.fact.state in AWAY:
                return told
        return None

    def restarts(self, after_s: float = 0.0) -> int:
        """Count the losses."""
        return sum(isinstance(told.fact, StreamRestarted) and told.at_s >= after_s for told in self.told)

    def titles(self) -> list[str]:
        """Return what the station said was on air."""
        return [told.fact.title for told in self.told if isinstance(told.fact, HintHeard)]

    def damaged_s(self) -> float:
        """Sum up the samples that were none."""
        return sum(told.fact.seconds for told in self.told if isinstance(told.fact, SoundDamaged))

    def lost_s(self) -> float:
        """Sum up what the sender's time stamps say is missing."""
        return sum(told.fact.seconds for told in self.told if isinstance(told.fact, SoundLost))

    def gaps_s(self, after_s: float = 0.0) -> float:
        """Sum up the jumps of media time since a time on the wall clock: what the daemon itself holds for not received."""
        gap = 0
        for number in range(1, len(self.chunks)):
            before, here = self.chunks[number - 1], self.chunks[number]
            if self.at_s[number] >= after_s:
                gap += here.position - (before.position + before.samples.size)
        return gap / RECIPE.sample_rate_hz

    def missed_s(self, from_s: float, to_s: float) -> int:
        """Count the whole seconds of the programme between two wall times that were never heard."""
        return missed_s([chunk.samples for chunk in self.chunks], from_s, to_s)

    def clock_error_s(self) -> tuple[float, float]:
        """Return how far the newest sound's UTC is from its arrival, and its stated uncertainty."""
        assert self._source is not None
        last = self.chunks[-1]
        utc_s, uncertainty_s = self._source.utc_s(last.position + last.samples.size)
        return utc_s - self.at_s[-1], uncertainty_s

    def longest_pause_s(self) -> float:
        """Return the longest time between two pieces of sound."""
        return max((later - earlier for earlier, later in zip(self.at_s, self.at_s[1:], strict=False)), default=0.0)
