"""Time and pitch, changed together or each for itself, batched, on any device.

Knows sound as [rows, samples] and rates. `resampled` changes both, as a turntable does; `stretched` changes time alone (the phase
vocoder of Flanagan and Golden, 1966, in the form of Laroche and Dolson, IEEE Trans. Speech and Audio Processing 7(3), 1999, without
phase locking). One after the other they change pitch alone.
"""

from __future__ import annotations

import math

import torch

FRAME, HOP = 512, 128
"""64 ms at 8 kHz: long enough to keep the partials of music apart, short enough to leave its attacks where they are."""


def resampled(sound: torch.Tensor, size: int) -> torch.Tensor:
    """Stretch sound [rows, n] to [rows, size] by its spectrum: band-limited, faster or slower with its pitch."""
    if sound.shape[1] == size:
        return sound
    spectrum = torch.fft.rfft(sound)[:, : size // 2 + 1]
    changed: torch.Tensor = torch.fft.irfft(spectrum, size) * (size / sound.shape[1])
    return changed


def stretched(sound: torch.Tensor, rate: torch.Tensor, size: int) -> torch.Tensor:
    """Play sound [rows, n] `rate` [rows] times as fast at its own pitch; return the first `size` samples, zeros where it has ended.

    Output frame m takes its magnitudes from input frame m * rate, between two frames by linear interpolation, and turns each bin's
    phase on by what it turned between these two. Phases start, forwards and backwards, from three quarters of the way: the middle
    of the window that a positive ends with, where they are those of the recording.
    """
    window = torch.hann_window(FRAME, device=sound.device)
    spectrum = torch.stft(sound, FRAME, HOP, window=window, center=True, pad_mode="constant", return_complex=True)
    spectrum = torch.nn.functional.pad(spectrum, (0, 2))
    frames = size // HOP + 1
    position = torch.arange(frames, device=sound.device) * rate[:, None]
    left = position.long().clamp_max(spectrum.shape[2] - 2)
    share = (position - left).clamp(0.0, 1.0)[:, None]

    def at(frame: torch.Tensor) -> torch.Tensor:
        return spectrum.gather(2, frame[:, None].expand(-1, spectrum.shape[1], -1))

    before, after = at(left), at(left + 1)
    expected = (2.0 * math.pi * HOP / FRAME) * torch.arange(spectrum.shape[1], device=sound.device)[:, None]
    turned = after.angle() - before.angle() - expected
    turned = turned - 2.0 * math.pi * torch.round(turned / (2.0 * math.pi)) + expected
    phase = torch.nn.functional.pad(turned[:, :, :-1].cumsum(2), (1, 0))
    start = frames * 3 // 4
    phase = phase + (before.angle() - phase)[:, :, start : start + 1]
    magnitude = before.abs() * (1.0 - share) + after.abs() * share
    return torch.istft(torch.polar(magnitude, phase), FRAME, HOP, window=window, center=True, length=size)
