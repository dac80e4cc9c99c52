"""Which second of which recording goes into a batch, and what is laid over it.

Knows the packed clips of `data.py` and draws from them; the anchors of a batch come from different recordings (Araz et al.,
ISMIR 2025, section 3.1: windows of one recording must never be each other's negatives). Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from monitor.errors import ConfigError
from monitor.train.data import Clips
from monitor.train.stretch import resampled, stretched

SPEED_STEP = 160
"""Segments of changed speed are a multiple of this long, which keeps their FFT fast; speeds are 1 % of a 2 s segment apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """A batch before degradation, float32, full scale 1.0, on the training device."""

    anchors: torch.Tensor
    """Shape [batch, window]."""
    positives: torch.Tensor
    """Shape [count * batch, 2 * window], the first positive of every anchor, then the second: a window of past, then the window."""
    voices: torch.Tensor
    noises: torch.Tensor
    others: torch.Tensor
    """Like `positives`, of recordings outside the batch: one of the batch, where it is the louder, would have to be alike to
    what it is told to differ from."""
    recordings: NDArray[np.int64]
    """Number of the recording of each anchor, [batch]."""
    hops: NDArray[np.int64]
    """The last window of its recording's hop grid that begins no later than each anchor, [batch]; the anchor itself, if the sampler
    was told to keep to that grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Positives:
    """How far a positive is from its anchor, and how many there are."""

    count: int = 1
    """Positives an anchor. Araz et al.: the triplet loss gains by two, NT-Xent loses."""
    shift_s: float
    speed: float
    """Up to so much faster or slower with its pitch; 0.06 is 6 %."""
    speed_share: float
    tempo: float = 0.06
    tempo_share: float = 0.0
    """Faster or slower at the same pitch."""
    pitch: float = 0.06
    pitch_share: float = 0.0
    """Higher or lower at the same tempo."""
    coded_share: float = 0.0
    """Read from what has been through a codec (`train/codecs.py`), where there is any."""

    def __post_init__(self) -> None:
        """Refuse what would be read beyond a recording: its anchors stand two windows from either end."""
        changes = ((self.speed_share, self.speed), (self.tempo_share, self.tempo))
        faster = max((most for share, most in changes if share), default=0.0)
        if self.count < 1:
            raise ValueError("an anchor needs a positive: count must be at least 1")
        if min(self.shift_s, self.speed, self.tempo, self.pitch) < 0 or 1.5 * (1 + faster) + self.shift_s > 2:
            raise ValueError("shift_s, speed, tempo and pitch are not negative, and 1.5 * (1 + speed or tempo) + shift_s at most 2")
        shares = (self.speed_share, self.tempo_share, self.pitch_share)
        if min(*shares, self.coded_share) < 0 or max(sum(shares), self.coded_share) > 1:
            raise ValueError("shares lie between 0 and 1, and those of speed, tempo and pitch are no more than 1 together")


class Samples:
    """Packed clips where they are read from: the mapped file, or all of them in the memory of the training device."""

    def __init__(self, clips: Clips, device: torch.device, *, resident: bool) -> None:
        self.clips, self._device = clips, device
        self._held = torch.from_numpy(np.array(clips.pcm)).to(device) if resident else None

    def read(self, at: NDArray[np.int64], size: int) -> torch.Tensor:
        """Return [len(at), size] on the device: `size` samples from each place."""
        if self._held is None:
            rows = np.stack([self.clips.pcm[one : one + size] for one in at])
            return torch.from_numpy(rows).to(self._device).float() / 32768.0
        places = torch.from_numpy(at).to(self._device)[:, None] + torch.arange(size, device=self._device)
        return self._held[places].float() / 32768.0


class Sampler:
    """Draws batches of anchors and positives with what is laid over them."""

    def __init__(
        self,
        music: Clips,
        voices: Clips,
        noises: Clips,
        positives: Positives,
        *,
        batch: int,
        window: int,
        seed: int,
        hop: int,
        on_grid: bool = False,
        coded: Sequence[Clips] = (),
        device: torch.device | None = None,
        resident: bool | None = None,
    ) -> None:
        """Take the clips and the numbers.

        Args:
            music: Recordings; those shorter than six windows are never drawn.
            voices: Speech, cut across clip borders.
            noises: Noise, cut across clip borders.
            positives: How far they are from their anchors.
            batch: Anchors a batch.
            window: Samples of a window, which is a second.
            seed: Of all random draws.
            hop: Samples between the windows of the grid on which a recording is stored.
            on_grid: Take anchors of that grid only.
            coded: The same recordings after a codec, sample by sample in the same places.
            device: Where the batches are wanted; the CPU unless told.
            resident: Keep all clips in the device's memory (2.1 GB for 38 h); unless told, where the device has its own.

        Raises:
            ConfigError: There are fewer recordings than a batch needs.
        """
        self._device = device or torch.device("cpu")
        held = self._device.type != "cpu" if resident is None else resident
        self._music, self._voices, self._noises, *self._coded = (
            Samples(clips, self._device, resident=held) for clips in (music, voices, noises, *coded)
        )
        self._positives, self._batch, self._window = positives, batch, window
        self._seed, self._hop, self._on_grid = seed, hop, on_grid
        self._random: np.random.Generator
        self._noise_random = torch.Generator(self._device)
        self._long = np.nonzero(music.length >= 6 * window)[0]
        if len(self._long) <= batch:
            raise ConfigError(f"a batch of {batch} needs more recordings of six seconds and more than these {len(self._long)}")
        weight = np.sqrt(music.length[self._long].astype(float))
        self._weight = weight / weight.sum()

    def draw(self, number: int) -> Sounds:
        """Draw batch `number`: the same whatever was drawn before, so that a run taken up again hears what it would have heard."""
        self._random = np.random.default_rng((self._seed, number))
        self._noise_random.manual_seed(int(self._random.integers(1 << 62)))
        clips, window = self._music.clips, self._window
        tracks = self._random.choice(self._long, self._batch, replace=False, p=self._weight)
        first, last = 2 * window - window // 2, clips.length[tracks] - 2 * window - window // 2
        if self._on_grid:
            inside = self._random.integers(-(-first // self._hop), (last - 1) // self._hop + 1) * self._hop
        else:
            inside = self._random.integers(first, last)
        middle = clips.start[tracks] + inside + window // 2
        positives = self._heard(np.tile(middle, self._positives.count))
        beside = self._random.choice(np.setdiff1d(self._long, tracks), len(positives))
        others = clips.start[beside] + self._random.integers(0, clips.length[beside] - 2 * window)
        return Sounds(
            anchors=self._music.read(middle - window // 2, window),
            positives=positives,
            voices=self._stretches(self._voices, len(positives)),
            noises=self._noise(len(positives)),
            others=self._music.read(others, 2 * window),
            recordings=tracks,
            hops=inside // self._hop,
        )

    def _heard(self, middle: NDArray[np.int64]) -> torch.Tensor:
        """Read the positives [rows, 2 * window] around these places, each shifted, and some of them faster, slower or coded."""
        wanted, rows, size = self._positives, len(middle), 2 * self._window
        shift = int(wanted.shift_s * self._window)
        middle = middle + self._random.integers(-shift, shift + 1, rows)
        taken, pitched = self._changes(rows, size)
        which = self._random.integers(0, max(len(self._coded), 1), rows) + 1
        which[self._random.random(rows) >= (wanted.coded_share if self._coded else 0.0)] = 0
        raw = torch.empty(rows, int(taken.max()), device=self._device)
        for number, shelf in enumerate((self._music, *self._coded)):
            if len(same := np.flatnonzero(which == number)):
                raw[same] = shelf.read(middle[same] - taken[same] * 3 // 4, raw.shape[1])
        turned = torch.zeros(rows, max(int(pitched.max()), size), device=self._device)
        for source, length in sorted(set(zip(taken.tolist(), pitched.tolist(), strict=True))):
            same = np.flatnonzero((taken == source) & (pitched == length))
            turned[same, :length] = resampled(raw[same, :source], length)
        result = turned[:, :size]
        if len(changed := np.flatnonzero(pitched != size)):
            rate = torch.from_numpy(pitched[changed] / size).float().to(self._device)
            result[changed] = stretched(turned[changed], rate, size)
        return result

    def _changes(self, rows: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw how many samples each positive is read from, and to how many it is resampled before it is stretched to `size`."""
        wanted = self._positives
        kind = self._random.random(rows)
        speed, tempo, pitch = np.cumsum([wanted.speed_share, wanted.tempo_share, wanted.pitch_share])
        change = self._random.uniform(-1.0, 1.0, rows)

        def steps(most: float) -> NDArray[np.int64]:
            return size + np.rint(change * most * size / SPEED_STEP).astype(np.int64) * SPEED_STEP

        taken = np.select([kind < speed, kind < tempo], [steps(wanted.speed), steps(wanted.tempo)], size)
        pitched = np.select([kind < speed, kind < tempo, kind < pitch], [size, taken, steps(wanted.pitch)], size)
        return taken, pitched

    def _stretches(self, shelf: Samples, rows: int) -> torch.Tensor:
        size = 2 * self._window
        return shelf.read(self._random.integers(0, len(shelf.clips.pcm) - size, rows), size)

    def _noise(self, rows: int) -> torch.Tensor:
        """Recorded noise, babble, or coloured noise: 3/5, 1/5, 1/5."""
        noise = self._stretches(self._noises, rows)
        kinds = self._random.integers(0, 5, rows)
        babble, coloured = np.flatnonzero(kinds == 3), np.flatnonzero(kinds == 4)
        if len(babble):
            noise[babble] = sum(
                (self._stretches(self._voices, len(babble)) for _ in range(4)), torch.zeros((), device=self._device)
            )
        if len(coloured):
            bins = noise.shape[1] // 2 + 1
            slope = torch.from_numpy(self._random.uniform(0.0, 1.0, (len(coloured), 1))).float().to(self._device)
            parts = torch.randn(2, len(coloured), bins, generator=self._noise_random, device=self._device)
            colour = torch.arange(1, bins + 1, device=self._device) ** -slope
            noise[coloured] = torch.fft.irfft(torch.complex(parts[0], parts[1]) * colour, noise.shape[1])
        return noise


def resample(sound: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Stretch sound [n] to [size] by its spectrum: band-limited, faster or slower with its pitch."""
    if len(sound) == size:
        return sound
    spectrum = scipy.fft.rfft(sound)
    result: NDArray[np.float32] = scipy.fft.irfft(spectrum[: size // 2 + 1], size).astype(np.float32) * (size / len(sound))
    return result
