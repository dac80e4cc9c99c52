"""What happens to a recording between the archive and the listener, batched, on the training device.

Knows sound as [batch, samples] with one second of past before the window, so that rooms ring into it. The order is that of a
broadcast:
music, other sound on top (voice with ducking, noise, other music), the studio's compressor and equaliser, then loudspeaker, room,
microphone and clipping. Probabilities and ranges stand in `Chain`; where they follow a paper, it says so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

FFT = 16384
"""Two seconds at 8 kHz and a response of up to one: what wraps around falls into the discarded past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """How often and how hard each step strikes. Levels in dB are music over the other sound."""

    voice: float = 0.45
    voice_db: tuple[float, float] = (-12.0, 6.0)
    """Nobody else trains for this; 82 % of what television plays is under a voice (BAF, Cortes et al., ISMIR 2022)."""
    noise: float = 0.40
    noise_db: tuple[float, float] = (0.0, 15.0)
    """Araz et al., ISMIR 2025 use 0 to 10 dB."""
    music: float = 0.12
    music_db: tuple[float, float] = (-3.0, 12.0)
    duck: float = 0.5
    """Of the voiced ones: the music follows the voice down by up to 12 dB."""
    compress: float = 0.35
    equalise: float = 0.6
    equalise_db: float = 8.0
    band: float = 0.25
    """A low-pass and a high-pass, as Nikou and Giannakopoulos, 2025; theirs are 2 to 3 kHz and 500 to 1000 Hz."""
    low_pass_hz: tuple[float, float] = (1800.0, 3500.0)
    high_pass_hz: tuple[float, float] = (80.0, 600.0)
    room: float = 0.45
    device: float = 0.3
    clip: float = 0.3

    def only(self, **what: float | tuple[float, float]) -> Chain:
        """Return a chain on which nothing strikes but this; levels that are not given stay."""
        silent = {one.name: 0.0 for one in fields(self) if isinstance(getattr(self, one.name), float)}
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        return Chain(**{**kept, **silent, "equalise_db": self.equalise_db, **what})


