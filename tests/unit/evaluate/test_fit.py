"""The fitted curve is the log ratio it claims to be, and the tail is measured as the tracker would meet it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.evaluate import fit as fitting
from monitor.evaluate.fit import BINS, HIGHEST_NATS, LOWEST_NATS, _curve
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.unknown import along_rivals
from monitor.train.data import Clip
from tests.unit.core.stories import EVIDENCE, Air, fingerprints, recording

LEANING = 0.6
"""What the last number of a fingerprint is, or for another network less than nothing."""


def test_the_curve_of_two_normal_distributions_is_their_log_ratio() -> None:
    """N(0.5, 0.1) against N(0, 0.15): log p1 - log p0 is known."""
    random = np.random.default_rng(1)
    same = random.normal(0.5, 0.1, 400_000)
    other = np.histogram(random.normal(0.0, 0.15, 4_000_000), BINS)[0]
    knots, nats = _curve(same, other)
    assert (np.diff(nats) >= 0).all()
    for wanted in (0.2, 0.3, 0.4):
        expected = np.log(0.15 / 0.1) - (wanted - 0.5) ** 2 / 0.02 + wanted**2 / 0.045
        assert float(np.interp(wanted, knots, nats)) == pytest.approx(float(np.clip(expected, LOWEST_NATS, HIGHEST_NATS)), abs=0.35)
    assert nats[0] == pytest.approx(LOWEST_NATS)
    assert 8.5 < nats[-1] <= HIGHEST_NATS


def test_the_windows_along_the_best_alignment_are_alike_where_the_recording_is_known() -> None:
    """Twenty of sixty seconds are of a catalogued recording: lines through those have windows that are as alike, and no others."""
    songs = [recording(seed, 30) for seed in (1, 2)]
    library = MemoryLibrary(["a", "b"], [fingerprints(song) for song in songs])
    strange, known = Air(60), Air(60)
    known.play(songs[1], 20.0, to_s=20.0)
    counted = along_rivals(known.heard(), library, EVIDENCE, BINS)
    assert counted.sum() > 120  # a line has many windows
    alike = BINS[:-1] >= 0.8
    assert counted[alike].sum() > 36
    assert along_rivals(strange.heard(), library, EVIDENCE, BINS)[alike].sum() == 0


class Bands:
    """An encoder of the levels of 127 bands; what hears the air for it differs from it in the sign of the last number."""

    def __init__(self, query: str = "") -> None:
        self.recipe, self.query = Recipe(name="bands"), query
        self._last = -LEANING if query else LEANING

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
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
    (folder / "pcm").mkdir()
    for number, (split, kind, count, seconds) in enumerate(
        [(split, *one) for split in ("train", "validation") for one in (("music", 6, 61), ("speech", 1, 61), ("noise", 1, 61))]
    ):
        sounds = tunes(count, seconds, number)
        (folder / "pcm" / f"{split}-{kind}.i16").write_bytes(sounds.tobytes())
        clips = [
            Clip(
                package=f"{split}-{at}",
                path=f"{split}-{kind}-{at}.ogg",
                start=at * sounds.shape[1],
                length=sounds.shape[1],
                sha256=hashlib.sha256(sound.tobytes()).hexdigest(),
            )
            for at, sound in enumerate(sounds)
        ]
        (folder / "pcm" / f"{split}-{kind}.json").write_text(json.dumps([asdict(one) for one in clips]))
    return folder


def test_one_network_hears_what_another_has_stored(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evidence is of what the one says of the air beside what the other stores of the recording."""
    monkeypatch.setattr(fitting, "FOREIGN_S", 60)
    monkeypatch.setattr(fitting, "NEEDED", (0.1, 0.5, 1.0, 2.0, 4.0))
    said: list[str] = []
    fitted = fitting.fit(cache, Bands("another"), Bands(), said.append)  # type: ignore[arg-type]
    evidence = fitted.evidence
    assert (evidence.recipe, evidence.query) == (Recipe(name="bands").hash, "another")
    assert (evidence.cohort[:, -1] < 0).all()
    clean = next(line for line in said if "under clean" in line)
    assert float(clean.split()[2]) == pytest.approx(1 - 2 * LEANING**2, abs=0.05)
    assert fitted.told_right > 0
