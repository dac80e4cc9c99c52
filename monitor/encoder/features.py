"""Sound to log-mel features, batched.

Knows the recipe's numbers. The level of a window is divided out by its own maximum, so a fingerprint does not depend on how loud a
station is; Araz et al., ISMIR 2025, section 3.1, do the same. Knows nothing of networks or streams.
"""

from __future__ import annotations

import torch
import torchaudio
from torch import nn

from monitor.core.recipe import Recipe


class LogMel(nn.Module):
    """Windows [batch, samples] in, features [batch, 1, mel_bins, frames] in [-1, 1] out.

    Magnitude STFT (periodic Hann, half a transform of zeros on both sides), Slaney mel triangles of unit area, decibels below the
    window's maximum, floor at the recipe's dynamic range, scaled as 1 + 2 dB / range. Digital silence gives all -1.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe = recipe
        self.register_buffer("hann", torch.hann_window(recipe.fft_samples, periodic=True), persistent=False)
        banks = torchaudio.functional.melscale_fbanks(
            n_freqs=recipe.fft_samples // 2 + 1,
            f_min=recipe.mel_low_hz,
            f_max=recipe.mel_high_hz,
            n_mels=recipe.mel_bins,
            sample_rate=recipe.sample_rate_hz,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("banks", banks.T.contiguous(), persistent=False)
        self.frames = recipe.window_samples // recipe.fft_hop_samples + 1
        self.hann: torch.Tensor
        self.banks: torch.Tensor

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the features of the windows."""
        recipe = self._recipe
        spectrum = torch.stft(
            windows,
            recipe.fft_samples,
            recipe.fft_hop_samples,
            window=self.hann,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        mel = self.banks @ spectrum.abs()
        peak = mel.amax(dim=(1, 2), keepdim=True).clamp_min(1e-7)
        decibel = 20.0 * torch.log10((mel / peak).clamp_min(10.0 ** (-recipe.dynamic_range_db / 20.0)))
        return (1.0 + 2.0 * decibel / recipe.dynamic_range_db).unsqueeze(1)
