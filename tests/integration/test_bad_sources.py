"""Sources that mean harm or are broken: a clear line, a number, and no harm to anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from monitor.capture.child import Child
from monitor.capture.ffmpeg import decode, probe
from monitor.capture.stream import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.errors import Permanent
from monitor.facts import Fact, SoundDamaged, StreamRestarted
from monitor.messages import Chunk
from monitor.settings import StreamSettings
from tests.integration.radio import OK_MP3, children, free_port, paced, server, tone

RECIPE = Recipe(name="any")


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ffmpeg" not in children()


async def listen(
    url: str, *, for_s: float = 6.0, count: int = 1000, name: str = "a", **wishes: object
) -> tuple[list[Chunk], list[Fact]]:
    """Listen for a time, or until so many pieces came."""
    facts: list[Fact] = []
    chunks: list[Chunk] = []
    settings = StreamSettings(name=name, url=url, **{"no_data_timeout_s": 3.0} | wishes)
    source = FfmpegSource(settings, RECIPE, facts.append, backoff=Backoff(0.2, 5.0, lambda: 0.0))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s), aclosing(source.chunks()) as sound:
            async for chunk in sound:
                chunks.append(chunk)
                if len(chunks) == count:
                    break
    return chunks, facts


def reasons(facts: list[Fact]) -> list[str]:
    return [fact.reason for fact in facts if isinstance(fact, StreamRestarted)]


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n{head}#EXTINF:4,\n{segment}\n#EXT-X-ENDLIST\n"
FORBIDDEN = {
    "file://{file}": "a protocol that is not allowed from there",
    "concat:{file}|{file}": "names something",
    "subfile,,start,0,end,0,,:{file}": "names something",
    "udp://127.0.0.1:9": "names something|not allowed",
    "unix:/tmp/x": "names something|not allowed",
    "{file}": "",  # a bare path is asked of the web server, which answers with the playlist again
}


async def test_a_playlist_from_the_network_reaches_no_file_and_no_other_protocol(tmp_path: Path) -> None:
    file = await asyncio.to_thread(tone, tmp_path / "secret.ts", "-c:a", "mp2", seconds=4.0)

    async def attempt(head: str, segment: str) -> tuple[list[Chunk], list[str]]:
        playlist = PLAYLIST.format(head=head, segment=segment).replace("{file}", str(file)).encode()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n" + playlist)

        async with server(serve) as port:
            chunks, facts = await listen(f"http://127.0.0.1:{port}/live.m3u8", for_s=5.0)
        return chunks, reasons(facts)

    key, head = '#EXT-X-KEY:METHOD=AES-128,URI="file://{file}"\n', '#EXT-X-MAP:URI="file://{file}"\n'
    attempts = [*(("", segment) for segment in FORBIDDEN), (key, "real.ts"), (head, "real.ts")]
    found = await asyncio.gather(*(attempt(*one) for one in attempts))
    for (_, segment), (chunks, told) in zip(attempts, found, strict=True):
        assert chunks == []
        assert re.search(FORBIDDEN.get(segment, ""), told[0]), (segment, told[0])


async def test_a_redirect_to_a_file_is_not_followed(tmp_path: Path) -> None:
    file = tone(tmp_path / "secret.mp3", seconds=4.0)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: file://{file}\r\nContent-Length: 0\r\n\r\n".encode())

    async with server(serve) as port:
        chunks, facts = await listen(f"http://127.0.0.1:{port}/live", for_s=2.0)
    assert chunks == []
    assert reasons(facts)


async def test_mp3_under_wrong_headers_is_said_and_can_be_helped(tmp_path: Path) -> None:
    mp3 = (await asyncio.to_thread(tone, tmp_path / "a.mp3", "-b:a", "128k")).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: audio/aacp\r\nicy-br: nonsense\r\nicy-metaint: 0\r\n\r\n"

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, b"\xff\xfb\x00\x00 junk \xff\xf1" * 40 + mp3, 16_000, head=head)

    async with server(serve) as port:
        url = f"http://127.0.0.1:{port}/live"
        (none, facts), (chunks, _) = await asyncio.gather(
            listen(url, for_s=6.0), listen(url, for_s=20.0, count=8, ffmpeg_options=("-f", "mp3"))
        )
    assert none == []
    assert reasons(facts)[0].startswith("no sound for 3 s; ffmpeg says: [aac @")
    sound = np.concatenate([chunk.samples for chunk in chunks[2:]])
    assert np.argmax(np.abs(np.fft.rfft(sound))) * 8000 / sound.size == pytest.approx(440, abs=5)


async def test_zeros_without_end_are_given_up_with_patience() -> None:
    served = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.write(OK_MP3)
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    async with server(serve) as port:
        chunks, facts = await listen(f"http://127.0.0.1:{port}/live", for_s=4.0)
    assert chunks == []
    assert 1 <= len(reasons(facts)) <= 6
    assert served <= 7


async def test_a_decoder_that_yields_no_numbers_is_silence_and_counted(tmp_path: Path) -> None:
    sound = np.sin(2 * np.pi * 440 * np.arange(8000 * 6) / 8000).astype("<f4")
    sound[8000:16000] = np.nan
    sound[24000:24100] = 1e30
    command = ["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", "8000", "-ac", "1", "-i", "-", "-c:a", "pcm_f32le"]
    file = tmp_path / "nan.wav"
    await asyncio.to_thread(subprocess.run, [*command, str(file)], input=sound.tobytes(), check=True, timeout=20)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, file.read_bytes(), 64_000, head=b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n")

    async with server(serve) as port:
        chunks, facts = await listen(f"http://127.0.0.1:{port}/live", count=20, for_s=20.0)
    heard = np.concatenate([chunk.samples for chunk in chunks])
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 2.0
    damaged_s = sum(fact.seconds for fact in facts if isinstance(fact, SoundDamaged))
    assert damaged_s == pytest.approx(1.0, abs=0.1)


async def test_192_khz_and_eight_channels(tmp_path: Path) -> None:
    tones = "|".join(f"0.1*sin(2*PI*{hz}*t)" for hz in (500,) * 8)
    file = tmp_path / "wide.flac"
    make = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"aevalsrc={tones}:c=7.1:s=192000:d=4", "-sample_fmt", "s32"]
    await asyncio.to_thread(subprocess.run, [*make, str(file)], check=True, timeout=60)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/flac\r\n\r\n" + file.read_bytes())
        await writer.drain()

    async with server(serve) as port:
        chunks, _ = await listen(f"http://127.0.0.1:{port}/live", count=10, for_s=20.0)
    sound = np.concatenate([chunk.samples for chunk in chunks[2:]])
    assert np.argmax(np.abs(np.fft.rfft(sound))) * 8000 / sound.size == pytest.approx(500, abs=5)


async def test_a_flood_of_datagrams_costs_the_neighbour_nothing(tmp_path: Path) -> None:
    mp3 = tone(tmp_path / "a.mp3", "-b:a", "128k", seconds=30).read_bytes()
    port, stop, sent = free_port(), threading.Event(), [0]

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            data = b"\x47" + np.random.default_rng(1).bytes(60_000)
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sent[0] += out.sendto(data, ("127.0.0.1", port))

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await paced(writer, mp3, 16_000)

    flooding = threading.Thread(target=flood)
    async with server(serve) as web:
        neighbour = asyncio.create_task(listen(f"http://127.0.0.1:{web}/live", for_s=6.5, name="neighbour"))
        await asyncio.sleep(1.0)
        began_s = time.monotonic()
        flooding.start()
        try:
            chunks, facts = await listen(f"udp://127.0.0.1:{port}", for_s=4.5)
        finally:
            stop.set()
            await asyncio.to_thread(flooding.join)
        rate = sent[0] / (time.monotonic() - began_s)
        healthy, told = await neighbour
    print(f"flood of {rate / 1e6:.0f} MB/s; losses told: {reasons(facts)}")
    assert rate > 1e6
    assert chunks == []
    assert reasons(facts)
    assert reasons(told) == []
    assert len(healthy) > 10
    assert [chunk.position for chunk in healthy] == list(range(0, 2000 * len(healthy), 2000))


@pytest.mark.parametrize(("mode", "says"), [(0o644, "may not be executed"), (None, "not installed")])
async def test_an_ffmpeg_that_does_not_run_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None, says: str
) -> None:
    # A PermissionError once came up as a traceback.
    if mode is not None:
        for name in ("ffmpeg", "ffprobe"):
            (tmp_path / name).write_text("#!/bin/sh\n")
            (tmp_path / name).chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Permanent, match=says):
        await Child.start(["ffmpeg", "-version"])
    for attempt in (lambda: probe(tmp_path / "a.mp3"), lambda: list(decode(tmp_path / "a.mp3", RECIPE))):
        with pytest.raises(Permanent, match=says):
            await asyncio.to_thread(attempt)


async def test_an_ffmpeg_that_is_gone_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Missing while the only station was being opened again, as in an upgrade of the system, it ended the daemon with 78 for good.
    mp3 = (await asyncio.to_thread(tone, tmp_path / "a.mp3", "-b:a", "128k", seconds=2.0)).read_bytes()
    there = tmp_path / "bin/ffmpeg"
    there.parent.mkdir()
    real = shutil.which("ffmpeg")
    assert real is not None
    there.symlink_to(real)
    monkeypatch.setenv("PATH", f"{there.parent}")

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.unlink(missing_ok=True)
        writer.write(OK_MP3 + mp3)

    async def come_back() -> None:
        await asyncio.sleep(1.5)
        there.symlink_to(real)

    async with server(serve) as port:
        back = asyncio.create_task(come_back())
        chunks, facts = await listen(f"http://127.0.0.1:{port}/live", for_s=10.0, count=10)
        await back
        assert any("not installed" in reason for reason in reasons(facts)), reasons(facts)
        assert len(chunks) == 10