class Degrader:
    """Applies a `Chain` to batches. Holds the rooms and device responses, as spectra, and its own random numbers."""

    def __init__(
        self,
        chain: Chain,
        rooms: NDArray[np.float32],
        devices: NDArray[np.float32],
        rate_hz: int,
        device: torch.device,
        seed: int,
        fft: int = FFT,
    ) -> None:
        self._fft = fft
        self._chain = chain
        self._rate_hz = rate_hz
        self._device = device
        self._random = torch.Generator().manual_seed(seed)
        self._rooms = torch.fft.rfft(torch.from_numpy(rooms), fft).to(device)
        self._devices = torch.fft.rfft(torch.from_numpy(devices), fft).to(device)
        self._hz = torch.linspace(0.0, rate_hz / 2, fft // 2 + 1, device=device)

    def __call__(
        self, music: torch.Tensor, voices: torch.Tensor, noises: torch.Tensor, others: torch.Tensor, window: int
    ) -> torch.Tensor:
        """Degrade music [batch, samples] (two seconds) with sounds of the same shape; return the last `window` samples, peak 1."""
        mixed = self._mix(_unit(music), _unit(voices), _unit(noises), _unit(others))
        mixed = self._compress(mixed)
        spectrum = torch.fft.rfft(mixed, self._fft) * self._response(len(mixed))
        heard = torch.fft.irfft(spectrum, self._fft)[:, : mixed.shape[1]][:, -window:]
        heard = heard / heard.abs().amax(1, keepdim=True).clamp_min(1e-6)
        return self._clip(heard)

    def _uniform(self, count: int, low: float, high: float) -> torch.Tensor:
        """Draw [count, 1] numbers."""
        return (low + (high - low) * torch.rand(count, 1, generator=self._random)).to(self._device)

    def _strikes(self, count: int, probability: float) -> torch.Tensor:
        """Draw [count, 1] yes or no, as 1.0 or 0.0."""
        return (torch.rand(count, 1, generator=self._random) < probability).float().to(self._device)

    def _mix(self, music: torch.Tensor, voices: torch.Tensor, noises: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        count, chain = len(music), self._chain
        voiced = self._strikes(count, chain.voice)
        depth_db = self._uniform(count, 0.0, 12.0) * self._strikes(count, chain.duck) * voiced
        loudness = _envelope(voices, self._rate_hz // 5)
        talking = (loudness / loudness.amax(1, keepdim=True).clamp_min(1e-6)).sqrt()
        ducked = music * 10.0 ** (-depth_db * talking / 20.0)
        mixed = ducked / _rms(ducked)
        for sound, strikes, (low, high) in (
            (voices, voiced, chain.voice_db),
            (noises, self._strikes(count, chain.noise), chain.noise_db),
            (others, self._strikes(count, chain.music), chain.music_db),
        ):
            mixed = mixed + sound * strikes * 10.0 ** (-self._uniform(count, low, high) / 20.0)
        return mixed

    def _compress(self, sound: torch.Tensor) -> torch.Tensor:
        """Two bands, split at 300 to 1500 Hz, each pressed towards constant loudness."""
        struck = torch.nonzero(self._strikes(len(sound), self._chain.compress)[:, 0])[:, 0]
        if not len(struck):
            return sound
        part = sound[struck]
        split_hz = self._uniform(len(part), 300.0, 1500.0)
        spectrum = torch.fft.rfft(part, self._fft)
        low = torch.fft.irfft(spectrum / (1.0 + (self._hz / split_hz) ** 4), self._fft)[:, : part.shape[1]]
        pressed = torch.zeros_like(part)
        for band in (low, part - low):
            strength = self._uniform(len(part), 0.2, 0.7)
            pressed += band * (_envelope(band, self._rate_hz // 20) + 0.03) ** (-strength)
        result = sound.clone()
        result[struck] = _unit(pressed)
        return result

    def _response(self, count: int) -> torch.Tensor:
        """Draw the product of equaliser, band limits, loudspeaker and room, as spectra [count, bins]."""
        chain = self._chain
        knots = (torch.rand(count, 8, generator=self._random) * 2 - 1).to(self._device) * chain.equalise_db
        position = (self._hz.clamp_min(60.0) / 60.0).log2() / 6.06 * 6.999
        left = position.long().clamp_max(6)
        share = position - left
        curve_db = (knots[:, left] * (1 - share) + knots[:, left + 1] * share) * self._strikes(count, chain.equalise)
        limited = self._strikes(count, chain.band)
        low_pass = 1.0 / (1.0 + (self._hz / self._uniform(count, *chain.low_pass_hz)) ** 12).sqrt()
        high_pass = 1.0 / (1.0 + (self._uniform(count, *chain.high_pass_hz) / self._hz.clamp_min(1.0)) ** 8).sqrt()
        gain = 10.0 ** (curve_db / 20.0) * (1.0 + limited * (low_pass * high_pass - 1.0))
        return gain * self._drawn(self._devices, count, chain.device) * self._drawn(self._rooms, count, chain.room)

    def _drawn(self, spectra: torch.Tensor, count: int, probability: float) -> torch.Tensor:
        drawn = spectra[torch.randint(len(spectra), (count,), generator=self._random).to(self._device)]
        return torch.where(self._strikes(count, probability) > 0, drawn, torch.ones_like(drawn))

    def _clip(self, sound: torch.Tensor) -> torch.Tensor:
        """Drive the louder part into saturation."""
        drive = self._uniform(len(sound), 1.0, 5.0)
        clipped = torch.tanh(sound * drive) / torch.tanh(drive)
        return torch.where(self._strikes(len(sound), self._chain.clip) > 0, clipped, sound)


def mask_features(features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """SpecAugment as Araz et al., section 3.2: one cutout and one frequency band a batch, filled with 0 (mid-range)."""

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    bins, frames = features.shape[2:]
    masked = features.clone()
    height, width, band = draw(bins // 10, bins * 2 // 5), draw(3, 12), draw(bins // 50, bins // 13)
    top, left, start = draw(0, bins - height), draw(0, frames - width), draw(0, bins - band)
    masked[:, :, top : top + height, left : left + width] = 0.0
    masked[:, :, start : start + band] = 0.0
    return masked


def _rms(sound: torch.Tensor) -> torch.Tensor:
    return sound.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)


def _unit(sound: torch.Tensor) -> torch.Tensor:
    return sound / _rms(sound)


def _envelope(sound: torch.Tensor, samples: int) -> torch.Tensor:
    """Loudness over about `samples`, one value a sample."""
    coarse = torch.nn.functional.avg_pool1d(sound.square()[:, None], samples, stride=samples // 4, padding=samples // 2)
    return torch.nn.functional.interpolate(coarse.sqrt(), size=sound.shape[1], mode="linear")[:, 0]
