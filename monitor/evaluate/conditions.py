"""What is done to a recording before it is looked for, by name.

Knows the degradation chain of `train/degrade.py`, with one thing at a time switched on, and codecs through ffmpeg. A query is
degraded as a whole and cut afterwards (Araz et al., ISMIR 2025, section 4); ducking is off, so that the level named is the level
measured.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.train import rooms
from monitor.train.data import Clips
from monitor.train.degrade import Chain, Degrader
from monitor.train.sampler import resample
from monitor.train.stretch import stretched
from monitor.train.validate import CONDITIONS as VALIDATED

PAST_S = 1.0
"""Sound before the query, so that rooms ring into it."""
ROOMS = 60
NOTHING = Chain().only()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One way to be heard."""

    chain: Chain = NOTHING
    speed: float = 1.0
    """Pitch and tempo together."""
    tempo: float = 1.0
    """At the same pitch."""
    pitch: float = 1.0
    """At the same tempo."""
    codec: str = ""
    """One of `train/codecs.py`: cut from the original file, for whoever has it; `Studio` knows sound only."""


def _validated(name: str) -> Condition:
    """Return a condition that training validates under: it is described there, once."""
    chain, speed = VALIDATED[name]
    return Condition(chain=chain, speed=speed)


CONDITIONS: Mapping[str, Condition] = {
    "clean": Condition(),
    **{name: _validated(name) for name in ("noise 0-10 dB and room", "voice 0 dB", "voice -6 dB", "voice -12 dB")},
    "speed +2 %": Condition(speed=1.02),
    "speed -2 %": Condition(speed=0.98),
    "speed +5 %": _validated("speed +5 %"),
    "speed -5 %": Condition(speed=0.95),
    "station chain": Condition(chain=Chain().only(compress=1.0, equalise=1.0, clip=1.0)),
}


SNR: Mapping[str, Condition] = {
    f"noise {level} dB and room": Condition(chain=Chain().only(noise=1.0, noise_db=(float(level), float(level)), room=1.0))
    for level in (0, 5, 10, 15)
}
"""Nikou and Giannakopoulos, 2025."""
CODEC: Mapping[str, Condition] = {"MP3 24 kbit/s": Condition(codec="mp3-24")}
DISTORTIONS: Mapping[str, Condition] = {
    **{f"tempo {100 * tempo - 100:+.0f} %": Condition(tempo=tempo) for tempo in (0.9, 0.95, 1.05, 1.1)},
    **{f"pitch {100 * pitch - 100:+.0f} %": Condition(pitch=pitch) for pitch in (0.94, 0.97, 1.03, 1.06)},
    "low-pass 2 kHz": Condition(chain=Chain().only(band=1.0, low_pass_hz=(2000.0, 2000.0), high_pass_hz=(20.0, 20.0))),
    "high-pass 1 kHz": Condition(chain=Chain().only(band=1.0, low_pass_hz=(3900.0, 3900.0), high_pass_hz=(1000.0, 1000.0))),
    "equaliser": Condition(chain=Chain().only(equalise=1.0)),
    "compressor": Condition(chain=Chain().only(compress=1.0)),
    "clipping": Condition(chain=Chain().only(clip=1.0)),
    "room": Condition(chain=Chain().only(room=1.0)),
    **{f"noise {level} dB": Condition(chain=Chain().only(noise=1.0, noise_db=(float(level), float(level)))) for level in (0, 10)},
    **{name.replace("-", " "): Condition(codec=name) for name in ("mp3-16", "mp3-48", "aac-24", "opus-16", "opus-24")},
}
"""One at a time, in the manner of the comparison of music foundation models (arXiv 2511.05399)."""


class Studio:
    """Makes queries: holds the voices, the noises and the rooms of a split.

    Each condition has random numbers of its own: what a query meets does not hang on the conditions asked before.
    """

    def __init__(self, voices: Clips, noises: Clips, *, rate_hz: int, seed: int) -> None:
        self._voices, self._noises, self._rate_hz = voices, noises, rate_hz
        self._seed = seed
        self._rooms = rooms.bank(seed, ROOMS, rate_hz, rate_hz)
        self._degraders: dict[tuple[Condition, int], Degrader] = {}
        self._draws: dict[Condition, np.random.Generator] = {}
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
        if condition.tempo * condition.pitch != 1.0:
            sound = self._stretched(recording, round((at_s - PAST_S * condition.tempo) * rate), size + past, condition)
        if condition not in self._draws:
            self._draws[condition] = np.random.default_rng(self._seed_of(condition))
        draw = self._draws[condition]
        heard = self._degrader(condition, 1 << (size + 2 * past).bit_length())(
            sound, _laid(self._voices, size + past, draw), _laid(self._noises, size + past, draw), sound, size
        )
        result: NDArray[np.float32] = (heard[0] * 0.7).numpy()
        return result

    def _stretched(self, recording: NDArray[np.float32], first: int, size: int, condition: Condition) -> torch.Tensor:
        """Change tempo or pitch alone: a turntable for the pitch, a phase vocoder for the rest."""
        taken = round(size * condition.tempo / 160) * 160
        turned = round(taken / condition.pitch / 160) * 160
        cut = recording[max(first, 0) : max(first + taken, 0)]
        cut = np.pad(cut, (max(-first, 0), max(taken - len(cut) - max(-first, 0), 0)))
        return stretched(torch.from_numpy(resample(cut, turned))[None], torch.tensor([turned / size]), size)

    def _seed_of(self, condition: Condition) -> tuple[int, int]:
        """Return a seed for what the condition is, all fields of its chain included: one more field is another draw for all."""
        return self._seed, zlib.crc32(repr(condition).encode())

    def _degrader(self, condition: Condition, fft: int) -> Degrader:
        """Return the degrader of a condition; making one transforms all rooms, so it is kept."""
        if (condition, fft) not in self._degraders:
            seed = int(np.random.SeedSequence(self._seed_of(condition)).generate_state(1)[0])
            self._degraders[condition, fft] = Degrader(
                condition.chain, self._rooms, self._direct, self._rate_hz, torch.device("cpu"), seed, fft=fft
            )
        return self._degraders[condition, fft]


def _laid(clips: Clips, size: int, draw: np.random.Generator) -> torch.Tensor:
    at = int(draw.integers(0, len(clips.pcm) - size))
    return torch.from_numpy(clips.sound(at, size))[None]
