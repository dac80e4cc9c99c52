"""A programme that says what time it is: each second of it is a tone whose pitch is the second of the wall clock, modulo `SECONDS`.

So whoever hears it knows which seconds were heard, whatever was buffered, repeated or lost on the way.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SECONDS = 120
_BASE_HZ, _STEP_HZ = 400.0, 20.0
_RATE_HZ = 8000
_ENCODERS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "96k"),
    "aac": ("-c:a", "aac", "-b:a", "96k", "-f", "adts"),
    "ogg": ("-c:a", "libopus", "-b:a", "64k", "-ac", "1"),
    "ts": ("-c:a", "mp2", "-b:a", "128k", "-ar", "48000"),
}


def render(folder: Path, kinds: tuple[str, ...] = ("mp3", "aac", "ogg", "ts")) -> dict[str, Path]:
    """Write the whole programme once in each format."""
    rate = 44100
    second = np.arange(rate) / rate
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * (_BASE_HZ + _STEP_HZ * n) * second) for n in range(SECONDS)])
    pair = np.repeat(sound.astype("<f4"), 2).tobytes()
    files = {}
    for kind in kinds:
        files[kind] = folder / f"programme.{kind}"
        raw = ["-f", "f32le", "-ar", str(rate), "-ac", "2", "-i", "pipe:0"]
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *raw, *_ENCODERS[kind], str(files[kind])], input=pair, check=True, timeout=120
        )
        if kind in {"mp3", "aac"}:
            remux = [
                "ffmpeg",
                "-v",
                "error",
                "-y",
                "-i",
                str(files[kind]),
                "-c",
                "copy",
                "-f",
                "mpegts",
                str(_carrier(files[kind])),
            ]
            subprocess.run(remux, check=True, timeout=60)
    return files


def played(file: Path) -> list[str]:
    """ffmpeg's options for playing the programme in time with the wall clock, endlessly.

    Out of a transport stream: from a bare MP3, ffmpeg sends all two minutes at once where the programme begins anew.
    """
    carrier = _carrier(file) if _carrier(file).exists() else file
    return ["-re", "-stream_loop", "-1", "-ss", f"{time.time() % SECONDS:.3f}", "-i", str(carrier)]


def _carrier(file: Path) -> Path:
    return file.with_name(f"{file.name}.ts")


def heard_seconds(pieces: list[NDArray[np.float32]]) -> Counter[int]:
    """Count the samples heard of each second of the programme, taking the strongest pitch of each piece of sound."""
    counted: Counter[int] = Counter()
    for samples in pieces:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), 8 * samples.size))
        if spectrum.max() < 1.0:  # silence
            continue
        pitch_hz = float(np.argmax(spectrum)) * _RATE_HZ / (8 * samples.size)
        second = round((pitch_hz - _BASE_HZ) / _STEP_HZ)
        if 0 <= second < SECONDS:
            counted[second] += samples.size
    return counted


def missed_s(pieces: list[NDArray[np.float32]], from_s: float, to_s: float) -> int:
    """Count the whole seconds of the wall clock between two times of which less than half was heard."""
    counted = heard_seconds(pieces)
    wanted = [second % SECONDS for second in range(int(from_s) + 1, int(to_s))]
    return sum(counted[second] < _RATE_HZ // 2 for second in wanted)
