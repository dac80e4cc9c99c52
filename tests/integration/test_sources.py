"""Radio and TV as they really come: each kind of source from a real sender on loopback, all at once, heard by the real capture."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast
from urllib.request import Request, urlopen

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from monitor.capture.ffmpeg import probe
from monitor.capture.stream import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.core.timeline import FLOOR_S
from monitor.facts import Fact, HintHeard, SourceChosen, StreamRestarted
from monitor.messages import Chunk, HintKind
from monitor.settings import Channel, StreamSettings
from tests.faults.origins import Hls
from tests.integration.radio import Icecast, children, free_port, icecast, tone
from tests.integration.timed_id3 import id3, with_id3

RECIPE = Recipe(name="any")
TONES_HZ = (440, 880, 1320)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ffmpeg" not in children()


@dataclass(slots=True)
class Heard:
    """A few seconds of a station."""

    source: FfmpegSource
    chunks: list[Chunk] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    @property
    def pitch_hz(self) -> float:
        samples = np.concatenate([chunk.samples for chunk in self.chunks[-4:]])
        return float(np.argmax(np.abs(np.fft.rfft(samples)))) * RECIPE.sample_rate_hz / samples.size

    @property
    def level(self) -> float:
        return float(np.sqrt(np.mean(np.concatenate([chunk.samples for chunk in self.chunks[-4:]]) ** 2)))


async def hear(url: str, *, count: int = 8, limit_s: float = 30.0, **wishes: object) -> Heard:
    """Listen until `count` pieces of sound came."""
    settings = StreamSettings(name="a", url=url, **{"no_data_timeout_s": 8.0} | wishes)
    facts: list[Fact] = []
    heard = Heard(FfmpegSource(settings, RECIPE, facts.append, backoff=Backoff(0.2, 0.5, lambda: 0.0)), facts=facts)
    async with asyncio.timeout(limit_s), aclosing(heard.source.chunks()) as sound:
        async for chunk in sound:
            heard.chunks.append(chunk)
            if len(heard.chunks) == count:
                break
    return heard


@contextlib.contextmanager
def sending(*arguments: str) -> Iterator[None]:
    """Let an ffmpeg send three tones, one a track, in real time."""
    tones = [part for hz in TONES_HZ for part in ("-re", "-f", "lavfi", "-i", f"sine={hz}:r=48000")]
    process = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", *tones, *arguments], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


TWO_PROGRAMMES = [
    *("-map", "0", "-map", "1", "-map", "2", "-c:a", "mp2", "-b:a", "128k"),
    *("-program", "program_num=101:title=One:st=0:st=1", "-program", "program_num=202:title=Two:st=2"),
    *("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra", "-metadata:s:a:2", "language=eng"),
]


class Rtp(asyncio.DatagramProtocol):
    """Puts an RTP head (RFC 2250, payload type 33) before each datagram of a transport stream. ffmpeg's own knows one programme."""

    def __init__(self, target: int) -> None:
        self._target, self._number, self.port = target, 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, _: object) -> None:
        self._number = (self._number + 1) % 65536
        head = struct.pack(">BBHII", 0x80, 33, self._number, int(time.monotonic() * 90_000) % 2**32, 1)
        self._transport.sendto(head + data, ("127.0.0.1", self._target))


async def test_programmes_and_tracks_of_a_multicast_multiplex() -> None:
    port = free_port()
    url = f"udp://239.255.7.7:{port}?localaddr=127.0.0.1"
    wishes: dict[int, dict[str, object]] = {
        440: {},
        880: {"programme": 101, "track": "fra"},
        1320: {"programme": 202, "channel": Channel.PHASE_SAFE},
        881: {"track": "0x101", "channel": Channel.RIGHT},
    }
    with sending(*TWO_PROGRAMMES, "-f", "mpegts", f"{url}&pkt_size=1316"):
        found = await asyncio.gather(*(hear(url, **wish) for wish in wishes.values()))
        described = await asyncio.to_thread(probe, url)
    for pitch_hz, heard in zip(wishes, found, strict=True):
        assert heard.pitch_hz == pytest.approx(pitch_hz, abs=5)
        assert heard.chunks[-1].position == (len(heard.chunks) - 1) * 2000, "no holes"
    assert [(track.programme, track.language, track.id) for track in described.tracks] == [
        (101, "deu", "0x100"),
        (101, "fra", "0x101"),
        (202, "eng", "0x102"),
    ]
    assert described.programmes == {101: "One", 202: "Two"}


