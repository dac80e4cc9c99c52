"""What a station does to loudness: several bands pressed together, peaks held down, levels faded into each other. Batched.

Knows sound as [batch, samples] and draws nothing: whoever calls says how much. The bands add up to the sound again where nothing is
pressed.
"""

from __future__ import annotations

import torch


def envelope(sound: torch.Tensor, samples: int) -> torch.Tensor:
    """Loudness over about `samples`, one value a sample."""
    coarse = torch.nn.functional.avg_pool1d(sound.square()[:, None], samples, stride=samples // 4, padding=samples // 2)
    return torch.nn.functional.interpolate(coarse.sqrt(), size=sound.shape[1], mode="linear")[:, 0]


def bands(sound: torch.Tensor, splits_hz: torch.Tensor, rate_hz: int, fft: int) -> list[torch.Tensor]:
    """Split sound at rising frequencies [batch, splits] into one band more than there are; they add up to the sound."""
    spectrum = torch.fft.rfft(sound, fft)
    hz = torch.linspace(0.0, rate_hz / 2, fft // 2 + 1, device=sound.device)
    below = torch.zeros_like(sound)
    parts = []
    for split in splits_hz.T:
        low = torch.fft.irfft(spectrum / (1.0 + (hz / split[:, None]) ** 4), fft)[:, : sound.shape[1]]
        parts.append(low - below)
        below = low
    return [*parts, sound - below]


def pressed(band: torch.Tensor, strength: torch.Tensor, samples: int) -> torch.Tensor:
    """Press a band of unit-power sound towards constant loudness: gain loudness ** -strength [batch, 1]."""
    return band * (envelope(band, samples) + 0.03) ** (-strength)


def limited(sound: torch.Tensor, ceiling: torch.Tensor, samples: int) -> torch.Tensor:
    """Hold peaks under a ceiling [batch, 1] by a gain that sees `samples` ahead and behind and changes over as many."""
    peak = torch.nn.functional.max_pool1d(sound.abs()[:, None], 2 * samples + 1, stride=1, padding=samples)
    gain = (ceiling[:, None] / peak.clamp_min(1e-6)).clamp_max(1.0)
    padded = torch.nn.functional.pad(gain, (samples // 2, samples // 2), mode="replicate")
    return sound * torch.nn.functional.avg_pool1d(padded, samples // 2 * 2 + 1, stride=1)[:, 0]


def faded(music: torch.Tensor, other: torch.Tensor, middle_db: torch.Tensor, slope_db: torch.Tensor) -> torch.Tensor:
    """Cross-fade two sounds of unit power, at constant power.

    The music is `middle_db` [batch, 1] over the other at three quarters of the way, and gains `slope_db` [batch, 1] from end to
    end.
    """
    way = torch.linspace(-0.75, 0.25, music.shape[1], device=music.device)
    power = torch.sigmoid((middle_db + slope_db * way) * (torch.log(torch.tensor(10.0)) / 10.0).item())
    return music * power.sqrt() + other * (1.0 - power).sqrt()
