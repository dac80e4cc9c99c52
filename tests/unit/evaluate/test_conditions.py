"""A query is the asked piece of the recording, at the level and the speed its condition names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.evaluate.conditions import CONDITIONS, Studio
from monitor.train.data import open_split
from tests.unit.train.clips import pack_clips

TONE = np.sin(2 * np.pi * 500 * np.arange(20 * 8000) / 8000).astype(np.float32)
NOISE = (0.1 * np.random.default_rng(2).standard_normal(20 * 8000)).astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("audio") / "cache"
    pack_clips(cache)
    return cache


def opened(cache: Path) -> Studio:
    voices, noises = (open_split(cache, "validation", kind) for kind in ("speech", "noise"))
    return Studio(voices, noises, rate_hz=8000, seed=1)


@pytest.fixture(scope="module")
def studio(cache: Path) -> Studio:
    return opened(cache)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_clean_is_the_piece_itself(studio: Studio) -> None:
    query = studio.query(NOISE, 3.0, 2.0, CONDITIONS["clean"])
    assert query.shape == (16000,)
    assert alike(query, NOISE[24000:40000]) > 0.999


@pytest.mark.parametrize(("name", "ratio"), [("voice 0 dB", 1.0), ("voice -6 dB", 0.5), ("voice -12 dB", 0.25)])
def test_a_voice_lies_over_it_at_its_level(studio: Studio, name: str, ratio: float) -> None:
    """Uncorrelated at a level ratio g the cosine is g / sqrt(1 + g^2)."""
    query = studio.query(NOISE, 3.0, 5.0, CONDITIONS[name])
    assert alike(query, NOISE[24000:64000]) == pytest.approx(ratio / (1 + ratio**2) ** 0.5, abs=0.04)


@pytest.mark.parametrize(("name", "speed"), [("speed +2 %", 1.02), ("speed -5 %", 0.95)])
def test_speed_moves_the_pitch(studio: Studio, name: str, speed: float) -> None:
    query = studio.query(TONE, 5.0, 4.0, CONDITIONS[name])
    peak_hz = np.abs(np.fft.rfft(query * np.hanning(len(query)))).argmax() * 8000 / len(query)
    assert peak_hz == pytest.approx(500 * speed, abs=1.5)


@pytest.mark.parametrize("at_s", [0.0, 18.5])
def test_beyond_the_recording_is_silence(studio: Studio, at_s: float) -> None:
    query = studio.query(NOISE, at_s, 3.0, CONDITIONS["clean"])
    assert query.shape == (24000,)
    inside = min(24000, round((20 - at_s) * 8000))
    assert np.abs(query[inside + 400 :]).max(initial=0.0) < 0.05 * np.abs(query).max()


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_every_condition_gives_a_finite_query(studio: Studio, name: str) -> None:
    query = studio.query(NOISE, 4.0, 2.0, CONDITIONS[name])
    assert query.shape == (16000,)
    assert np.isfinite(query).all()
    assert 0.1 < np.abs(query).max() <= 0.71


@pytest.mark.parametrize("name", ["noise 0-10 dB and room", "voice -6 dB", "station chain"])
def test_what_a_query_meets_does_not_hang_on_what_was_asked_before(cache: Path, name: str) -> None:
    alone, after = opened(cache), opened(cache)
    for other in ("voice 0 dB", "speed +2 %"):
        after.query(NOISE, 1.0, 2.0, CONDITIONS[other])
    np.testing.assert_array_equal(alone.query(NOISE, 4.0, 2.0, CONDITIONS[name]), after.query(NOISE, 4.0, 2.0, CONDITIONS[name]))
