"""The sound that stations are made of: recordings at full rate, voices, noise.

Knows the packed clips of `train/data.py` and the files they came from. Recordings are decoded from their own files, in stereo,
at a rate that holds what VHF radio carries, and kept in the cache, so that codecs and studio processing meet real highs; voices
and noise are the packed 8 kHz clips. Knows nothing of scenes.

The recordings of a split are cast once and for all: `known` ones go into the catalogue; `strangers`, whole packages, are what
must not be recognised; `beds` are what spots and jingles are made of, so that no recording of the catalogue is in them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray

import monitor
from monitor.errors import NotAudio
from monitor.train.data import Clip, Clips, open_split
from monitor.train.decode import SAMPLE_RATE_HZ, decode

RATE_HZ = 32_000
"""Holds 15 kHz, what VHF radio carries; every codec here takes it."""
CHANNELS = 2
UP = RATE_HZ // SAMPLE_RATE_HZ
LEVEL_DB = -20.0
"""Root mean square of whatever is put on air at 0 dB, while it sounds."""
LEAST_S = 30.0
"""Shorter recordings are left out."""
QUIET = 1e-4
"""Power below a recording's loudest tenth of a second (-40 dB) at which it has not begun yet, or is over."""
STRANGERS = 0.25
"""Share of the music that stays unknown."""
BEDS = 4
"""One in so many of the other recordings is a bed."""
ADVERTS = 5
"""One in so many voices speaks in spots only: what the catalogue has of a voice is never on air in another place."""
DEMO = "demo"
"""Name of the split that comes with the program: a dozen clips and a voice, for tests and for a first look."""


class Role(StrEnum):
    """What a recording is for."""

    KNOWN = "known"
    STRANGER = "stranger"
    BED = "bed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording of the split."""

    name: str
    number: int
    """In the packed clips."""
    package: str
    role: Role
    first_s: float
    """Where it begins to sound."""
    last_s: float

    @property
    def length_s(self) -> float:
        """How long it sounds."""
        return self.last_s - self.first_s


class Material:
    """A split, cast."""

    def __init__(self, music: Clips, voices: Clips, noises: Clips, *, root: Path, folder: Path) -> None:
        """Cast the recordings.

        Args:
            music: Packed recordings; their paths are relative to `root`.
            voices: Packed speech.
            noises: Packed noise.
            root: Where the files are.
            folder: Where recordings at full rate are kept.
        """
        self.music, self.voices, self.noises = music, voices, noises
        self._root, self._folder = root, folder
        self.recordings = {one.name: one for one in _cast(music)}

    def role(self, role: Role) -> list[Recording]:
        """Return the recordings that are for this."""
        return [one for one in self.recordings.values() if one.role is role]

    def leave_out(self, names: Collection[str]) -> None:
        """Play these no more: strangers and beds that turned out to sound like what is catalogued."""
        self.recordings = {name: one for name, one in self.recordings.items() if name not in names}

    def packed(self, name: str) -> NDArray[np.float32]:
        """Return a recording as the catalogue hears it: mono [n] at 8 kHz."""
        return self.music.recording(self.recordings[name].number)

    def file(self, name: str) -> Path:
        """Return a recording's own file."""
        return self._root / self.music.paths[self.recordings[name].number]

    def sound(self, name: str, from_s: float, length_s: float) -> NDArray[np.float32]:
        """Return a piece of a recording at full rate, [samples, 2]; beyond its end is silence.

        Raises:
            NotAudio: The file is gone or cannot be decoded.
        """
        whole = self._full(self.file(name))
        first, size = round(from_s * RATE_HZ), round(length_s * RATE_HZ)
        piece = whole[first : first + size].astype(np.float32) / 32768.0
        return np.pad(piece, ((0, size - len(piece)), (0, 0)))

    def talk(self, seed: int, length_s: float, *, advert: bool = False) -> NDArray[np.float32]:
        """Let people talk: clips at one level with short pauses between, mono [samples] at full rate.

        Args:
            seed: Which clips.
            length_s: How long.
            advert: In a spot: no clip is in both a spot and anything else, unless there are too few for that.
        """
        random = np.random.default_rng(seed)
        size = round(length_s * SAMPLE_RATE_HZ)
        long = np.nonzero(self.voices.length >= SAMPLE_RATE_HZ * 4 // 5)[0]
        if len(long) >= ADVERTS:
            long = long[(np.arange(len(long)) % ADVERTS == 0) == advert]
        parts: list[NDArray[np.float32]] = []
        held = 0
        while held < size:
            clip = self.voices.recording(int(random.choice(long)))
            clip = clip[int(random.integers(max(len(clip) - size, 0) + 1)) :] if len(clip) > size else clip
            pause = np.zeros(round(random.uniform(0.1, 0.6) * SAMPLE_RATE_HZ), np.float32)
            parts += [levelled(clip, SAMPLE_RATE_HZ), pause]
            held += len(clip) + len(pause)
        return _up(np.concatenate(parts)[:size])

    def noise(self, seed: int, length_s: float) -> NDArray[np.float32]:
        """Return noise and ambience, recorded or synthesised (white to pink), mono [samples] at full rate."""
        random = np.random.default_rng(seed)
        size = round(length_s * SAMPLE_RATE_HZ)
        if random.random() < 0.7:
            at = int(random.integers(len(self.noises.pcm)))
            sound = np.take(self.noises.pcm, np.arange(at, at + size), mode="wrap").astype(np.float32) / 32768.0
        else:
            bins = size // 2 + 1
            colour = np.arange(1, bins + 1) ** -random.uniform(0.0, 1.0)
            sound = np.fft.irfft(colour * (random.standard_normal(bins) + 1j * random.standard_normal(bins)), size)
        return _up(levelled(sound.astype(np.float32), SAMPLE_RATE_HZ))

    def _full(self, path: Path) -> NDArray[np.int16]:
        """Map a recording at full rate [samples, 2]; decode it if it is not kept yet."""
        kept = self._folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.i16"
        if not kept.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = kept.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(path), "-t", "1800"]
            command += ["-ac", str(CHANNELS), "-ar", str(RATE_HZ), "-f", "s16le", str(draft)]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode != 0:
                raise NotAudio(f"{path}: {done.stderr.decode(errors='replace').strip()}; fetch the audio again")
            draft.rename(kept)
        return np.memmap(kept, np.dtype("<i2"), "r").reshape(-1, CHANNELS)


