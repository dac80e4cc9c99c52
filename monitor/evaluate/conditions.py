"""What is done to a recording before it is looked for, by name.

Knows the degradation chain of `train/degrade.py`, with one thing at a time switched on, and codecs through ffmpeg. A query is
degraded as a
whole and cut afterwards (Araz et al., ISMIR 2025, section 4); ducking is off, so that the level named is the level measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.train import rooms
from monitor.train.data import Clips
from monitor.train.degrade import Chain, Degrader
from monitor.train.sampler import resample

PAST_S = 1.0
"""Sound before the query, so that rooms ring into it."""
ROOMS = 60
NOTHING = Chain().only()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One way to be heard."""

    chain: Chain = NOTHING
    speed: float = 1.0


CONDITIONS: Mapping[str, Condition] = {
    "clean": Condition(),
    "noise 0-10 dB and room": Condition(chain=Chain().only(noise=1.0, noise_db=(0.0, 10.0), room=1.0)),
    "voice 0 dB": Condition(chain=Chain().only(voice=1.0, voice_db=(0.0, 0.0))),
    "voice -6 dB": Condition(chain=Chain().only(voice=1.0, voice_db=(-6.0, -6.0))),
    "voice -12 dB": Condition(chain=Chain().only(voice=1.0, voice_db=(-12.0, -12.0))),
    "speed +2 %": Condition(speed=1.02),
    "speed -2 %": Condition(speed=0.98),
    "speed +5 %": Condition(speed=1.05),
    "speed -5 %": Condition(speed=0.95),
    "station chain": Condition(chain=Chain().only(compress=1.0, equalise=1.0, clip=1.0)),
}


class Studio:
    """Makes queries: holds the voices, the noises and the rooms of a split."""

    def __init__(self, voices: Clips, noises: Clips, *, rate_hz: int, seed: int) -> None:
        self._voices, self._noises, self._rate_hz = voices, noises, rate_hz
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._rooms = rooms.bank(seed, ROOMS, rate_hz, rate_hz)
        self._degraders: dict[tuple[Chain, int], Degrader] = {}
        self._direct = np.zeros((1, 1), np.float32)
        self._direct[0, 0] = 1.0

    def query(self, recording: NDArray[np.float32], at_s: float, length_s: float, condition: Condition) -> NDArray[np.float32]:
        """Cut a query [length_s * rate] that begins `at_s` in the recording and was heard under a condition.

        Where the recording is too short, its neighbourhood is silence.
        """
        rate = self._rate_hz
        size, past = round(length_s * rate), round(PAST_S * rate)
        taken = round((size + past) * condition.speed / 160) * 160
        first = round(at_s * rate - past * condition.speed)
        inside = recording[max(first, 0) : max(first + taken, 0)]
        cut = np.zeros(taken, np.float32)
        offset = max(-first, 0)
        cut[offset : offset + len(inside)] = inside
        sound = torch.from_numpy(resample(cut, size + past))[None]
        heard = self._degrader(condition.chain, 1 << (size + 2 * past).bit_length())(
            sound, self._laid(self._voices, size + past), self._laid(self._noises, size + past), sound, size
        )
        result: NDArray[np.float32] = (heard[0] * 0.7).numpy()
        return result

    def _degrader(self, chain: Chain, fft: int) -> Degrader:
        """Return the degrader of a chain; making one transforms all rooms, so it is kept."""
        if (chain, fft) not in self._degraders:
            self._degraders[chain, fft] = Degrader(
                chain, self._rooms, self._direct, self._rate_hz, torch.device("cpu"), self._seed + len(self._degraders), fft=fft
            )
        return self._degraders[chain, fft]

    def _laid(self, clips: Clips, size: int) -> torch.Tensor:
        at = int(self._random.integers(0, len(clips.pcm) - size))
        return torch.from_numpy(clips.pcm[at : at + size].astype(np.float32) / 32768.0)[None]
