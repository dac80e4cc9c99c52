"""Labels are those of the louder sound, what was shown is learned, and the measure counts what the ledger would say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder.engine import load_encoder
from monitor.evaluate.classes import Mixer, cost, fit, measure
from monitor.train.data import Clip

RECIPE = Recipe(name="any")
TONES_HZ = {"music": 440.0, "speech": 1000.0, "noise": 2500.0}
"""Three kinds of sound that any network tells apart."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "pcm").mkdir()
    size = 400_000
    for split in ("train", "validation", "public-test"):
        for kind, tone_hz in TONES_HZ.items():
            sound = np.sin(2 * np.pi * tone_hz * np.arange(size) / 8000)
            (folder / "pcm" / f"{split}-{kind}.i16").write_bytes((8000 * sound).astype("<i2").tobytes())
            clip = Clip(package="p", path=f"unpacked/p/{kind}.ogg", start=0, length=size, sha256="0")
            (folder / "pcm" / f"{split}-{kind}.json").write_text(json.dumps([asdict(clip)]))
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small batches are done sooner by one thread than by many that wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_label_is_the_louder_sound(cache: Path) -> None:
    windows, labels = Mixer(cache, "train", RECIPE, 3).draw(60)
    spectra = np.abs(np.fft.rfft(windows))[:, [round(tone_hz) for tone_hz in TONES_HZ.values()]]
    assert (spectra.argmax(1) == labels).all()
    assert set(labels) == {0, 1, 2}
    assert (np.sort(spectra, axis=1)[:, -2] > 0.1 * spectra.max(1)).any(), "some are mixtures"


def test_what_is_fitted_can_tell_what_it_was_shown(cache: Path) -> None:
    said: list[str] = []
    fitted = fit(cache, RECIPE, 1, said.append, steps=25, batch=8)
    assert fitted.right > 0.5
    assert len(said) == 1


def test_the_measure_has_a_row_for_each_sound_and_the_cost_a_line(cache: Path) -> None:
    engine = load_encoder("compact", "cpu", threads=1, music=True)
    table = measure(cache, "public-test", engine, pieces=1)
    assert len([line for line in table.splitlines() if line.startswith("| music under a voice")]) == 6
    assert "| speech | speech |" in table
    assert "encoded and classified" in cost(engine, load_encoder("compact", "cpu", threads=1), rounds=2)
