"""Windows go through encoder and matcher in order; what is too much is dropped and counted; closing and draining wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.facts import BatchEncoded, BatchMatched, Fact, QueuesMeasured, WindowsDropped
from monitor.messages import EventKind, PlayEvent, Window
from monitor.pipeline.analysis import Analysis
from monitor.pipeline.health import Health
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Library
from monitor.settings import EncoderSettings, MatcherSettings
from tests.unit.core.stories import DIM, EVIDENCE, Air, Shelf, recording

RECIPE = Recipe(name="test", window_samples=DIM, hop_samples=DIM // 2, sample_rate_hz=DIM)
"""A window holds its own fingerprint: the encoder below hands it on."""
SONG = recording(1, 60)
SHELF = Shelf.of({1: SONG, 2: recording(2, 30)})


class HandsOn:
    """An encoder whose windows are fingerprints already; waits while `go` is not set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.batches: list[int] = []

    def encode(self, windows: np.ndarray) -> np.ndarray:
        assert self.go.wait(5)
        self.batches.append(len(windows))
        return windows.copy()

    def listen(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.encode(windows), np.full(len(windows), 0.75, np.float32)


@dataclass(kw_only=True)
class Bench:
    analysis: Analysis
    encoder: HandsOn
    health: Health
    facts: list[Fact] = field(default_factory=list)
    said: list[tuple[PlayEvent, int]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def told(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def put(self, stream: str, vectors: np.ndarray, hops: range) -> None:
        for hop in hops:
            self.analysis.put(Window(stream=stream, hop=hop, samples=vectors[hop], arrived_s=time.monotonic()))

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not ready():  # noqa: ASYNC110 - what is waited for happens in another thread
                await asyncio.sleep(0.005)


@asynccontextmanager
async def bench(*, max_batch: int = 16, max_wait_s: float = 0.02, running: bool = True) -> AsyncIterator[Bench]:
    facts: list[Fact] = []
    said: list[tuple[PlayEvent, int]] = []

    def on_events(events: list[PlayEvent], library: Library) -> None:
        said.extend((event, library.generation) for event in events)

    encoder, health = HandsOn(), Health()
    matcher = Matcher(SHELF, EVIDENCE, RECIPE, MatcherSettings(update_every_s=0.0), facts.append)
    settings = EncoderSettings(max_batch=max_batch, max_wait_s=max_wait_s)
    analysis = Analysis(encoder, matcher, settings, on_events=on_events, health=health, tell=facts.append)
    made = Bench(analysis=analysis, encoder=encoder, health=health, facts=facts, said=said)
    if running:
        made.tasks = [asyncio.create_task(analysis.encode()), asyncio.create_task(analysis.match())]
    try:
        yield made
    finally:
        encoder.go.set()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        analysis.shut()


def radio(at_s: float = 5.0) -> np.ndarray:
    air = Air(40)
    air.play(SONG, at_s)
    return air.heard()


async def test_sound_goes_in_and_plays_come_out() -> None:
    async with bench() as made:
        made.put("radio", radio(), range(16))
        await made.until(lambda: len(made.told(BatchMatched)) >= 1)
        made.put("radio", radio(), range(16, 32))
        await made.until(lambda: bool(made.said))
    (event, generation), *rest = made.said
    assert rest == []
    assert (event.kind, event.play.stream, event.play.reference_id, generation) == (EventKind.STARTED, "radio", 1, 1)
    assert made.told(WindowsDropped) == []


async def test_a_lone_window_does_not_wait_for_company_for_ever() -> None:
    async with bench(max_batch=256, max_wait_s=0.05) as made:
        began_s = time.monotonic()
        made.put("radio", radio(), range(1))
        await made.until(lambda: bool(made.told(BatchMatched)))
        assert 0.04 < time.monotonic() - began_s < 0.5
    (fact,) = made.told(BatchEncoded)
    assert isinstance(fact, BatchEncoded)
    assert (fact.windows, fact.capacity) == (1, 256)
    assert fact.oldest_waited_s >= 0.04


async def test_too_much_sound_drops_the_oldest_and_counts_it() -> None:
    """The encoder stands still: 16 may wait."""
    async with bench(running=False) as made:
        made.put("old", radio(), range(10))
        made.put("new", radio(), range(16))
        assert made.facts == [WindowsDropped(stream="old", count=1, where="batcher")] * 10
        made.tasks = [asyncio.create_task(made.analysis.encode()), asyncio.create_task(made.analysis.match())]
        made.analysis.drain()
        await asyncio.gather(*made.tasks)
    assert made.encoder.batches == [16]


async def test_what_may_wait_follows_the_number_of_streams() -> None:
    async with bench(running=False) as made:
        made.analysis.set_streams(10, 2.0)
        for number in range(10):
            made.put(f"radio-{number}", radio(), range(16))
        assert made.facts == []
        made.put("one more", radio(), range(1))
        assert len(made.facts) == 1


async def test_while_the_encoder_is_slow_the_loss_is_in_the_batcher_and_nowhere_else() -> None:
    async with bench(max_batch=4) as made:
        made.encoder.go.clear()
        made.put("radio", radio(), range(4))
        await made.until(lambda: len(made.analysis._batcher) == 0)
        made.put("radio", radio(), range(4, 20))
        assert len(made.told(WindowsDropped)) == 12
        made.encoder.go.set()
        made.analysis.drain()
        await asyncio.gather(*made.tasks)
    assert sum(made.encoder.batches) == 8


async def test_draining_does_what_waits_and_ends_all_plays() -> None:
    async with bench(max_batch=64) as made:
        made.analysis.set_streams(5, 2.0)
        made.put("one", radio(), range(40))
        made.put("two", radio(8.0), range(40))
        made.analysis.drain()
        await asyncio.wait_for(asyncio.gather(*made.tasks), 5)
    assert sum(made.encoder.batches) == 80
    for stream in ("one", "two"):
        assert [event.kind for event, _ in made.said if event.play.stream == stream] == [EventKind.STARTED, EventKind.ENDED]


async def test_closing_a_stream_waits_until_all_that_was_heard_of_it_is_analysed() -> None:
    async with bench(max_batch=64) as made:
        made.encoder.go.clear()
        made.put("one", radio(), range(40))
        closing = asyncio.create_task(made.analysis.close_stream("one"))
        await asyncio.sleep(0.05)
        assert not closing.done()
        assert made.said == []
        made.encoder.go.set()
        await asyncio.wait_for(closing, 5)
        assert [event.kind for event, _ in made.said] == [EventKind.STARTED, EventKind.ENDED]
        made.put("one", radio(), range(1))
        await made.until(lambda: sum(made.encoder.batches) == 41)


async def test_closing_does_not_end_the_plays_of_others() -> None:
    async with bench(max_batch=64) as made:
        made.put("one", radio(), range(40))
        made.put("two", radio(), range(20))
        await asyncio.wait_for(made.analysis.close_stream("two"), 5)
        assert {event.kind for event, _ in made.said if event.play.stream == "one"} == {EventKind.STARTED}


async def test_a_stream_never_heard_can_be_closed_twice() -> None:
    async with bench() as made:
        await asyncio.wait_for(asyncio.gather(made.analysis.close_stream("x"), made.analysis.close_stream("x")), 5)


async def test_closing_survives_the_flood() -> None:
    """The word that a stream is over is never dropped for sound."""
    async with bench(max_batch=4, running=False) as made:
        closing = asyncio.create_task(made.analysis.close_stream("one"))
        await asyncio.sleep(0)
        made.put("two", radio(), range(30))
        made.tasks = [asyncio.create_task(made.analysis.encode()), asyncio.create_task(made.analysis.match())]
        await asyncio.wait_for(closing, 5)
    assert all(fact.stream == "two" for fact in made.told(WindowsDropped) if isinstance(fact, WindowsDropped))


async def test_another_generation_goes_into_service_between_two_batches() -> None:
    async with bench(max_batch=64) as made:
        made.put("one", radio(), range(30))
        await made.until(lambda: len(made.said) == 1)
        made.analysis.swap(SHELF.without(1))
        made.put("one", radio(), range(30, 31))
        await made.until(lambda: len(made.said) == 2)
    assert [(event.kind, generation) for event, generation in made.said] == [(EventKind.STARTED, 1), (EventKind.ENDED, 2)]


async def test_idle_stages_beat() -> None:
    async with bench() as made:
        await made.until(lambda: set(made.health.beats) == {"encoder", "matcher"})
        first = dict(made.health.beats)
        await asyncio.sleep(0.7)
        assert all(made.health.beats[stage] > beat_s for stage, beat_s in first.items())


async def test_a_fault_in_the_encoder_ends_its_stage() -> None:
    """A bug is not to be survived: the process goes down, and systemd brings it back."""
    async with bench() as made:
        made.analysis.put(Window(stream="one", hop=0, samples=np.zeros(DIM, np.float32), arrived_s=time.monotonic()))
        made.analysis.put(Window(stream="one", hop=1, samples=np.zeros(3, np.float32), arrived_s=time.monotonic()))
        with pytest.raises(ValueError, match="shape"):
            await asyncio.wait_for(asyncio.shield(made.tasks[0]), 5)


async def test_stages_can_be_cancelled_at_any_moment() -> None:
    """Once `asyncio.wait_for` of Python 3.11 swallowed the cancellation when a timeout was due, and the stage lived on."""
    for pause_s in (0.0, 0.001, 0.02, 0.021):
        async with bench() as made:
            made.put("one", radio(), range(4))
            await asyncio.sleep(pause_s)
            for task in made.tasks:
                task.cancel()
            _, pending = await asyncio.wait(made.tasks, timeout=1)
            assert not pending


async def test_a_source_that_can_wait_waits_for_room() -> None:
    async with bench(running=False) as made:
        made.put("file", radio(), range(8))
        await asyncio.wait_for(made.analysis.room(), 1)
        made.put("file", radio(), range(8, 12))
        waiting = asyncio.create_task(made.analysis.room())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        made.tasks = [asyncio.create_task(made.analysis.encode()), asyncio.create_task(made.analysis.match())]
        await asyncio.wait_for(waiting, 2)


async def test_rehearsal_sends_silence_through_both_stages_as_they_run() -> None:
    async with bench() as made:
        await asyncio.wait_for(made.analysis.rehearse(DIM), 5)
        assert made.encoder.batches == [1]
        assert [fact.windows for fact in made.told(BatchMatched)] == [1]
        assert made.said == []
        made.encoder.go.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.analysis.rehearse(DIM), 0.1)
        made.encoder.go.set()


async def test_what_waits_is_told_when_asked() -> None:
    async with bench(running=False) as made:
        made.put("a", radio(), range(5))
        assert made.analysis.queues == QueuesMeasured(windows=5, windows_limit=16, batches=0)
