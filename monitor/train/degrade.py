"""What happens to a recording between the archive and the listener, batched, on the training device.

Knows sound as [batch, samples] with one second of past before the window, so that rooms ring into it. The order is that of a
broadcast: music, faded into other music, other sound on top (voice with ducking, noise, other music), the studio's compressor,
limiter and equaliser, two channels summed with one of them late, then loudspeaker, room, microphone, clipping, gaps and a low
level. Probabilities and ranges stand in `Chain`; where they follow a paper, it says so. What a codec does is prepared ahead
(`codecs.py`), what speed and pitch do is done where the sound is read (`sampler.py`). The packed audio is mono: of stereo faults
only the sum can be made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.train import dynamics

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
    fade: float = 0.0
    """A cross-fade with the other music: `fade_db` in the middle of the window, `fade_slope_db` more in two seconds."""
    fade_db: tuple[float, float] = (-6.0, 12.0)
    fade_slope_db: tuple[float, float] = (-40.0, 40.0)
    duck: float = 0.5
    """Of the voiced ones: the music follows the voice down."""
    duck_db: tuple[float, float] = (0.0, 12.0)
    compress: float = 0.35
    bands: int = 2
    """Into which the compressor splits, at `split_hz`; a station's has four or five."""
    split_hz: tuple[float, float] = (300.0, 1500.0)
    limit: float = 0.0
    """Peaks held down by `limit_db`, by a gain that moves within 5 ms."""
    limit_db: tuple[float, float] = (3.0, 12.0)
    equalise: float = 0.6
    equalise_db: float = 8.0
    band: float = 0.25
    """A low-pass and a high-pass, as Nikou and Giannakopoulos, 2025; theirs are 2 to 3 kHz and 500 to 1000 Hz."""
    low_pass_hz: tuple[float, float] = (1800.0, 3500.0)
    high_pass_hz: tuple[float, float] = (80.0, 600.0)
    comb: float = 0.0
    """The two channels summed, one of them late by `comb_ms` and weaker, in phase or against it."""
    comb_ms: tuple[float, float] = (0.1, 4.0)
    speaker: float = 0.0
    """A small loudspeaker: nothing below `speaker_hz`, and three resonances of up to 9 dB."""
    speaker_hz: tuple[float, float] = (150.0, 700.0)
    room: float = 0.45
    device: float = 0.3
    """A measured response of a loudspeaker or microphone."""
    clip: float = 0.3
    clip_drive: tuple[float, float] = (1.0, 5.0)
    gaps: float = 0.0
    """One to three gaps of silence in a window."""
    gap_ms: tuple[float, float] = (10.0, 200.0)
    quiet: float = 0.0
    """So low a level, under full scale, that 16 bits are few."""
    quiet_db: tuple[float, float] = (20.0, 60.0)

    def __post_init__(self) -> None:
        """Refuse probabilities that are none and ranges that are the wrong way round."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in values.items():
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name} must rise: {list(value)}")
            if isinstance(value, float) and name != "equalise_db" and not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, not {value}")
        if self.bands < 2:
            raise ValueError("a compressor needs two bands")

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
        self._random = torch.Generator(device).manual_seed(seed)
        self._rooms = torch.fft.rfft(torch.from_numpy(rooms), fft).to(device)
        self._devices = torch.fft.rfft(torch.from_numpy(devices), fft).to(device)
        self._hz = torch.linspace(0.0, rate_hz / 2, fft // 2 + 1, device=device)

    def seed(self, number: int) -> None:
        """Begin the random numbers anew: what follows is the same, whatever was drawn before."""
        self._random.manual_seed(number)

    def __call__(
        self, music: torch.Tensor, voices: torch.Tensor, noises: torch.Tensor, others: torch.Tensor, window: int
    ) -> torch.Tensor:
        """Degrade music [batch, samples] (two seconds) with sounds of the same shape; return the last `window` samples, peak 1."""
        mixed = self._mix(_unit(music), _unit(voices), _unit(noises), _unit(others))
        mixed = self._limit(self._compress(mixed))
        spectrum = torch.fft.rfft(mixed, self._fft) * self._response(len(mixed))
        heard = torch.fft.irfft(spectrum, self._fft)[:, : mixed.shape[1]][:, -window:]
        heard = heard / heard.abs().amax(1, keepdim=True).clamp_min(1e-6)
        return self._quieten(self._interrupt(self._clip(heard)))

    def _uniform(self, count: int, low: float, high: float) -> torch.Tensor:
        """Draw [count, 1] numbers."""
        return low + (high - low) * torch.rand(count, 1, generator=self._random, device=self._device)

    def _strikes(self, count: int, probability: float) -> torch.Tensor:
        """Draw [count, 1] yes or no, as 1.0 or 0.0."""
        return (torch.rand(count, 1, generator=self._random, device=self._device) < probability).float()

    def _struck(self, count: int, probability: float) -> torch.Tensor:
        """Draw which of [count] are struck: their numbers, for what is too dear to compute of the others too."""
        return torch.nonzero(self._strikes(count, probability)[:, 0])[:, 0]

    def _mix(self, music: torch.Tensor, voices: torch.Tensor, noises: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        count, chain = len(music), self._chain
        if chain.fade:
            struck = self._struck(count, chain.fade)
            middle_db, slope_db = self._uniform(len(struck), *chain.fade_db), self._uniform(len(struck), *chain.fade_slope_db)
            music = music.clone()
            music[struck] = dynamics.faded(music[struck], others[struck], middle_db, slope_db)
        voiced = self._strikes(count, chain.voice)
        depth_db = self._uniform(count, *chain.duck_db) * self._strikes(count, chain.duck) * voiced
        loudness = dynamics.envelope(voices, self._rate_hz // 5)
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
        """Bands, split at random places, each pressed towards constant loudness."""
        struck = self._struck(len(sound), self._chain.compress)
        if not len(struck):
            return sound
        part = sound[struck]
        splits = (
            torch.cat([self._uniform(len(part), *self._chain.split_hz) for _ in range(self._chain.bands - 1)], 1).sort(1).values
        )
        together = torch.zeros_like(part)
        for band in dynamics.bands(part, splits, self._rate_hz, self._fft):
            together += dynamics.pressed(band, self._uniform(len(part), 0.2, 0.7), self._rate_hz // 20)
        result = sound.clone()
        result[struck] = _unit(together)
        return result

    def _limit(self, sound: torch.Tensor) -> torch.Tensor:
        if not self._chain.limit:
            return sound
        struck = self._struck(len(sound), self._chain.limit)
        part = sound[struck]
        ceiling = part.abs().amax(1, keepdim=True) * 10.0 ** (-self._uniform(len(part), *self._chain.limit_db) / 20.0)
        result = sound.clone()
        result[struck] = dynamics.limited(part, ceiling, self._rate_hz // 200)
        return result

    def _response(self, count: int) -> torch.Tensor:
        """Draw the product of equaliser, band limits, channels, loudspeaker, device and room, as spectra [count, bins]."""
        chain = self._chain
        knots = (torch.rand(count, 8, generator=self._random, device=self._device) * 2 - 1) * chain.equalise_db
        position = (self._hz.clamp_min(60.0) / 60.0).log2() / 6.06 * 6.999
        left = position.long().clamp_max(6)
        share = position - left
        curve_db = (knots[:, left] * (1 - share) + knots[:, left + 1] * share) * self._strikes(count, chain.equalise)
        limited = self._strikes(count, chain.band)
        low_pass = 1.0 / (1.0 + (self._hz / self._uniform(count, *chain.low_pass_hz)) ** 12).sqrt()
        high_pass = 1.0 / (1.0 + (self._uniform(count, *chain.high_pass_hz) / self._hz.clamp_min(1.0)) ** 8).sqrt()
        gain = 10.0 ** (curve_db / 20.0) * (1.0 + limited * (low_pass * high_pass - 1.0))
        drawn = gain * self._drawn(self._devices, count, chain.device) * self._drawn(self._rooms, count, chain.room)
        if chain.speaker:
            drawn = drawn * (1.0 + self._strikes(count, chain.speaker) * (self._loudspeaker(count) - 1.0))
        if chain.comb:
            late_s = self._uniform(count, *chain.comb_ms) / 1000.0
            weight = self._uniform(count, 0.3, 0.95) * (1.0 - 2.0 * self._strikes(count, 0.5)) * self._strikes(count, chain.comb)
            drawn = drawn * (1.0 + torch.polar(weight.expand(-1, len(self._hz)), -2.0 * torch.pi * self._hz * late_s))
        return drawn

    def _loudspeaker(self, count: int) -> torch.Tensor:
        """Draw gains of small loudspeakers [count, bins]: a fourth-order high-pass, three resonances a third of an octave wide."""
        high_pass = 1.0 / (1.0 + (self._uniform(count, *self._chain.speaker_hz) / self._hz.clamp_min(1.0)) ** 8).sqrt()
        octave = self._hz.clamp_min(30.0).log2()
        gain_db = torch.zeros_like(high_pass)
        for _ in range(3):
            place = self._uniform(count, 8.0, 11.9)
            gain_db = gain_db + self._uniform(count, -6.0, 9.0) * torch.exp(-0.5 * ((octave - place) / 0.33) ** 2)
        return high_pass * 10.0 ** (gain_db / 20.0)

    def _drawn(self, spectra: torch.Tensor, count: int, probability: float) -> torch.Tensor:
        drawn = spectra[torch.randint(len(spectra), (count,), generator=self._random, device=self._device)]
        return torch.where(self._strikes(count, probability) > 0, drawn, torch.ones_like(drawn))

    def _clip(self, sound: torch.Tensor) -> torch.Tensor:
        """Drive the louder part into saturation."""
        drive = self._uniform(len(sound), *self._chain.clip_drive)
        clipped = torch.tanh(sound * drive) / torch.tanh(drive)
        return torch.where(self._strikes(len(sound), self._chain.clip) > 0, clipped, sound)

    def _interrupt(self, sound: torch.Tensor) -> torch.Tensor:
        if not self._chain.gaps:
            return sound
        place = torch.arange(sound.shape[1], device=self._device)
        heard = torch.ones_like(sound)
        for share in (1.0, 0.5, 0.5):
            start = self._uniform(len(sound), 0.0, float(sound.shape[1]))
            size = self._uniform(len(sound), *self._chain.gap_ms) * self._rate_hz / 1000.0 * self._strikes(len(sound), share)
            heard = heard * ((place < start) | (place >= start + size))
        return torch.where(self._strikes(len(sound), self._chain.gaps) > 0, sound * heard, sound)

    def _quieten(self, sound: torch.Tensor) -> torch.Tensor:
        if not self._chain.quiet:
            return sound
        gain = 32768.0 * 10.0 ** (-self._uniform(len(sound), *self._chain.quiet_db) / 20.0)
        return torch.where(
            self._strikes(len(sound), self._chain.quiet) > 0, (torch.round(sound * gain) / gain).clamp(-1.0, 1.0), sound
        )


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
