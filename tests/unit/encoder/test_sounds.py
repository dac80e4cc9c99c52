"""Music, speech or noise: the file is checked, the encoder's answers stay what they were, and the shipped network can tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.capture.ffmpeg import decode
from monitor.core.recipe import Recipe
from monitor.encoder import networks, sounds, weights
from monitor.encoder.engine import Engine, load_encoder
from monitor.errors import EncoderError

CLIPS = Path(__file__).parents[3] / "monitor/demo/clips"
RECIPE = Recipe(name="any")


@pytest.fixture(scope="module")
def listener() -> Engine:
    return load_encoder("compact", "cpu", music=True)


def windows(path: Path, first_s: float, seconds: int) -> np.ndarray:
    with decode(path, RECIPE) as sound:
        whole = np.concatenate(list(sound))
    return whole[round(first_s * 8000) : round((first_s + seconds) * 8000)].reshape(seconds, 8000)


@pytest.mark.parametrize(
    ("clip", "music"), [("unlisted/paniq-die-gewalt.opus", True), ("unlisted/allison-smith-voice.opus", False)]
)
def test_the_shipped_network_tells_music_from_a_voice(listener: Engine, clip: str, music: bool) -> None:
    _, probability = listener.listen(windows(CLIPS / clip, 0.0, 10))
    assert (probability > 0.5).mean() >= 0.8 if music else (probability < 0.5).mean() >= 0.8


def test_fingerprints_are_the_same_with_it_and_without(listener: Engine) -> None:
    sound = windows(CLIPS / "unlisted/paniq-die-gewalt.opus", 5.0, 3)
    plain = load_encoder("compact", "cpu").encode(sound)
    with_it, _ = listener.listen(sound)
    assert np.allclose(plain, with_it, atol=1e-3)
    assert np.allclose(plain, listener.encode(sound), atol=1e-3)
    vectors, music = listener.listen(np.zeros((0, 8000), np.float32))
    assert (vectors.shape, music.shape) == ((0, 128), (0,))


def test_an_engine_without_it_says_so() -> None:
    with pytest.raises(EncoderError, match="not loaded to tell music"):
        load_encoder("compact", "cpu").listen(np.zeros((1, 8000), np.float32))


def test_what_is_saved_is_read_and_that_of_other_features_is_refused(tmp_path: Path) -> None:
    other = replace(RECIPE, mel_low_hz=100.0)
    torch.manual_seed(1)
    weights.save(tmp_path / "mine.safetensors", other, networks.build(other).state_dict())
    network = sounds.SoundNetwork().eval()
    encoder = str(tmp_path / "mine.safetensors")
    with pytest.raises(EncoderError, match="run `monitor evaluate classes --fit`"):
        sounds.find(encoder, other)
    sounds.save(sounds.path_of(encoder), network, other)
    features = torch.randn(2, 1, 128, 32)
    assert torch.equal(sounds.find(encoder, other)(features), network(features))
    with pytest.raises(EncoderError, match="trained on other features"):
        sounds.find(encoder, replace(RECIPE, mel_low_hz=120.0))


def test_an_encoder_with_the_same_mel_spectrogram_takes_the_installed_one(listener: Engine, tmp_path: Path) -> None:
    """One that is shown a second spectrogram too, which the network of sounds was not trained on."""
    torch.manual_seed(1)
    recipe = replace(RECIPE, network="large", fine_bins=128)
    weights.save(tmp_path / "mine.safetensors", recipe, networks.build(recipe).state_dict())
    other = load_encoder(str(tmp_path / "mine.safetensors"), "cpu", music=True)
    sound = windows(CLIPS / "unlisted/allison-smith-voice.opus", 0.0, 10)
    np.testing.assert_allclose(other.listen(sound)[1], listener.listen(sound)[1], atol=0.02)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.classes").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="cannot be used"):
        sounds.load(tmp_path / "x.classes")


def test_the_mel_spectrogram_is_the_same_whatever_the_network() -> None:
    assert RECIPE.mel == replace(RECIPE, network="large", fine_bins=64, dim=256, weights_sha256="x", name="y").mel
    assert RECIPE.mel != replace(RECIPE, fft_hop_samples=128).mel
