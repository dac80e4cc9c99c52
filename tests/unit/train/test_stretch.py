"""Tempo changes without the pitch, pitch without the tempo, and the middle stays the middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monitor.train.sampler import resample
from monitor.train.stretch import resampled, stretched

TIME_S = torch.arange(17_600) / 8000


def peak_hz(sound: torch.Tensor) -> float:
    whole = sound.numpy() * np.hanning(len(sound))
    return float(np.abs(np.fft.rfft(whole, 1 << 17)).argmax() * 8000 / (1 << 17))


@pytest.mark.parametrize("rate", [0.94, 1.0, 1.06])
def test_stretching_keeps_the_pitch_and_the_level(rate: float) -> None:
    tone = torch.sin(2 * torch.pi * 700 * TIME_S)[None]
    got = stretched(tone, torch.tensor([rate]), 16_000)
    assert got.shape == (1, 16_000)
    assert peak_hz(got[0, 1000:15_000]) == pytest.approx(700, abs=0.5)
    assert float(got[0, 2000:14_000].abs().amax()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("rate", [0.94, 1.06])
def test_what_was_at_a_place_is_at_that_place_over_the_rate(rate: float) -> None:
    noise = 0.01 * torch.randn(1, 17_600, generator=torch.Generator().manual_seed(1))
    noise[:, 10_000:10_040] += 1.0
    got = stretched(noise, torch.tensor([rate]), 16_000)
    energy = got[0].square().numpy()
    assert int(np.convolve(energy, np.ones(200), "same").argmax()) == pytest.approx(10_000 / rate, abs=150)


def test_rows_are_stretched_each_at_its_rate() -> None:
    sound = torch.randn(2, 17_000, generator=torch.Generator().manual_seed(2))
    both = stretched(sound, torch.tensor([0.95, 1.05]), 16_000)
    for row, rate in enumerate((0.95, 1.05)):
        torch.testing.assert_close(both[row : row + 1], stretched(sound[row : row + 1], torch.tensor([rate]), 16_000))


def test_at_rate_one_nothing_changes() -> None:
    sound = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(stretched(sound, torch.ones(1), 16_000)[:, 600:-600], sound[:, 600:-600], atol=1e-2, rtol=0)


def test_batches_are_resampled_as_single_sounds_are() -> None:
    sound = torch.randn(2, 16_960, generator=torch.Generator().manual_seed(4))
    np.testing.assert_allclose(resampled(sound, 16_000)[1].numpy(), resample(sound[1].numpy(), 16_000), atol=1e-4)
    assert resampled(sound, 16_960) is sound
