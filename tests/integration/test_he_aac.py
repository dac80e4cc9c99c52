"""HE-AAC as radio sends it: spectral band replication and parametric stereo, which show in the frames and not in their headers.

The files are from a real encoder, see he_aac/README.md.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.capture.ffmpeg import decode, probe
from monitor.capture.stream import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.facts import Fact, StreamRestarted
from monitor.settings import Channel, StreamSettings
from tests.integration.radio import server, tone

RECIPE = Recipe(name="any")
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: audio/aacp\r\n\r\n"
FILES = {name: Path(__file__).with_name("he_aac") / f"{name}.aac" for name in ("he-v1", "he-v2")}
FRAME_S = 2048 / 44_100
"""A frame of 1024 samples at the rate of the header is one of 2048 at twice the rate."""


def frames(sound: bytes) -> list[int]:
    """Return the sampling rate that each ADTS frame's header says."""
    rates, at = [], 0
    while at < len(sound):
        assert sound[at] == 0xFF
        assert sound[at + 1] & 0xF0 == 0xF0
        rates.append({4: 44_100, 7: 22_050}[sound[at + 2] >> 2 & 15])
        at += (sound[at + 3] & 3) << 11 | sound[at + 4] << 3 | sound[at + 5] >> 5
    return rates


def pitch_hz(samples: NDArray[np.float32]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * RECIPE.sample_rate_hz / samples.size


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_length_and_the_pitch_that_its_frames_say(name: str) -> None:
    rates = frames(FILES[name].read_bytes())
    assert set(rates) == {22_050}, "band replication is nowhere in the headers"
    described = probe(FILES[name])
    assert (described.codec, described.sample_rate_hz, described.channels) == ("aac", 44_100, 2)
    sound = np.concatenate(list(decode(FILES[name], RECIPE)))
    assert sound.size == pytest.approx(len(rates) * FRAME_S * RECIPE.sample_rate_hz, abs=0.05 * RECIPE.sample_rate_hz)
    assert pitch_hz(sound[8000:24_000]) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("name", FILES)
async def test_the_sides_are_told_apart(name: str) -> None:
    """In v2 there is one channel, and a few numbers a frame that say how loud it is on either side."""
    levels = {}
    for channel in (Channel.LEFT, Channel.RIGHT):
        settings = StreamSettings(name="a", url=str(FILES[name]), channel=channel, realtime=False)
        chunks = [chunk.samples async for chunk in FfmpegSource(settings, RECIPE, lambda _: None).chunks()]
        levels[channel] = float(np.sqrt(np.mean(np.concatenate(chunks)[8000:24_000] ** 2)))
    assert 20 * np.log10(levels[Channel.LEFT] / levels[Channel.RIGHT]) == pytest.approx(12.0, abs=3.0)


async def test_a_station_that_changes_between_kinds_of_aac_is_one_stream(tmp_path: Path) -> None:
    """LC at 44.1 kHz, headers of 22.05 kHz with replication, of one channel, and back: one connection, no hole, one pitch."""
    plain = await asyncio.to_thread(tone, tmp_path / "lc.aac", "-c:a", "aac", "-ac", "2", "-b:a", "96k", "-f", "adts", seconds=4.0)
    parts = [plain, FILES["he-v1"], FILES["he-v2"], plain]
    sound = b"".join(part.read_bytes() for part in parts)
    expected_s = sum(1024 / rate for rate in frames(sound))
    connections = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(HEAD + sound)
        await writer.drain()

    facts: list[Fact] = []
    heard: list[NDArray[np.float32]] = []
    async with server(serve) as port, asyncio.timeout(30):
        settings = StreamSettings(name="a", url=f"http://127.0.0.1:{port}/live", no_data_timeout_s=10.0)
        source = FfmpegSource(settings, RECIPE, facts.append, backoff=Backoff(30.0, 30.0, lambda: 0.0))
        async with aclosing(source.chunks()) as chunks:
            end = 0
            async for chunk in chunks:
                if chunk.position != end:
                    break
                heard.append(chunk.samples)
                end = chunk.position + chunk.samples.size
                if end > (expected_s - 1.0) * RECIPE.sample_rate_hz:
                    break
    assert connections == 1
    assert not [fact for fact in facts if isinstance(fact, StreamRestarted)]
    whole = np.concatenate(heard)
    assert whole.size / RECIPE.sample_rate_hz > expected_s - 1.0
    for second in range(1, int(whole.size / RECIPE.sample_rate_hz) - 1):
        part = whole[second * 8000 : (second + 1) * 8000]
        assert pitch_hz(part) == pytest.approx(440, abs=2), second
