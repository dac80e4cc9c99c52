"""What is on air and unknown is really unknown to the catalogue it is held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate import strangers
from monitor.evaluate.strangers import Cast, cast, sharing
from monitor.train.data import Clip, Clips
from tests.unit.core.stories import fingerprints, recording

RECIPE = Recipe(name="small", dim=16, sample_rate_hz=100, window_samples=100, hop_samples=50)


def test_unknown_is_a_recording_whose_package_and_whatever_sounds_like_it_are_not_catalogued() -> None:
    """Of four catalogued recordings the second shares its package with what is on air, the fourth holds a quarter of its sound."""
    first, second, third, on_air = (fingerprints(recording(seed, 40)) for seed in (1, 2, 3, 4))
    fourth = np.concatenate([fingerprints(recording(5, 60)), on_air[20:40]])
    kept = {("validation", 0): first, ("validation", 1): second, ("train", 0): third, ("train", 1): fourth}
    stranger = ("train", 7)
    packages = {("validation", 0): "a", ("validation", 1): "b", ("train", 0): "c", ("train", 1): "d", stranger: "b"}
    aired = Cast(
        paths=dict.fromkeys(packages, "a.ogg"),
        packages=packages,
        catalogued=kept,
        elsewhere={},
        of_elsewhere={stranger: on_air},
        twins=sharing(kept | {stranger: on_air}),
    )
    assert aired.kin(stranger) == [2, 4]
    assert aired.kin(("validation", 0)) == [1]
    assert aired.right(("validation", 0)) == {1}
    assert aired.right(("train", 1)) == {4}


class Spectrum:
    """Encodes a window as the magnitudes of some of its frequencies."""

    def encode(self, windows: np.ndarray) -> np.ndarray:
        rows = np.abs(np.fft.rfft(windows, axis=1))[:, 1:17].astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def clips(split: str, lengths_s: list[int]) -> Clips:
    lengths = [length_s * RECIPE.sample_rate_hz for length_s in lengths_s]
    ends = np.cumsum(lengths).tolist()
    pcm = np.random.default_rng(len(split)).integers(-9000, 9000, ends[-1]).astype(np.int16)
    return Clips(
        pcm,
        [
            Clip(package=f"{split} {at}", path=f"{split}/{at}.ogg", start=end - length, length=length, sha256="")
            for at, (end, length) in enumerate(zip(ends, lengths, strict=True))
        ],
    )


def test_what_is_on_air_from_elsewhere_is_long_enough_and_is_not_catalogued(monkeypatch: pytest.MonkeyPatch) -> None:
    train = clips("train", [90, 70, 61, 80, 30, 75, 60])
    monkeypatch.setattr(strangers, "open_split", lambda *_: train)
    monkeypatch.setattr(strangers, "FILLING", 3)
    encoder = Spectrum()
    stored = {1: encoder.encode(np.ones((4, 100), np.float32))}
    seen = set()
    for seed in range(20):
        aired = cast(Path(), clips("validation", [40, 41]), stored, encoder, RECIPE, np.random.default_rng(seed))
        assert next(iter(aired.catalogued)) == ("validation", 1)
        assert next(iter(aired.paths.values())) == "validation/1.ogg"
        assert len(aired.catalogued) == len(aired.paths) == 4
        assert not aired.catalogued.keys() & aired.elsewhere.keys()
        assert aired.elsewhere.keys() == aired.of_elsewhere.keys()
        for name, sound in aired.elsewhere.items():
            assert len(sound) == 60 * RECIPE.sample_rate_hz
            assert aired.of_elsewhere[name].shape == (119, 16)
            there = np.lib.stride_tricks.sliding_window_view(train.recording(name[1]), 9)
            assert np.count_nonzero(np.all(there == sound[:9], axis=1)) == 1
            seen.add(name)
    assert seen == {("train", number) for number in (0, 1, 2, 3, 5)}
