"""A small encoder that is deterministic, real ffmpeg for files, and sounds that differ."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.capture.ffmpeg import decode
from monitor.core.recipe import Recipe

RECIPE = Recipe(name="fake", network="projection", dim=32, weights_sha256="0" * 64)


def project(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fingerprint by a fixed random projection of the log spectrum."""
    spectrum = np.log(np.abs(np.fft.rfft(windows, axis=1))[:, :2048] + 1e-3)
    matrix = np.random.default_rng(1).standard_normal((2048, RECIPE.dim)).astype(np.float32)
    vectors = (spectrum - spectrum.mean(axis=1, keepdims=True)) @ matrix + 1e-3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def noise(seed: int, seconds: float) -> NDArray[np.float32]:
    return (0.2 * np.random.default_rng(seed).standard_normal(round(8000 * seconds))).clip(-1, 1).astype(np.float32)


@pytest.fixture
def recipe() -> Recipe:
    return RECIPE


@pytest.fixture
def encode() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return project


@pytest.fixture
def ffmpeg_decode(need: Callable[[str], Path]) -> Callable[[Path], Iterator[NDArray[np.float32]]]:
    need("ffmpeg")
    return partial(decode, recipe=RECIPE)


@pytest.fixture
def sound_file(tmp_path: Path, need: Callable[[str], Path]) -> Callable[..., Path]:
    """Return a function that writes an audio file by ffmpeg, with tags."""
    ffmpeg = need("ffmpeg")

    def write(name: str, seed: int = 0, seconds: float = 4.0, **tags: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
        source = ["-f", "f32le", "-ar", "8000", "-ac", "1", "-i", "-"]
        arguments = [str(ffmpeg), "-v", "error", "-y", *source, "-bitexact", *labels, str(path)]
        subprocess.run(arguments, input=noise(seed, seconds).tobytes(), check=True)
        return path

    return write