def open_material(cache: Path, split: str) -> Material:
    """Open a packed split, or the clips that come with the program (`DEMO`).

    Raises:
        DataMissing: The split is not packed.
    """
    if split == DEMO:
        return _demo(cache / "studio")
    music, voices, noises = (open_split(cache, split, kind) for kind in ("music", "speech", "noise"))
    return Material(music, voices, noises, root=cache, folder=cache / "studio")


def levelled(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Bring sound, [n] or [n, channels], to the common level; frames of 50 ms within 30 dB of the loudest count."""
    frame = rate_hz // 20
    whole = sound[: len(sound) // frame * frame]
    power = np.square(whole, dtype=np.float64).reshape(len(whole) // frame, -1).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 1e-3]
    if not loud.size or loud.mean() == 0.0:
        return sound
    return sound * np.float32(10 ** (LEVEL_DB / 20) / np.sqrt(loud.mean()))


def _up(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    raised: NDArray[np.float32] = scipy.signal.resample_poly(sound, UP, 1).astype(np.float32)
    return raised


def _cast(music: Clips) -> list[Recording]:
    """Give every recording that is long enough its role; the same clips are always cast the same."""
    long = [number for number in range(len(music)) if music.length[number] >= LEAST_S * SAMPLE_RATE_HZ]
    packages = sorted({music.packages[number] for number in long}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    hours = {name: sum(int(music.length[number]) for number in long if music.packages[number] == name) for name in packages}
    strange: set[str] = set()
    for name in packages:
        if sum(hours[one] for one in strange) + hours[name] <= 1.2 * STRANGERS * sum(hours.values()):
            strange.add(name)
    recordings, others = [], 0
    for number in long:
        role = Role.STRANGER if music.packages[number] in strange else Role.KNOWN
        if role is Role.KNOWN:
            others += 1
            role = Role.BED if others % BEDS == 0 else role
        first_s, last_s = _sounding(music.recording(number))
        if last_s - first_s >= LEAST_S - 2.0:
            recordings.append(
                Recording(
                    name=music.paths[number],
                    number=number,
                    package=music.packages[number],
                    role=role,
                    first_s=first_s,
                    last_s=last_s,
                )
            )
    return recordings


def _sounding(sound: NDArray[np.float32]) -> tuple[float, float]:
    """Return from when to when a recording sounds, in seconds."""
    frame = SAMPLE_RATE_HZ // 10
    power = np.square(sound[: len(sound) // frame * frame]).reshape(-1, frame).mean(axis=1)
    loud = np.nonzero(power > power.max() * QUIET)[0]
    return (float(loud[0]) / 10, float(loud[-1] + 1) / 10) if loud.size else (0.0, 0.0)


def _demo(folder: Path) -> Material:
    """Open the clips of the demo, each a package of its own; one voice speaks, noise is synthesised."""
    root = Path(monitor.__file__).parent / "demo" / "clips"
    listed = sorted((root / "listed").glob("*.opus"))
    unlisted, voices = (sorted((root / "unlisted").glob(f"*{what}")) for what in ("gewalt.opus", "voice.opus"))
    random = np.random.default_rng(0)
    hiss = (3000 * random.standard_normal(20 * SAMPLE_RATE_HZ)).clip(-32768, 32767).astype(np.int16)
    noises = Clips(hiss, [Clip(package="hiss", path="hiss", start=0, length=len(hiss), sha256="")])
    return Material(_decoded(root, [*listed, *unlisted]), _decoded(root, voices), noises, root=root, folder=folder)


def _decoded(root: Path, paths: Sequence[Path]) -> Clips:
    sounds = list(decode(paths))
    starts = np.cumsum([0, *(len(sound) for _, sound in sounds)])
    clips = [
        Clip(
            package=path.stem,
            path=path.relative_to(root).as_posix(),
            start=int(start),
            length=len(sound),
            sha256="",
        )
        for (path, sound), start in zip(sounds, starts[:-1], strict=True)
    ]
    return Clips(np.concatenate([sound for _, sound in sounds]), clips)
