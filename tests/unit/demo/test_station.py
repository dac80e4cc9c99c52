"""A station sends at the pace of the clock, to everybody, and shrugs off who leaves. Real ffmpeg, real HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from monitor.demo.render import SAMPLE_RATE_HZ
from monitor.demo.station import Station, serve

LENGTH_S = 1.5
BITRATE_BPS = 64_000


def tone() -> np.ndarray:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(LENGTH_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    return np.repeat(wave.astype(np.int16)[:, None], 2, axis=1)


def decoded_s(mp3: bytes) -> float:
    command = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "pipe:1"]
    return len(subprocess.run(command, input=mp3, capture_output=True, check=True).stdout) / 2 / SAMPLE_RATE_HZ


def children() -> list[str]:
    """Names of this process's children, dead ones that nobody waited for included."""
    numbers = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{number}/comm").read_text().strip() for number in numbers]


async def test_listeners_hear_the_whole_programme_at_its_own_pace(free_port, caplog) -> None:
    station, port = Station("one", tone(), BITRATE_BPS), free_port()
    async with serve([station], port), aiohttp.ClientSession() as session:
        running = asyncio.create_task(station.run())
        await asyncio.sleep(0.05)
        assert station.sent_utc_s is None, "nothing is sent before somebody listens"
        began_s = time.monotonic()
        async with session.get(f"http://127.0.0.1:{port}/one") as answer, session.get(f"http://127.0.0.1:{port}/one") as leaver:
            assert answer.headers["Content-Type"] == "audio/mpeg"
            assert answer.headers["icy-br"] == "64"
            await leaver.content.read(100)
            leaver.close()
            heard = await answer.read()
        took_s = time.monotonic() - began_s
        await running
        # Killing the encoder that had just ended took its status from asyncio, which warned of an unknown child process.
        assert not caplog.records
        assert station.sent_utc_s == pytest.approx(time.time() - took_s, abs=2.0)
        assert LENGTH_S - 0.1 <= took_s <= LENGTH_S + 5.0
        assert 0.0 <= station.delay_s <= 5.0, "a busy machine may be late"
        async with session.get(f"http://127.0.0.1:{port}/one") as late:
            assert late.status == 503
    assert decoded_s(heard) == pytest.approx(LENGTH_S, abs=0.15)


async def test_a_cancelled_station_leaves_no_encoder_behind(free_port) -> None:
    station, port = Station("one", tone(), BITRATE_BPS, rounds=None), free_port()
    async with serve([station], port), aiohttp.ClientSession() as session:
        running = asyncio.create_task(station.run())
        async with session.get(f"http://127.0.0.1:{port}/one") as answer:
            await answer.content.read(1000)
            assert "ffmpeg" in children()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.wait_for(answer.read(), 1.0)
    assert "ffmpeg" not in children()
