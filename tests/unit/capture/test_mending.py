"""What happens between connections: waits, states, gaps, one log line each way. The connections are scripted, the clock is real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from monitor.capture import mending
from monitor.capture.mending import Mender
from monitor.capture.stamped import Heard
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.errors import Permanent, StreamFailed
from monitor.facts import Fact, HintHeard, SoundReceived, StreamRestarted, StreamStateChanged
from monitor.messages import Chunk, Hint, HintKind, Stamp, StampKind
from monitor.settings import StreamSettings

RECIPE = Recipe(name="any")
PIECE = np.full(2000, 0.1, np.float32)
QUIET = np.zeros(2000, np.float32)

Step = NDArray[np.float32] | Stamp | Exception | float | None
"""Sound, a stamp on it, a failure, a wait in seconds, or None: wait for ever."""


class Script:
    """Connections that each follow a list of steps; after the last one the source is over."""

    def __init__(self, *connections: list[Step]) -> None:
        self._connections = list(connections)
        self.closed = 0

    async def __call__(self) -> AsyncGenerator[Heard, None]:
        try:
            for step in self._connections.pop(0):
                if isinstance(step, Exception):
                    raise step
                if step is None:
                    await asyncio.Event().wait()
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.closed += 1


def mender(script: Callable[[], AsyncGenerator[Heard, None]], facts: list[Fact], **settings: float) -> Mender:
    wanted = StreamSettings(name="a", url="x", **{"no_data_timeout_s": 5.0, "silence_after_s": 0.5} | settings)
    return Mender(wanted, RECIPE, facts.append, connect=script, backoff=Backoff(0.01, 0.04, lambda: 0.0))


def states(facts: list[Fact]) -> list[str]:
    return [fact.state.value for fact in facts if isinstance(fact, StreamStateChanged)]


async def all_of(source: Mender) -> list[Chunk]:
    return [chunk async for chunk in source.chunks()]


async def test_a_source_that_ends_ends() -> None:
    facts: list[Fact] = []
    script = Script([PIECE, PIECE])
    chunks = await all_of(mender(script, facts))
    assert [(chunk.position, chunk.samples.size, chunk.stream) for chunk in chunks] == [(0, 2000, "a"), (2000, 2000, "a")]
    assert states(facts) == ["connecting", "online", "offline"]
    assert [fact.seconds for fact in facts if isinstance(fact, SoundReceived)] == [0.25, 0.25]
    assert script.closed == 1


async def test_what_a_counter_says_was_lost_is_a_jump() -> None:
    lost = [PIECE, Stamp(kind=StampKind.MEDIA, seconds=7.0), PIECE, Stamp(kind=StampKind.MEDIA, seconds=9.25), PIECE]
    chunks = await all_of(mender(Script(lost), []))
    assert [chunk.position for chunk in chunks] == [0, 2000, 2000 + 2000 + 16_000]


async def test_a_stated_time_is_the_time_of_its_sample() -> None:
    stated = time.time() - 20.0
    source = mender(Script([Stamp(kind=StampKind.PROGRAMME, seconds=stated, sample=1000), PIECE, PIECE]), [])
    await all_of(source)
    assert source.utc_s(3000)[0] == pytest.approx(stated + 0.25)


async def test_a_lost_connection_is_a_jump_on_the_hop_grid() -> None:
    facts: list[Fact] = []
    chunks = await all_of(mender(Script([PIECE, StreamFailed("gone")], [PIECE, PIECE]), facts))
    first, second, third = (chunk.position for chunk in chunks)
    assert first == 0
    assert second >= 2000 + RECIPE.hop_samples
    assert second % RECIPE.hop_samples == 0
    assert third == second + 2000
    assert states(facts) == ["connecting", "online", "reconnecting", "online", "offline"]
    (restart,) = (fact for fact in facts if isinstance(fact, StreamRestarted))
    assert (restart.reason, restart.retry_in_s) == ("gone", 0.01)


async def test_a_connection_that_hangs_is_closed_and_opened_again() -> None:
    facts: list[Fact] = []
    script = Script([None], [PIECE, None], [PIECE])
    chunks = await all_of(mender(script, facts, no_data_timeout_s=0.1))
    assert len(chunks) == 2
    assert script.closed == 3
    assert [fact.reason for fact in facts if isinstance(fact, StreamRestarted)] == ["no sound for 0.1 s"] * 2


async def test_a_slow_reader_is_not_the_stations_fault() -> None:
    facts: list[Fact] = []
    source = mender(Script([PIECE, PIECE, PIECE]), facts, no_data_timeout_s=0.05)
    positions = []
    async for chunk in source.chunks():
        positions.append(chunk.position)
        await asyncio.sleep(0.1)
    assert positions == [0, 2000, 4000]
    assert not [fact for fact in facts if isinstance(fact, StreamRestarted)]


async def test_silence_is_told_and_ends() -> None:
    facts: list[Fact] = []
    await all_of(mender(Script([PIECE, QUIET, QUIET, QUIET, QUIET, PIECE, PIECE]), facts))
    assert states(facts) == ["connecting", "online", "silent", "online", "offline"]


async def test_a_mistake_of_the_operator_is_passed_on() -> None:
    facts: list[Fact] = []
    with pytest.raises(Permanent, match="no such card"):
        await all_of(mender(Script([Permanent("no such card")]), facts))
    assert states(facts) == ["connecting", "offline"]


async def test_a_dead_stream_is_one_log_line() -> None:
    script = Script(*[[StreamFailed("refused")] for _ in range(20)], [PIECE])
    with capture_logs() as lines:
        await all_of(mender(script, []))
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "stream is lost, trying again"),
        ("info", "stream is online"),
    ]
    assert lines[0]["reason"] == "refused"


async def test_a_flapping_stream_is_no_storm_and_back_is_said_when_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "BACK_AFTER_S", 0.2)
    flaps: list[list[Step]] = [[PIECE, StreamFailed("reset")] for _ in range(10)]
    with capture_logs() as lines:
        await all_of(mender(Script(*flaps, [PIECE, 0.25, PIECE, PIECE]), []))
    assert [line["event"] for line in lines] == ["stream is online", "stream is lost, trying again", "stream is back"]


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_stopping_closes_the_connection(how: str) -> None:
    facts: list[Fact] = []
    script = Script([PIECE, None])
    chunks = mender(script, facts).chunks()
    await anext(chunks)
    if how == "close":
        await chunks.aclose()
    else:
        task = asyncio.create_task(anext(chunks))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert script.closed == 1
    assert states(facts)[-1] == "offline"


async def test_utc_is_that_of_the_wall_clock() -> None:
    source = mender(Script([PIECE]), [])
    with pytest.raises(LookupError):
        source.utc_s(0)
    (chunk,) = await all_of(source)
    utc, uncertainty = source.utc_s(chunk.position + chunk.samples.size)
    assert abs(utc - time.time()) < 0.2
    assert uncertainty < 0.3


async def test_a_station_far_ahead_of_real_time_is_read_no_faster_than_it_plays() -> None:
    # A file served as if it were live, at the speed of the network, pushed the sound of all other stations out of the analysis.
    facts: list[Fact] = []
    settings = StreamSettings(name="a", url="x", no_data_timeout_s=5.0)
    source = Mender(settings, RECIPE, facts.append, connect=Script([PIECE] * 8), lead_s=1.0)
    began_s = time.monotonic()
    chunks = await all_of(source)
    assert len(chunks) == 8
    assert 0.8 < time.monotonic() - began_s < 3.0, "two seconds of sound, one of them at once"


async def test_hints_are_kept_with_their_place_and_told_once() -> None:
    facts: list[Fact] = []
    one, two = Hint(kind=HintKind.ICY, title="One"), Hint(kind=HintKind.ICY, title="Two")
    source = mender(Script([PIECE, one, PIECE, one, PIECE, two, PIECE]), facts)
    await all_of(source)
    assert source.hint(1999) is None
    assert source.hint(2000) == Hint(kind=HintKind.ICY, title="One", position=2000)
    assert source.hint(7999) == Hint(kind=HintKind.ICY, title="Two", position=6000)
    assert [fact.title for fact in facts if isinstance(fact, HintHeard)] == ["One", "Two"]
