"""A source on a real Icecast server: burst on connecting, time, restarts, another format."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from monitor.capture.stream import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.framing import Framer
from monitor.core.recipe import Recipe
from monitor.facts import Fact, StreamRestarted, StreamStateChanged
from monitor.messages import Chunk
from monitor.settings import StreamSettings
from tests.integration.radio import Icecast, icecast

RECIPE = Recipe(name="any")
MP3 = ("-c:a", "libmp3lame", "-b:a", "128k", "-content_type", "audio/mpeg", "-f", "mp3")
OPUS = ("-c:a", "libopus", "-b:a", "96k", "-content_type", "application/ogg", "-f", "ogg")


@pytest.fixture
def station(need: Callable[[str], Path]) -> Iterator[Icecast]:
    need("icecast2")
    with icecast() as running:
        yield running


def listen(url: str, facts: list[Fact], *, no_data_timeout_s: float = 10.0) -> FfmpegSource:
    settings = StreamSettings(name="a", url=url, no_data_timeout_s=no_data_timeout_s)
    return FfmpegSource(settings, RECIPE, facts.append, backoff=Backoff(0.2, 0.5, lambda: 0.0))


def pitch_hz(chunk: Chunk) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(chunk.samples)))) * RECIPE.sample_rate_hz / chunk.samples.size


async def test_a_burst_is_heard_at_once_and_placed_in_the_past(station: Icecast) -> None:
    station.broadcast("live.mp3", *MP3)
    await asyncio.sleep(7.0)  # longer than the 4 s that Icecast keeps for the burst
    source = listen(station.url("live.mp3"), [])
    opened_s, opened_utc_s = time.monotonic(), time.time()
    chunks: list[Chunk] = []
    async with aclosing(source.chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            if chunk.arrived_s - opened_s > 5.0:
                break
    first_s = chunks[0].arrived_s - opened_s
    in_first_second = [chunk for chunk in chunks if chunk.arrived_s - opened_s < first_s + 0.5]
    burst_s = sum(chunk.samples.size for chunk in in_first_second) / 8000
    assert first_s < 1.5
    assert burst_s > 2.5
    begun_utc_s, uncertainty_s = source.utc_s(0)
    assert -5.0 < begun_utc_s - opened_utc_s < -2.0
    assert uncertainty_s < 1.0
    now_utc_s, _ = source.utc_s(chunks[-1].position + chunks[-1].samples.size)
    assert abs(now_utc_s - time.time()) < 0.6
    assert {pitch_hz(chunk) for chunk in chunks[2:-1]} == {440.0}


async def test_a_server_that_restarts_with_another_format_is_found_again(station: Icecast) -> None:
    station.broadcast("live", *MP3, hz=440)
    facts: list[Fact] = []
    framer = Framer(RECIPE)
    chunks: list[Chunk] = []
    hops: list[int] = []
    restarted = False
    async with asyncio.timeout(40), aclosing(listen(station.url("live"), facts).chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            hops += [window.hop for window in framer.push(chunk)]
            if not restarted and len(chunks) == 8:
                restarted = True
                await asyncio.to_thread(station.stop)
                await asyncio.to_thread(station.start)
                await asyncio.to_thread(station.broadcast, "live", *OPUS, hz=880)
            if restarted and pitch_hz(chunk) == 880.0 and len(chunks) > 20:
                break
    assert pitch_hz(chunks[4]) == 440.0
    gaps = [later.position - (earlier.position + earlier.samples.size) for earlier, later in itertools.pairwise(chunks)]
    jumps = [gap for gap in gaps if gap]
    assert jumps
    assert all(gap > 0 for gap in gaps if gap)
    assert hops == sorted(set(hops))
    states = [fact.state.value for fact in facts if isinstance(fact, StreamStateChanged)]
    assert states[:2] == ["connecting", "online"]
    assert states[-2:] == ["online", "offline"]
    assert "reconnecting" in states
    reasons = {fact.reason for fact in facts if isinstance(fact, StreamRestarted)}
    assert reasons
    assert all("\n" not in reason for reason in reasons)


async def test_a_mount_that_is_not_on_air_is_a_404_until_it_is(station: Icecast) -> None:
    facts: list[Fact] = []
    async with asyncio.timeout(30), aclosing(listen(station.url("later.mp3"), facts).chunks()) as sound:
        waiting = asyncio.create_task(anext(sound))
        while not any(isinstance(fact, StreamRestarted) for fact in facts):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.to_thread(station.broadcast, "later.mp3", *MP3)
        chunk = await waiting
    assert chunk.position == 0
    (reason, *_) = (fact.reason for fact in facts if isinstance(fact, StreamRestarted))
    assert "404 Not Found; check the address" in reason
