"""Turns a programme into the samples a station sends.

Knows ffmpeg for decoding, levels and fades. Knows nothing of pace, of encoding for the air or of listeners.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.demo.plan import Programme, Spot
from monitor.errors import NotAudio

SAMPLE_RATE_HZ: Final = 44_100
CHANNELS: Final = 2
_LEVEL_DB: Final = -20.0
"""Root mean square of every recording and of the voice while it speaks: room for both at once."""
_CLIP_RATE_HZ: Final = 48_000
"""Opus always decodes to this rate; playing it at another is what a fast turntable does."""


def render(programme: Programme) -> NDArray[np.int16]:
    """Mix one round of the programme, shape [samples, channels].

    Raises:
        NotAudio: A clip cannot be decoded.
    """
    mix = np.zeros((round(programme.length_s * SAMPLE_RATE_HZ), CHANNELS), np.float32)
    for spot in (*programme.music, *programme.voice):
        start = round(spot.at_s * SAMPLE_RATE_HZ)
        sound = _level(_decode(spot)) * _envelope(spot)[:, None]
        mix[start : start + len(sound)] += sound[: len(mix) - start]
    return (np.clip(mix, -1.0, 1.0) * 32767).astype(np.int16)


def _decode(spot: Spot) -> NDArray[np.float32]:
    """Decode exactly the spot's length, [samples, channels]; what the clip lacks is silence."""
    wanted = round(spot.length_s * SAMPLE_RATE_HZ)
    filters = f"atrim=start={spot.from_s}:end={spot.from_s + spot.length_s * spot.speed},asetpts=PTS-STARTPTS"
    if spot.speed != 1.0:
        filters += f",asetrate={round(_CLIP_RATE_HZ * spot.speed)}"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(spot.clip), "-af", f"{filters},aresample={SAMPLE_RATE_HZ}"]
    command += ["-ac", str(CHANNELS), "-f", "f32le", "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise NotAudio(f"{_shown(spot.clip)}: {done.stderr.decode(errors='replace').strip() or 'ffmpeg failed without a word'}")
    sound = np.frombuffer(done.stdout, np.float32).reshape(-1, CHANNELS)[:wanted]
    return np.pad(sound, ((0, wanted - len(sound)), (0, 0)))


def _level(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring what is not silence to the common level: 50 ms frames within 30 dB of the loudest count."""
    frame = SAMPLE_RATE_HZ // 20
    frames = sound[: len(sound) // frame * frame].reshape(-1, frame * CHANNELS)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = power[power > power.max() * 1e-3]
    if not loud.size:
        return sound
    return sound * np.float32(10 ** (_LEVEL_DB / 20) / np.sqrt(loud.mean()))


def _envelope(spot: Spot) -> NDArray[np.float32]:
    """Fade in and out with equal power: the squares of two crossing fades add up to one."""
    gain = np.ones(round(spot.length_s * SAMPLE_RATE_HZ), np.float32)
    rising, falling = round(spot.fade_in_s * SAMPLE_RATE_HZ), round(spot.fade_out_s * SAMPLE_RATE_HZ)
    gain[:rising] = np.sin(np.linspace(0.0, np.pi / 2, rising, dtype=np.float32))
    gain[len(gain) - falling :] *= np.cos(np.linspace(0.0, np.pi / 2, falling, dtype=np.float32))
    return gain


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
