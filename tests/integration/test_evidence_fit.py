"""A whole fit of the evidence, on made-up tunes: one network hears the air, another has made what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.evaluate import fit as fitting
from monitor.evaluate import strangers
from tests.unit.train.clips import pack

LEANING = 0.6
"""What the last number of a fingerprint is, or its negative for another network."""
TRAINED, VALIDATED, LASTING_S = 4, 3, 41
"""Recordings of the two splits, and how long each is."""


class Bands:
    """An encoder of the levels of 127 bands; what hears the air for it differs from it in the sign of the last number."""

    def __init__(self, query: str = "") -> None:
        self.recipe, self.query = Recipe(name="bands"), query
        self._last = -LEANING if query else LEANING
        self.asked: list[NDArray[np.float32]] = []

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += list(windows)
        power = np.abs(np.fft.rfft(windows))[:, 30 : 30 + 127 * 20].reshape(len(windows), 127, 20).max(2)
        level = np.log(power + 1e-3)
        level -= level.mean(axis=1, keepdims=True)
        level *= np.sqrt(1 - LEANING**2) / np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-9)
        return np.hstack([level, np.full((len(level), 1), self._last)]).astype(np.float32)


def tunes(count: int, seconds: int, seed: int) -> NDArray[np.int16]:
    """Return so many tunes of four notes a second."""
    random = np.random.default_rng(seed)
    pitch_hz = 100 * 2 ** (random.integers(0, 48, (count, 4 * seconds)) / 12)
    phase = 2 * np.pi * np.cumsum(np.repeat(pitch_hz, 2000, axis=1), axis=1) / 8000
    return (6000 * np.sin(phase) + 300 * random.standard_normal(phase.shape)).astype("<i2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of packed tunes, each of a package of its own, voices and noise."""
    folder = tmp_path_factory.mktemp("fit")
    kinds = [("train", "music", TRAINED), ("validation", "music", VALIDATED)]
    kinds += [(split, kind, 1) for split in ("train", "validation") for kind in ("speech", "noise")]
    for number, (split, kind, count) in enumerate(kinds):
        pack(folder, split, kind, tunes(count, LASTING_S, number))
    return folder


def test_one_network_hears_what_another_has_stored(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evidence is of what the one says of the air beside what the other stores: each recording once, as it is."""
    monkeypatch.setattr(fitting, "FOREIGN_S", 30)
    monkeypatch.setattr(fitting, "NEEDED", (0.1, 0.5, 1.0))
    monkeypatch.setattr(fitting, "STRANGERS", 100)
    monkeypatch.setattr(strangers, "FILLING", 2)
    monkeypatch.setattr(strangers, "ELSEWHERE_S", 30)
    said: list[str] = []
    hearing, storing = Bands("another"), Bands()
    fitted = fitting.fit(cache, hearing, storing, said.append)  # type: ignore[arg-type]
    evidence = fitted.evidence
    assert (evidence.recipe, evidence.query) == (Recipe(name="bands").hash, "another")
    assert (evidence.cohort[:, -1] < 0).all()
    clean = next(line for line in said if "under clean" in line)
    assert float(clean.split()[2]) < 1 - 2 * LEANING**2
    assert fitted.told_right > 0
    recordings = b"".join((cache / "pcm" / f"{split}-music.i16").read_bytes() for split in ("train", "validation"))
    assert all((one[:200] * 32768).round().astype("<i2").tobytes() in recordings for one in storing.asked)
    catalogued, elsewhere = (VALIDATED + 2) * (2 * LASTING_S - 1), (TRAINED - 2) * (2 * strangers.ELSEWHERE_S - 1)
    assert len(storing.asked) == catalogued + elsewhere