async def test_rtp_carries_the_same_multiplex() -> None:
    port = free_port()
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Rtp(port), ("127.0.0.1", 0))
    with sending(*TWO_PROGRAMMES, "-f", "mpegts", f"udp://127.0.0.1:{relay.port}?pkt_size=1316"):
        heard = await hear(f"rtp://127.0.0.1:{port}", programme=202)
    transport.close()
    assert heard.pitch_hz == pytest.approx(1320, abs=5)


async def test_srt() -> None:
    url = f"srt://127.0.0.1:{free_port()}"
    with sending(*TWO_PROGRAMMES, "-f", "mpegts", f"{url}?mode=listener"):
        heard = await hear(url, track="1")
    assert heard.pitch_hz == pytest.approx(880, abs=5)


async def test_a_named_pipe_is_opened_again_when_its_writer_returns(tmp_path: Path) -> None:
    pipe = tmp_path / "studio"
    os.mkfifo(pipe)

    async def write() -> None:
        for _ in range(2):
            with sending("-map", "0", "-c:a", "flac", "-f", "flac", "-y", "-t", "2.5", str(pipe)):
                await asyncio.sleep(4.0)

    writing = asyncio.create_task(write())
    try:
        heard = await hear(str(pipe), count=12)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert heard.pitch_hz == pytest.approx(440, abs=5)
    assert any(isinstance(fact, StreamRestarted) for fact in heard.facts)


async def test_hls_is_placed_by_the_time_its_playlist_states(tmp_path: Path) -> None:
    window, file = tmp_path / "window", tmp_path / "tone.ts"
    window.mkdir()
    await asyncio.to_thread(tone, file, "-c:a", "mp2", hz=440, seconds=60)
    stated: set[float] = set()

    async def note_dates() -> None:
        """A playlist names five segments: on a busy machine the first one heard has left it before any sound is here."""
        while True:
            stated.update(dates(window))
            await asyncio.sleep(0.2)

    async def placed(source: FfmpegSource) -> None:
        async with aclosing(source.chunks()) as sound:
            async for _ in sound:
                utc_s, uncertainty_s = source.utc_s(0)
                # Placed by arrival it would lie some seconds behind all of them.
                if any(abs(utc_s - segment_s) < 0.06 for segment_s in stated) and uncertainty_s <= FLOOR_S:
                    return
        pytest.fail("the stream ended before it was placed")

    async with Hls(window, file).running() as origin, asyncio.timeout(60):
        settings = StreamSettings(name="a", url=f"http://127.0.0.1:{origin.port}/live.m3u8", no_data_timeout_s=20.0)
        tasks = [asyncio.ensure_future(one) for one in (placed(FfmpegSource(settings, RECIPE, lambda _: None)), note_dates())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def dates(window: Path) -> set[float]:
    """The times that a playlist states for its segments."""
    found = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", (window / "live.m3u8").read_text())
    return {datetime.fromisoformat(one).timestamp() for one in found}


async def test_timed_metadata_of_hls_is_a_hint_at_its_place(tmp_path: Path) -> None:
    made = await asyncio.to_thread(tone, tmp_path / "a.ts", "-c:a", "mp2", "-b:a", "128k", hz=440, seconds=8)
    segment = with_id3(made.read_bytes(), {0.25: id3("Ann - One"), 0.5: id3("Ann - One"), 0.75: id3("Böb - Two")})
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\na.ts\n#EXT-X-ENDLIST\n"

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=segment if request.path == "/a.ts" else playlist.encode(), content_type="application/octet-stream")

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with TestServer(app) as running:
        heard = await hear(str(running.make_url("/live.m3u8")), count=30)
    assert [fact.title for fact in heard.facts if isinstance(fact, HintHeard)] == ["Ann - One", "Böb - Two"]
    for at_s, title in ((1.0, None), (3.0, "Ann - One"), (5.0, "Ann - One"), (7.0, "Böb - Two")):
        hint = heard.source.hint(round(at_s * 8000))
        assert (hint and hint.title) == title
        assert hint is None or hint.kind is HintKind.ID3


