"""The features are what their description says, computed a second time without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.encoder.features import LogMel
from monitor.errors import EncoderError

RECIPE = Recipe(name="test")


def hz_to_mel(hz: float) -> float:
    """Slaney's scale: linear to 1000 Hz (15 mels), 27 mels per factor of 6.4 above."""
    return hz / (200 / 3) if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def mel_to_hz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def magnitudes(sound: NDArray[np.float32], size: int, step: int) -> NDArray[np.float64]:
    """Return the spectrum [bins, frames] of one window, frame by frame, in float64."""
    padded = np.pad(sound.astype(np.float64), size // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    frames = [padded[at : at + size] * hann for at in range(0, len(padded) - size + 1, step)]
    return np.abs(np.fft.rfft(frames, axis=1)).T


def scaled(bands: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    decibel = 20 * np.log10(np.maximum(bands, 1e-30) / max(bands.max(), 1e-7))
    result: NDArray[np.float64] = 1 + 2 * np.maximum(decibel, -recipe.dynamic_range_db) / recipe.dynamic_range_db
    return result


def reference(sound: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float64]:
    """Return the features [mel_bins, frames] of one window, triangle by triangle."""
    size = recipe.fft_samples
    magnitude = magnitudes(sound, size, recipe.fft_hop_samples)
    bins_hz = np.arange(size // 2 + 1) * recipe.sample_rate_hz / size
    edges_mel = np.linspace(hz_to_mel(recipe.mel_low_hz), hz_to_mel(recipe.mel_high_hz), recipe.mel_bins + 2)
    edges_hz = [mel_to_hz(edge) for edge in edges_mel]
    mel = np.empty((recipe.mel_bins, magnitude.shape[1]))
    for number in range(recipe.mel_bins):
        left, middle, right = edges_hz[number : number + 3]
        triangle = np.minimum((bins_hz - left) / (middle - left), (right - bins_hz) / (right - middle)).clip(0.0)
        mel[number] = 2.0 / (right - left) * triangle @ magnitude
    return scaled(mel, recipe)


def fine_reference(sound: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float64]:
    """Return the fine rows [fine_bins, frames] of one window, by long transforms of every sample."""
    edges_hz = 150 * np.expm1(np.linspace(*np.log1p(np.array([recipe.mel_low_hz, recipe.mel_high_hz]) / 150), recipe.fine_bins + 2))
    rows = []
    for left, middle, right in zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False):
        longer = 4 if middle < 300 else 2 if middle < 980 else 1
        size = longer * recipe.fft_samples
        bins_hz = np.arange(size // 2 + 1) * recipe.sample_rate_hz / size
        around_hz = bins_hz[:, None] + np.linspace(-1, 1, 401) * recipe.sample_rate_hz / size
        height = np.minimum((around_hz - left) / (middle - left), (right - around_hz) / (right - middle)).clip(0.0)
        mean = height @ np.bartlett(401) / np.bartlett(401).sum()
        rows.append(2.0 / (right - left) * mean @ magnitudes(sound, size, recipe.fft_hop_samples) / longer)
    return scaled(np.stack(rows), recipe)


def features(recipe: Recipe, *sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = LogMel(recipe)(torch.from_numpy(np.stack(sounds))).numpy()
    return result


def sounds() -> list[NDArray[np.float32]]:
    random = np.random.default_rng(2)
    time_s = np.arange(8000) / 8000
    return [
        (0.3 * random.standard_normal(8000)).astype(np.float32),
        np.sin(2 * np.pi * 440 * time_s).astype(np.float32),
        np.sin(2 * np.pi * time_s * (200 + 1500 * time_s)).astype(np.float32) * np.linspace(0, 1, 8000, dtype=np.float32),
        (random.standard_normal(8000) * (np.arange(8000) % 2000 < 50)).astype(np.float32),
    ]


@pytest.mark.parametrize(
    "recipe",
    [RECIPE, replace(RECIPE, mel_bins=64, mel_low_hz=300.0, mel_high_hz=3400.0, dynamic_range_db=60.0, fft_hop_samples=200)],
)
def test_features_are_as_described(recipe: Recipe) -> None:
    every = sounds()
    got = features(recipe, *every)
    assert got.shape == (len(every), 1, recipe.mel_bins, recipe.window_samples // recipe.fft_hop_samples + 1)
    assert LogMel(recipe).frames == got.shape[3]
    for sound, found in zip(every, got, strict=True):
        # 2 / 80 a decibel: within a tenth of a decibel, where float32 has not lost the quiet ones beside the loud.
        np.testing.assert_allclose(found[0], reference(sound, recipe), atol=2.5e-3)


@pytest.mark.parametrize("fine_bins", [128, 20])
def test_the_fine_rows_are_as_described(fine_bins: int) -> None:
    """What every fourth sample says of the bass is what all say, to 0.4 dB."""
    recipe = replace(RECIPE, fine_bins=fine_bins)
    every = sounds()
    got = features(recipe, *every)
    assert got.shape == (len(every), 1, 128 + fine_bins, 32)
    np.testing.assert_array_equal(got[:, :, :128], features(RECIPE, *every))
    for sound, found in zip(every, got, strict=True):
        expected = fine_reference(sound, recipe)
        difference = np.abs(found[0, 128:] - expected) * (expected > 0.0)  # the filter's stop band is not told in the lower half
        assert difference[:, 9:-9].max() < 0.01
        assert difference.max() < 0.05  # frames that reach beyond the ends, where the filter rings


def test_without_mel_bins_the_fine_rows_are_all() -> None:
    both, alone = LogMel(replace(RECIPE, fine_bins=20)), LogMel(replace(RECIPE, mel_bins=0, fine_bins=20))
    windows = torch.randn(3, 8000)
    assert torch.equal(alone(windows), both(windows)[:, :, 128:])
    with pytest.raises(EncoderError, match="neither mel_bins nor fine_bins"):
        LogMel(replace(RECIPE, mel_bins=0))


def test_fine_rows_want_a_window_and_a_hop_that_can_be_divided() -> None:
    for wrong in ({"fft_hop_samples": 125}, {"window_samples": 8191}):
        with pytest.raises(EncoderError, match="fft_hop_samples and window_samples must be multiples of 4"):
            LogMel(replace(RECIPE, fine_bins=8, **wrong))


def test_features_lie_between_minus_one_and_one() -> None:
    got = features(RECIPE, *sounds())
    assert got.min() >= -1.0
    np.testing.assert_allclose(got.max(axis=(1, 2, 3)), 1.0, atol=1e-6)


@pytest.mark.parametrize("gain", [1e-3, 0.1, 30.0])
def test_loudness_does_not_matter(gain: float) -> None:
    every = sounds()
    np.testing.assert_allclose(features(RECIPE, *(gain * one for one in every)), features(RECIPE, *every), atol=1e-3)


def test_digital_silence_is_the_floor() -> None:
    assert (features(RECIPE, np.zeros(8000, np.float32)) == -1.0).all()


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    every = sounds()
    together = features(RECIPE, *every)
    for number, sound in enumerate(every):
        np.testing.assert_allclose(features(RECIPE, sound)[0], together[number], atol=1e-5)


def test_it_has_nothing_to_be_stored() -> None:
    """What the recipe fixes must not also stand in the weights."""
    assert LogMel(replace(RECIPE, fine_bins=16)).state_dict() == {}
