"""What fills a catalogue: the train split's recordings, then the same ones at other speeds, and none that is played."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast import filling
from monitor.evaluate.broadcast.filling import fingerprints, likeness, same, train_split
from monitor.train.data import Clip

RECIPE = Recipe(name="made up", dim=40)
RATE_HZ = RECIPE.sample_rate_hz
TONES_HZ = (310.0, 710.0, 1110.0, 1510.0)


class Spectrum:
    """Says which of forty bands of 100 Hz sound."""

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += len(windows)
        bands = np.abs(np.fft.rfft(windows, axis=1))[:, : RATE_HZ // 2].reshape(len(windows), 40, -1).sum(axis=2)
        return (bands / np.linalg.norm(bands, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)


def tone(pitch_hz: float, length_s: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(round(length_s * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four tones of 12 s in the train split, and one that is too short."""
    monkeypatch.setattr(filling, "LENGTH_S", (5.0, 10.0))
    pack(tmp_path, [12.0, 12.0, 12.0, 12.0, 3.0])
    return tmp_path


def pack(cache: Path, lengths_s: list[float]) -> None:
    (cache / "pcm").mkdir(exist_ok=True)
    sounds = [tone(pitch_hz, length_s) for pitch_hz, length_s in zip((*TONES_HZ, 200.0), lengths_s, strict=True)]
    starts = np.cumsum([0, *map(len, sounds)])
    clips = [
        asdict(Clip(package="p", path=f"{at}.ogg", start=int(start), length=len(sound), sha256=""))
        for at, (start, sound) in enumerate(zip(starts, sounds, strict=False))
    ]
    (np.concatenate(sounds) * 32767).astype("<i2").tofile(cache / "pcm" / "train-music.i16")
    (cache / "pcm" / "train-music.json").write_text(json.dumps(clips))


def loudest_band(rows: NDArray[np.float16]) -> int:
    return int(rows.astype(np.float32).mean(axis=0).argmax())


def test_other_forms_come_in_when_the_recordings_are_too_few_and_are_other_recordings(cache: Path) -> None:
    own = {"played": fingerprints(tone(TONES_HZ[0], 8.0), Spectrum(), RECIPE).astype(np.float32)}
    said: list[str] = []
    plain = train_split(cache, own, Spectrum(), RECIPE, 3, said.append)
    assert set(plain.unplayed) == {"1.ogg", "2.ogg", "3.ogg"}  # one sounds like what is played, one is too short
    assert any("1 recordings that sound like" in line for line in said)
    assert {len(rows) for rows in plain.unplayed.values()} == {19}  # of ten seconds
    more = train_split(cache, own, Spectrum(), RECIPE, 5, said.append)
    assert set(more.unplayed) - set(plain.unplayed) == {"1.ogg x 1.40", "2.ogg x 1.40", "3.ogg x 1.40"}
    for name, pitch_hz in zip(("1.ogg", "2.ogg", "3.ogg"), TONES_HZ[1:], strict=True):
        assert loudest_band(more.unplayed[name]) == int(pitch_hz // 100)
        assert loudest_band(more.unplayed[f"{name} x 1.40"]) == int(1.4 * pitch_hz // 100)
        assert len(more.unplayed[f"{name} x 1.40"]) == round(2 * 10.0 / 1.4) - 1
    assert len(more.base) == len(more.unplayed)


def test_fingerprints_are_kept_until_the_clips_change(cache: Path) -> None:
    first, second, third = Spectrum(), Spectrum(), Spectrum()
    own = {"played": fingerprints(tone(90.0, 8.0), Spectrum(), RECIPE).astype(np.float32)}
    once = train_split(cache, own, first, RECIPE, 2, lambda _: None)
    again = train_split(cache, own, second, RECIPE, 2, lambda _: None)
    assert first.asked > 0
    assert second.asked == 0
    assert {name: rows.tolist() for name, rows in once.unplayed.items()} == {
        name: rows.tolist() for name, rows in again.unplayed.items()
    }
    pack(cache, [12.0, 11.0, 12.0, 12.0, 3.0])
    train_split(cache, own, third, RECIPE, 2, lambda _: None)
    assert third.asked > 0


def test_a_recording_is_another_one_again_if_a_twentieth_of_it_is() -> None:
    random = np.random.default_rng(1)
    known = {name: unit(random.standard_normal((200, 40))) for name in "ab"}
    twin, part, stranger = known["b"].copy(), unit(random.standard_normal((200, 40))), unit(random.standard_normal((200, 40)))
    part[:30] = known["a"][:30]
    assert same({"twin": twin, "part": part, "stranger": stranger}, known) == {"twin": "b", "part": "a"}


def test_impostors_are_checked_as_often_copied_as_in_the_largest_catalogue() -> None:
    """Copies of few recordings are less alike to strangers than as many others: the check must see that."""
    random = np.random.default_rng(2)
    base = [unit(random.standard_normal((480, 8))) for _ in range(40)]
    some = filling.Filling(unplayed={}, base=base)
    strangers = [unit(random.standard_normal((500, 8)))]
    (*_, once) = likeness(strangers, some, 0, RECIPE, 1)
    (*_, often) = likeness(strangers, some, 800, RECIPE, 1)
    assert once.fingerprints == often.fingerprints == 20 * 480
    assert once.real == often.real
    assert once.made[0] == pytest.approx(once.real[0], abs=0.02)
    assert often.made[0] < once.made[0] - 0.01


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