async def test_what_is_made_of_two_channels(tmp_path: Path) -> None:
    loud, opposite, soft = "0.5*sin(2*PI*440*t)", "-0.5*sin(2*PI*440*t)", "0.25*sin(2*PI*880*t)"
    wishes = (
        (opposite, Channel.MIX, None, 0.0),
        (opposite, Channel.PHASE_SAFE, 440, 0.354),
        (loud, Channel.PHASE_SAFE, 440, 0.354),
        (soft, Channel.LEFT, 440, 0.354),
        (soft, Channel.RIGHT, 880, 0.177),
    )

    async def listen(number: int, right: str, channel: Channel) -> Heard:
        file = tmp_path / f"{number}.flac"
        make = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"aevalsrc={loud}|{right}:d=3:s=44100", str(file)]
        await asyncio.to_thread(subprocess.run, make, check=True, timeout=20)
        return await hear(str(file), channel=channel, realtime=False)

    found = await asyncio.gather(*(listen(number, right, channel) for number, (right, channel, _, _) in enumerate(wishes)))
    for (_, channel, pitch_hz, level), heard in zip(wishes, found, strict=True):
        assert heard.level == pytest.approx(level, abs=0.005), channel
        assert pitch_hz is None or heard.pitch_hz == pytest.approx(pitch_hz, abs=5), channel


async def test_the_wrap_of_the_senders_clock_is_no_hole(tmp_path: Path) -> None:
    wrapping = ("-c:a", "mp2", "-muxdelay", "0", "-output_ts_offset", "95440.7", "-f", "mpegts")  # 3 s before 2**33 / 90000
    file = await asyncio.to_thread(tone, tmp_path / "wrap.ts", *wrapping, hz=440, seconds=6)
    heard = await hear(str(file), count=23, realtime=False)
    assert [chunk.position for chunk in heard.chunks] == list(range(0, 46_000, 2000))


@pytest.fixture
def station(need: Callable[[str], Path]) -> Iterator[Icecast]:
    need("icecast2")
    with icecast() as running:
        yield running


CODECS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "128k", "-content_type", "audio/mpeg", "-f", "mp3"),
    "aac": ("-c:a", "aac", "-b:a", "96k", "-content_type", "audio/aac", "-f", "adts"),
    "opus": ("-c:a", "libopus", "-b:a", "64k", "-content_type", "application/ogg", "-f", "ogg"),
    "vorbis": ("-c:a", "libvorbis", "-b:a", "96k", "-content_type", "application/ogg", "-f", "ogg"),
    "flac": ("-c:a", "flac", "-content_type", "application/ogg", "-f", "ogg"),
}


async def test_the_codecs_of_radio_and_what_the_station_says(station: Icecast) -> None:
    for hz, (mount, options) in enumerate(CODECS.items(), start=5):
        await asyncio.to_thread(station.broadcast, mount, *options, hz=100 * hz)
    found = await asyncio.gather(*(hear(station.url(mount), count=10) for mount in CODECS))
    for hz, heard in enumerate(found, start=5):
        assert heard.pitch_hz == pytest.approx(100 * hz, abs=5)
    listening = asyncio.create_task(hear(station.url("mp3"), count=34))
    await asyncio.sleep(2.0)
    for title in ("Ann%20-%20One", "B%C3%B6b%20-%20Two%0A%5Bfatal%5D%20x"):
        await asyncio.to_thread(tell_title, station, title)
        await asyncio.sleep(2.0)
    heard = await listening
    titles = [fact.title for fact in heard.facts if isinstance(fact, HintHeard)]
    assert titles[-2] == "Ann - One"
    assert titles[-1].startswith("Böb - Two")
    last = heard.source.hint(heard.chunks[-1].position)
    assert last is not None
    assert (last.kind, last.title) == (HintKind.ICY, titles[-1])
    assert 0 < last.position < heard.chunks[-1].position
    assert heard.source.hint(0) is None or heard.source.hint(0) != last


def tell_title(station: Icecast, title: str) -> None:
    request = Request(f"{station.url('admin/metadata')}?mount=/mp3&mode=updinfo&song={title}&charset=UTF-8")
    request.add_header("Authorization", "Basic YWRtaW46aGFja21l")
    with urlopen(request, timeout=5) as answer:
        assert answer.status == 200


async def test_spares_are_tried_in_order_and_secrets_stay_out_of_what_is_told(station: Icecast) -> None:
    await asyncio.to_thread(station.broadcast, "spare.mp3", *CODECS["mp3"])
    dead = f"http://me:secret@127.0.0.1:{free_port()}/live"
    missing, alive = station.url("none"), station.url("spare.mp3").replace("//", "//me:secret@")
    heard = await hear(dead, spares=(missing, alive))
    (chosen,) = (fact for fact in heard.facts if isinstance(fact, SourceChosen))
    assert chosen.number == 2
    reasons = [fact.reason for fact in heard.facts if isinstance(fact, StreamRestarted)]
    assert ["nothing listens" in reasons[0], "404" in reasons[1]] == [True, True]
    assert "secret" not in repr(heard.facts) + repr(heard.source)
