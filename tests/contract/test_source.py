"""What every source of sound keeps to: the fake that other tests use, and the real one on a real recording."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.capture.stream import FfmpegSource
from monitor.core.recipe import Recipe
from monitor.facts import Fact, SoundReceived, StreamStateChanged
from monitor.messages import Chunk, StreamState
from monitor.pipeline.ports import Source
from monitor.settings import StreamSettings

RECIPE = Recipe(name="any")
SECONDS = 3


class FakeSource:
    """Sound from memory, as fast as it is asked for."""

    def __init__(self, name: str, samples: NDArray[np.float32], tell: Callable[[Fact], None]) -> None:
        self._name = name
        self._samples = samples
        self._tell = tell
        self._opened_utc_s = math.nan

    @property
    def name(self) -> str:
        return self._name

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        self._opened_utc_s = time.time()
        self._tell(StreamStateChanged(stream=self._name, state=StreamState.CONNECTING))
        try:
            for position in range(0, self._samples.size, 2000):
                samples = self._samples[position : position + 2000]
                self._tell(SoundReceived(stream=self._name, position=position, seconds=samples.size / RECIPE.sample_rate_hz))
                if position == 0:
                    self._tell(StreamStateChanged(stream=self._name, state=StreamState.ONLINE))
                yield Chunk(stream=self._name, position=position, samples=samples, arrived_s=time.monotonic())
        finally:
            self._tell(StreamStateChanged(stream=self._name, state=StreamState.OFFLINE))

    def hint(self, position: int) -> None:
        return None

    def utc_s(self, position: int) -> tuple[float, float]:
        if math.isnan(self._opened_utc_s):
            raise LookupError("no sound has been heard yet")
        return self._opened_utc_s + position / RECIPE.sample_rate_hz, 0.0


@pytest.fixture(params=["fake", "ffmpeg"])
def source(request: pytest.FixtureRequest, tmp_path: Path, facts: list[Fact]) -> Source:
    if request.param == "fake":
        time_s = np.arange(SECONDS * 8000) / 8000
        return FakeSource("a", (0.125 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32), facts.append)
    path = tmp_path / "tone.flac"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"sine=440:d={SECONDS}:r=44100", str(path)]
    subprocess.run(command, check=True, timeout=20)
    return FfmpegSource(StreamSettings(name="a", url=str(path), realtime=False), RECIPE, facts.append)


@pytest.fixture
def facts() -> list[Fact]:
    return []


async def test_all_of_the_sound_comes_in_order_and_ends(source: Source) -> None:
    chunks = [chunk async for chunk in source.chunks()]
    assert {chunk.stream for chunk in chunks} == {source.name} == {"a"}
    position, arrived_s = 0, 0.0
    for chunk in chunks:
        assert chunk.position == position
        assert chunk.arrived_s >= arrived_s
        assert chunk.samples.dtype == np.float32
        assert chunk.samples.ndim == 1
        assert 0 < chunk.samples.size <= RECIPE.hop_samples
        position, arrived_s = position + chunk.samples.size, chunk.arrived_s
    assert position == SECONDS * 8000
    sound = np.concatenate([chunk.samples for chunk in chunks])[8000:16000]
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 440


async def test_what_happened_is_told(source: Source, facts: list[Fact]) -> None:
    async for _ in source.chunks():
        pass
    states = [fact.state for fact in facts if isinstance(fact, StreamStateChanged)]
    assert states == [StreamState.CONNECTING, StreamState.ONLINE, StreamState.OFFLINE]
    assert sum(fact.seconds for fact in facts if isinstance(fact, SoundReceived)) == pytest.approx(SECONDS)


async def test_utc_needs_sound_and_rises(source: Source) -> None:
    with pytest.raises(LookupError):
        source.utc_s(0)
    async for _ in source.chunks():
        pass
    (first, sure_s), (second, _) = source.utc_s(0), source.utc_s(8000)
    assert second - first == pytest.approx(1.0)
    assert abs(first - time.time()) < 2 * SECONDS
    assert sure_s >= 0.0


async def test_may_be_closed_in_the_middle(source: Source, facts: list[Fact]) -> None:
    chunks = source.chunks()
    assert isinstance(chunks, AsyncGenerator)
    await anext(chunks)
    await chunks.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)
    assert isinstance(facts[-1], StreamStateChanged)
    assert facts[-1].state is StreamState.OFFLINE
