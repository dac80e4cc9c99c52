"""Streams that misbehave: what is told, what is mended, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from monitor.capture.ffmpeg import decode, probe
from monitor.capture.stream import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.errors import NotAudio
from monitor.facts import Fact, StreamRestarted, StreamStateChanged
from monitor.messages import Chunk
from monitor.settings import StreamSettings
from tests.integration.radio import OK_MP3, children, free_port, paced, server, tone

RECIPE = Recipe(name="any")
BYTES_PER_S = 16_000
"""128 kbit/s."""
PAGE = (
    b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!DOCTYPE html><html><body>"
    + b"<p>Log in to listen</p>" * 400
)
NOT_FOUND = b"HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ffmpeg" not in children()


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tone(tmp_path_factory.mktemp("tones") / "a.mp3", "-b:a", "128k", seconds=30).read_bytes()


def source(url: str, facts: list[Fact], name: str = "a", **settings: object) -> FfmpegSource:
    wanted = StreamSettings(name=name, url=url, **{"no_data_timeout_s": 5.0} | settings)
    return FfmpegSource(wanted, RECIPE, facts.append, backoff=Backoff(0.1, 0.2, lambda: 0.0))


def reasons(facts: list[Fact], stream: str = "a") -> list[str]:
    return [fact.reason for fact in facts if isinstance(fact, StreamRestarted) and fact.stream == stream]


async def until_refused(station: FfmpegSource, facts: list[Fact], times: int = 2) -> list[str]:
    """Listen until the stream was given up `times` times."""
    async with asyncio.timeout(20), aclosing(station.chunks()) as sound:
        task = asyncio.create_task(anext(sound))
        while len(reasons(facts)) < times:  # noqa: ASYNC110 - facts are told to a plain function
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return reasons(facts)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (NOT_FOUND, "404 Not Found"),
        (PAGE, "no sound that ffmpeg can decode|the address is no stream"),
        (PAGE.replace(b"Connection: close\r\n", b""), "no sound that ffmpeg can decode|the address is no stream"),
    ],
    ids=["404", "page", "page without an end"],
)
async def test_an_answer_that_is_no_stream(answer: bytes, says: str) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    facts: list[Fact] = []
    async with server(serve) as port:
        url = f"http://me:secret@127.0.0.1:{port}/live?token=hidden"
        for reason in await until_refused(source(url, facts), facts):
            assert re.search(says, reason)
            assert "\n" not in reason
        for attempt in (probe, lambda target: list(decode(target, RECIPE))):
            with pytest.raises(NotAudio, match=says) as caught:
                await asyncio.to_thread(attempt, url)
            assert "secret" not in str(caught.value)
            assert "hidden" not in str(caught.value)


async def test_nobody_listens_at_the_address() -> None:
    facts: list[Fact] = []
    for reason in await until_refused(source(f"http://127.0.0.1:{free_port()}/live", facts), facts):
        assert "nothing listens at that address" in reason


@pytest.mark.parametrize("head", [b"", OK_MP3], ids=["no answer", "no sound"])
async def test_a_connection_that_hangs_is_given_up(head: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await reader.read()  # until the listener leaves

    facts: list[Fact] = []
    async with server(serve) as port:
        station = source(f"http://127.0.0.1:{port}/live", facts, no_data_timeout_s=0.7)
        assert await until_refused(station, facts) == ["no sound for 0.7 s"] * 2


async def test_a_stream_that_stops_sending_is_opened_again(mp3: bytes) -> None:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.write(OK_MP3 + mp3[: 2 * BYTES_PER_S])
        await reader.read()

    facts: list[Fact] = []
    chunks: list[Chunk] = []
    async with server(serve) as port, asyncio.timeout(20):
        station = source(f"http://127.0.0.1:{port}/live", facts, no_data_timeout_s=1.0)
        async with aclosing(station.chunks()) as sound:
            async for chunk in sound:
                chunks.append(chunk)
                if served == 2:
                    break
    ends = [chunk.position + chunk.samples.size for chunk in chunks]
    assert chunks[-1].position >= ends[-2] + RECIPE.hop_samples
    assert chunks[-1].position % RECIPE.hop_samples == 0
    assert reasons(facts) == ["no sound for 1 s"]


async def test_a_server_that_restarts_in_the_middle(mp3: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, mp3, BYTES_PER_S)

    facts: list[Fact] = []
    port = free_port()
    positions: list[int] = []
    async with asyncio.timeout(30), aclosing(source(f"http://127.0.0.1:{port}/live", facts).chunks()) as sound:
        for _ in range(2):
            async with server(serve, port):
                for _ in range(6):
                    chunk = await anext(sound)
                    positions.append(chunk.position)
    gaps = [later - earlier for earlier, later in itertools.pairwise(positions)]
    assert sum(gap != 2000 for gap in gaps) == 1
    states = [fact.state.value for fact in facts if isinstance(fact, StreamStateChanged)]
    assert states == ["connecting", "online", "reconnecting", "online", "offline"]


async def test_a_stream_in_another_format_after_reconnecting(mp3: bytes, tmp_path: Path) -> None:
    ogg = tone(tmp_path / "b.ogg", "-c:a", "libopus", "-ac", "1", "-b:a", "64k", hz=880, seconds=5).read_bytes()
    answers = [
        OK_MP3 + mp3[: 3 * BYTES_PER_S],
        b"HTTP/1.0 200 OK\r\nContent-Type: application/ogg\r\n\r\n" + ogg,
    ]

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        await writer.drain()

    facts: list[Fact] = []
    chunks: list[Chunk] = []
    async with server(serve) as port, aclosing(source(f"http://127.0.0.1:{port}/live", facts).chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            if len(chunks) == 25:
                break
    crossings = [int((chunk.samples[1:] * chunk.samples[:-1] < 0).sum()) * 8000 / (2 * chunk.samples.size) for chunk in chunks]
    assert crossings[5] == pytest.approx(440, rel=0.05)
    assert crossings[20] == pytest.approx(880, rel=0.05)
    assert "the server closed the connection" in reasons(facts)[0]


async def listen_for_ever(sound: AsyncGenerator[Chunk, None]) -> None:
    async for _ in sound:
        pass


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_an_endless_stream_stops_at_once_and_leaves_nothing(mp3: bytes, how: str) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, mp3, BYTES_PER_S)

    async with server(serve) as port:
        sound = source(f"http://127.0.0.1:{port}/live", []).chunks()
        await anext(sound)
        assert children().count("ffmpeg") == 1
        async with asyncio.timeout(1.0):
            if how == "close":
                await sound.aclose()
            else:
                task = asyncio.create_task(listen_for_ever(sound))
                await asyncio.sleep(0.5)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert task.cancelled()
        assert "ffmpeg" not in children()


async def test_a_flapping_stream_does_not_disturb_its_neighbour(mp3: bytes) -> None:
    async def steady(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, mp3, BYTES_PER_S)

    async def flapping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_MP3 + mp3[:BYTES_PER_S])
        await writer.drain()

    facts: list[Fact] = []
    heard: dict[str, list[Chunk]] = {"good": [], "bad": []}

    async def listen(station: FfmpegSource) -> None:
        async with aclosing(station.chunks()) as sound:
            async for chunk in sound:
                heard[station.name].append(chunk)

    async with server(steady) as good, server(flapping) as bad:
        tasks = [
            asyncio.create_task(listen(source(f"http://127.0.0.1:{port}/live", facts, name)))
            for name, port in (("good", good), ("bad", bad))
        ]
        await asyncio.sleep(6.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(reasons(facts, "bad")) >= 3
    assert reasons(facts, "good") == []
    positions = [chunk.position for chunk in heard["good"]]
    assert positions == list(range(0, 2000 * len(positions), 2000))
    assert len(positions) >= 16
    assert len(heard["bad"]) >= 6


async def test_a_file_that_loops_goes_on_and_one_that_is_missing_is_retried(tmp_path: Path) -> None:
    path = tone(tmp_path / "jingle.flac", seconds=1.0)
    chunks: list[Chunk] = []
    async with asyncio.timeout(10), aclosing(source(str(path), [], loop=True, realtime=False).chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            if len(chunks) == 12:
                break
    assert chunks[-1].position == 11 * 2000
    facts: list[Fact] = []
    assert "no such file" in (await until_refused(source(str(tmp_path / "none.mp3"), facts), facts))[0]


async def test_a_file_comes_at_its_own_pace(tmp_path: Path) -> None:
    path = tone(tmp_path / "two.flac", seconds=2.0)
    arrived_s = [chunk.arrived_s async for chunk in source(str(path), []).chunks()]
    assert arrived_s[-1] - arrived_s[0] == pytest.approx(1.75, abs=0.4)
