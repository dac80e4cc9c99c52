"""Recordings after a lossy codec, sample by sample in the same places as the packed originals.

Knows ffmpeg's encoders and how a bank of coded recordings lies beside the packed ones: `pcm/train-music.coded-1.i16` holds, for
every clip of `train-music.json`, as many samples in the same place, after one codec; which one depends on the clip and the bank's
number. A codec's delay is measured for every clip, by its correlation with the original, and taken off.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from monitor.train.data import Clips, open_split
from monitor.train.decode import SAMPLE_RATE_HZ, decode
from monitor.train.disk import refuse_full, told_when_full

CODECS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **{f"mp3-{rate}": ("mp3", ("-c:a", "libmp3lame", "-b:a", f"{rate}k")) for rate in (16, 24, 48, 128)},
    **{f"aac-{rate}": ("m4a", ("-c:a", "aac", "-b:a", f"{rate}k")) for rate in (24, 48, 96)},
    **{f"opus-{rate}": ("ogg", ("-c:a", "libopus", "-b:a", f"{rate}k")) for rate in (16, 24, 48)},
}
"""Name (kbit/s), the file it goes into, what ffmpeg is told. Mono: 24 kbit/s are what a thin web radio spends on both channels."""
LONGEST_DELAY_S = 0.25
CORRELATED_S = 30.0
"""The delay is measured over the first half minute."""


def coded(source: Path, codec: str, *, start_s: float = 0.0, length_s: float | None = None) -> NDArray[np.int16]:
    """Return a file, or a part of it, after a codec: 8 kHz, mono; nothing where ffmpeg refuses the file."""
    suffix, arguments = CODECS[codec]
    part = ["-ss", f"{start_s}", *(("-t", f"{length_s}") if length_s is not None else ())]
    with tempfile.TemporaryDirectory(prefix="monitor-codec-") as folder:
        target = Path(folder, f"coded.{suffix}")
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(source), *part, "-map", "0:a:0", "-ac", "1"]
        done = subprocess.run([*command, *arguments, str(target)], stderr=subprocess.PIPE, check=False)
        refuse_full(folder, done.stderr)
        if done.returncode != 0 or not target.exists():
            return np.zeros(0, np.int16)
        return next(decode([target]))[1]


def delay(original: NDArray[np.int16], late: NDArray[np.int16]) -> int:
    """Return by how many samples `late` is behind the original (negative: ahead), where their cross-correlation is highest."""
    size, most = int(CORRELATED_S * SAMPLE_RATE_HZ), int(LONGEST_DELAY_S * SAMPLE_RATE_HZ)
    fft = scipy.fft.next_fast_len(2 * size)
    one, other = (scipy.fft.rfft(sound[:size].astype(np.float32), fft) for sound in (original, late))
    product = scipy.fft.irfft(other * np.conj(one), fft)
    near = np.concatenate([product[-most:], product[: most + 1]])
    return int(near.argmax()) - most


def aligned(original: NDArray[np.int16], late: NDArray[np.int16]) -> NDArray[np.int16]:
    """Take the delay off, and cut or fill up with silence to the length of the original."""
    behind = delay(original, late)
    result = np.zeros_like(original)
    kept = late[max(behind, 0) :][: len(original) - max(-behind, 0)]
    result[max(-behind, 0) :][: len(kept)] = kept
    return result


def bank_path(cache: Path, number: int) -> Path:
    """Return where the samples of a bank are."""
    return cache / "pcm" / f"train-music.coded-{number}.i16"


def make_bank(cache: Path, number: int, say: Callable[[str], None]) -> None:
    """Code every packed recording of the train split; taken up again where it was left.

    An hour of recordings takes about a minute of a core. A recording that cannot be coded is copied as it is.

    Raises:
        DiskFull: There is no room for it.
    """
    with told_when_full(cache):
        _make_bank(cache, number, say)


def _make_bank(cache: Path, number: int, say: Callable[[str], None]) -> None:
    clips, target = open_split(cache, "train", "music"), bank_path(cache, number)
    if target.is_file() and target.stat().st_size == 2 * len(clips.pcm):
        return
    names = sorted(CODECS)
    growing = target.with_suffix(".i16.growing")
    done = growing.stat().st_size // 2 if growing.is_file() else 0
    first = int(np.searchsorted(clips.start, done, side="right")) - 1 if done else 0
    with growing.open("r+b" if growing.is_file() else "wb") as file:
        file.truncate(2 * int(clips.start[first]))
        file.seek(0, 2)
        for clip in range(first, len(clips)):
            original = np.array(clips.pcm[clips.start[clip] : clips.start[clip] + clips.length[clip]])
            codec = names[(7 * clip + 3 * number) % len(names)]
            late = coded(cache / clips.paths[clip], codec)
            file.write((aligned(original, late) if len(late) else original).tobytes())
            if clip % 20 == 19:
                say(json.dumps({"bank": number, "recordings": clip + 1, "of": len(clips), "codec": codec}))
    growing.rename(target)


def open_banks(cache: Path, music: Clips) -> list[Clips]:
    """Map the banks that are there and fit the packed recordings."""
    banks = []
    for path in sorted(bank_path(cache, 0).parent.glob("train-music.coded-*.i16")):
        if path.stat().st_size == 2 * len(music.pcm):
            banks.append(music.with_samples(np.memmap(path, np.dtype("<i2"), "r")))
    return banks
