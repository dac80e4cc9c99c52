"""Sound to log spectrograms, batched.

Knows the recipe's numbers. The level of a window is divided out by its own maximum, so a fingerprint does not depend on how loud a
station is; Araz et al., ISMIR 2025, section 3.1, do the same. Knows nothing of networks or streams.
"""

from __future__ import annotations

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import nn

from monitor.core.recipe import Recipe
from monitor.errors import EncoderError

BREAK_HZ = 150.0
"""The fine bands are even on log(1 + f / BREAK_HZ): of 128, 4 Hz apart at 30 Hz, where Slaney's are 18, and 100 Hz at the top."""
LONGER = ((4, 300.0), (2, 980.0), (1, np.inf))
"""How many times the recipe's transform is as long where a fine band is read, and up to which middle of a band: in the bass tones
are told apart, above it syllables are."""
TAPS = 8
"""Of the filter before every second, or fourth, sample is taken, for each of them: 50 dB down where it would fold into a band."""


class LogMel(nn.Module):
    """Windows [batch, samples] in, features [batch, 1, bins, frames] in [-1, 1] out.

    A mel spectrogram: magnitude STFT (periodic Hann, half a transform of zeros on both sides), Slaney mel triangles of unit area.
    Where the recipe has `fine_bins`, they are the rows behind it (`Fine`), or all where it has no `mel_bins`. Each of the two in
    decibels below its maximum in the window, floor at the recipe's dynamic range, scaled as 1 + 2 dB / range. Digital silence gives
    all -1.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        if not recipe.bins:
            raise EncoderError("the recipe has neither mel_bins nor fine_bins: there would be nothing to see")
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
        self.fine = Fine(recipe) if recipe.fine_bins else None
        self.frames = recipe.window_samples // recipe.fft_hop_samples + 1
        self.hann: torch.Tensor
        self.banks: torch.Tensor

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the features of the windows."""
        rows = []
        if len(self.banks):
            rows.append(self._scaled(self.banks @ _spectrum(windows, self.hann, self._recipe.fft_hop_samples).abs()))
        if self.fine is not None:
            rows.append(self._scaled(self.fine(windows)))
        return torch.cat(rows, dim=1).unsqueeze(1)

    def _scaled(self, bands: torch.Tensor) -> torch.Tensor:
        span_db = self._recipe.dynamic_range_db
        peak = bands.amax(dim=(1, 2), keepdim=True).clamp_min(1e-7)
        decibel = 20.0 * torch.log10((bands / peak).clamp_min(10.0 ** (-span_db / 20.0)))
        return 1.0 + 2.0 * decibel / span_db


class Fine(nn.Module):
    """Windows [batch, samples] in, magnitudes [batch, fine_bins, frames] out: triangles even on a logarithm, long transforms below.

    A transform four times as long is one as long as ever of every fourth sample, so each costs what the mel spectrogram's does. Of
    a tone all lengths say the same; of noise, with more bins in a band, the longer say 3 dB more for each doubling.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        if recipe.fft_hop_samples % LONGER[0][0] or recipe.window_samples % LONGER[0][0]:
            raise EncoderError(
                f"with fine_bins the recipe's fft_hop_samples and window_samples must be multiples of {LONGER[0][0]}"
            )
        low, high = np.log1p(np.array([recipe.mel_low_hz, recipe.mel_high_hz]) / BREAK_HZ)
        edges_hz = BREAK_HZ * np.expm1(np.linspace(low, high, recipe.fine_bins + 2))
        self.register_buffer("hann", torch.hann_window(recipe.fft_samples, periodic=True), persistent=False)
        self.hann: torch.Tensor
        self._parts: list[tuple[int, int, int]] = []
        first = 0
        for longer, below_hz in LONGER:
            last = int(np.searchsorted(edges_hz[1:-1], below_hz))
            weights = triangles(edges_hz[first : last + 2], recipe.sample_rate_hz / longer, recipe.fft_samples)
            used = np.flatnonzero(weights.any(axis=0))
            begin, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
            self.register_buffer(f"banks_{longer}", torch.from_numpy(weights[:, begin:end]).float(), persistent=False)
            if longer > 1:
                half = np.arange(-TAPS * longer // 2, TAPS * longer // 2 + 1)
                taps = np.sinc(half / longer) * np.kaiser(len(half), 6.8)
                self.register_buffer(f"taps_{longer}", torch.from_numpy(taps / taps.sum()).float()[None, None], persistent=False)
            self._parts.append((longer, begin, end))
            first = last
        self._hop_samples = recipe.fft_hop_samples

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the magnitudes in the bands."""
        bands = []
        for longer, begin, end in self._parts:
            sound, banks = windows, self.get_buffer(f"banks_{longer}")
            if longer > 1:
                taps = self.get_buffer(f"taps_{longer}")
                sound = nn.functional.conv1d(windows[:, None], taps, stride=longer, padding=taps.shape[2] // 2)[:, 0]
            bands.append(banks @ _spectrum(sound, self.hann, self._hop_samples // longer)[:, begin:end].abs())
        return torch.cat(bands, dim=1)


def triangles(edges_hz: NDArray[np.float64], rate_hz: float, fft_samples: int) -> NDArray[np.float64]:
    """Return the weights [bands, bins of a transform] of triangles between edges [bands + 2], of unit area over the hertz.

    Narrow ones lie between two bins: what a triangle takes of a bin is its mean over the bin's neighbourhood, up to the next bins.
    """
    parts = 32
    at_hz = np.arange(fft_samples // 2 * parts + 1) * rate_hz / fft_samples / parts
    left, middle, right = (edges_hz[at : len(edges_hz) - 2 + at, None] for at in range(3))
    heights = np.minimum((at_hz - left) / (middle - left), (right - at_hz) / (right - middle)).clip(0.0) * 2.0 / (right - left)
    beside = np.pad(heights, ((0, 0), (parts, parts)))
    near = np.bartlett(2 * parts + 1) / parts
    return sum((share * beside[:, at:][:, : heights.shape[1] : parts] for at, share in enumerate(near)), np.zeros(1))


def _spectrum(sound: torch.Tensor, hann: torch.Tensor, hop_samples: int) -> torch.Tensor:
    return torch.stft(sound, len(hann), hop_samples, window=hann, center=True, pad_mode="constant", return_complex=True)
