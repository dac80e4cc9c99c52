"""Which second of which recording goes into a batch, and what is laid over it.

Knows the packed clips of `data.py` and draws from them; the anchors of a batch come from different recordings (Araz et al.,
ISMIR 2025, section 3.1: windows of one recording must never be each other's negatives). Knows nothing of networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from monitor.train.data import Clips

SPEED_STEP = 160
"""Sped-up segments are a multiple of this long, which keeps their FFT fast; speeds are 1 % of a 2 s segment apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """A batch before degradation, float32, full scale 1.0."""

    anchors: NDArray[np.float32]
    """Shape [batch, window]."""
    positives: NDArray[np.float32]
    """Shape [batch, 2 * window]: a window of past, then the window."""
    voices: NDArray[np.float32]
    noises: NDArray[np.float32]
    others: NDArray[np.float32]


class Sampler:
    """Draws batches of anchors and positives with what is laid over them."""

    def __init__(
        self,
        music: Clips,
        voices: Clips,
        noises: Clips,
        *,
        batch: int,
        window: int,
        shift: int,
        speed: float,
        speed_share: float,
        seed: int,
    ) -> None:
        """Take the clips and the numbers.

        Args:
            music: Recordings; those shorter than six windows are never drawn.
            voices: Speech, cut across clip borders.
            noises: Noise, cut across clip borders.
            batch: Anchors a batch.
            window: Samples of a window.
            shift: The positive is up to so many samples off the anchor.
            speed: The positive is up to so much faster or slower, 0.06 is 6 %.
            speed_share: Share of positives whose speed is changed.
            seed: Of all random draws.
        """
        self._music, self._voices, self._noises = music, voices, noises
        self._batch, self._window, self._shift = batch, window, shift
        self._speed, self._speed_share = speed, speed_share
        self._random = np.random.default_rng(seed)
        self._long = np.nonzero(music.length >= 6 * window)[0]
        weight = np.sqrt(music.length[self._long].astype(float))
        self._weight = weight / weight.sum()

    def draw(self) -> Sounds:
        """Draw the next batch."""
        tracks = self._random.choice(self._long, self._batch, replace=False, p=self._weight)
        anchors = np.empty((self._batch, self._window), np.float32)
        positives = np.empty((self._batch, 2 * self._window), np.float32)
        for row, track in enumerate(tracks):
            anchors[row], positives[row] = self._pair(int(track))
        return Sounds(
            anchors=anchors,
            positives=positives,
            voices=self._stretches(self._voices),
            noises=self._noise(),
            others=positives[self._random.permutation(self._batch)],
        )

    def _pair(self, track: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        first, length = int(self._music.start[track]), int(self._music.length[track])
        middle = int(self._random.integers(2 * self._window, length - 2 * self._window))
        anchor = self._read(self._music, first + middle - self._window // 2, self._window)
        size = 2 * self._window
        if self._random.random() < self._speed_share:
            changed = self._random.uniform(-self._speed, self._speed) * size / SPEED_STEP
            size += round(changed) * SPEED_STEP
        middle += int(self._random.integers(-self._shift, self._shift + 1))
        positive = self._read(self._music, first + middle - size * 3 // 4, size)
        return anchor, resample(positive, 2 * self._window)

    def _read(self, clips: Clips, at: int, size: int) -> NDArray[np.float32]:
        return clips.pcm[at : at + size].astype(np.float32) / 32768.0

    def _stretches(self, clips: Clips) -> NDArray[np.float32]:
        size = 2 * self._window
        starts = self._random.integers(0, len(clips.pcm) - size, self._batch)
        return np.stack([self._read(clips, int(at), size) for at in starts])

    def _noise(self) -> NDArray[np.float32]:
        """Recorded noise, babble, or coloured noise: 3/5, 1/5, 1/5."""
        noise = self._stretches(self._noises)
        kinds = self._random.integers(0, 5, self._batch)
        babble = kinds == 3
        if babble.any():
            noise[babble] = sum(self._stretches(self._voices)[babble] for _ in range(4))
        bins = noise.shape[1] // 2 + 1
        for row in np.nonzero(kinds == 4)[0]:
            colour = np.arange(1, bins + 1) ** (-self._random.uniform(0.0, 1.0))
            phase = self._random.standard_normal(bins) + 1j * self._random.standard_normal(bins)
            noise[row] = scipy.fft.irfft(colour * phase, noise.shape[1])
        return noise


def resample(sound: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Stretch sound [n] to [size] by its spectrum: band-limited, faster or slower with its pitch."""
    if len(sound) == size:
        return sound
    spectrum = scipy.fft.rfft(sound)
    stretched: NDArray[np.float32] = scipy.fft.irfft(spectrum[: size // 2 + 1], size).astype(np.float32) * (size / len(sound))
    return stretched
