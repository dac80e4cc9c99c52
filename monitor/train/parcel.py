"""Packed audio made small enough to be carried to a machine that reaches nothing, and unpacked there.

Knows Opus through the C library (libopus.so.0, half a megabyte, which may be carried along: it is looked for in the parcel first)
and a folder of numbered bags of at most so many megabytes. A packed file is cut into stretches of ten minutes, each coded by
itself, so that cores share the work and bags may come one by one. 12 kbit/s at 8 kHz: a tenth of the samples; impulse responses
travel as they are.
"""

from __future__ import annotations

import ctypes
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.errors import Permanent
from monitor.train.data import checksum, write_whole
from monitor.train.decode import SAMPLE_RATE_HZ

FRAME: Final = 480
"""60 ms, the longest frame: the fewest bytes."""
STRETCH: Final = FRAME * 10_000
BITS_PER_S: Final = 12_000
LIBRARY: Final = "libopus.so.0"
_AUDIO, _SET_BITRATE, _GET_LOOKAHEAD = 2049, 4002, 4027
_LARGEST_PACKET = 4000


class NoOpus(Permanent):
    """libopus.so.0 is not to be had: apt-get install libopus0, or put it into the parcel's folder."""


def pack(cache: Path, target: Path, names: Sequence[str], megabytes: float, jobs: int, say: Callable[[str], None]) -> None:
    """Write the packed files `names` (such as `train-music`) as bags `target/1`, `target/2`, …; a stretch that is there stays.

    Costs some five milliseconds of a core a second of audio.
    """
    target.mkdir(parents=True, exist_ok=True)
    opus = _library(target)
    staged = target / "stretches"
    staged.mkdir(exist_ok=True)
    for name in names:
        audio = cache / "pcm" / f"{name}.i16"
        pcm = np.memmap(audio, np.dtype("<i2"), "r") if audio.stat().st_size else np.zeros(0, np.int16)
        shutil.copyfile(audio.with_suffix(".json"), staged / f"{name}.json")

        def code(at: int, name: str = name, pcm: NDArray[np.int16] = pcm) -> None:
            path = staged / f"{name}.{at // STRETCH:05d}"
            if not path.exists():
                part = np.array(pcm[at : at + STRETCH])
                content = part.tobytes() if name.endswith("-ir") else encoded(opus, part)
                path.with_suffix(path.suffix + "-growing").write_bytes(content)
                path.with_suffix(path.suffix + "-growing").rename(path)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(code, range(0, len(pcm), STRETCH)))
        say(f"{name}: {sum(path.stat().st_size for path in staged.glob(f'{name}.*')) / 1e6:.1f} MB")
    bag, held = 1, 0
    for path in sorted(staged.iterdir()):
        if held and held + path.stat().st_size > megabytes * 1e6:
            bag, held = bag + 1, 0
        (target / str(bag)).mkdir(exist_ok=True)
        held += path.stat().st_size
        path.rename(target / str(bag) / path.name)
    staged.rmdir()
    say(f"{bag} bags in {target}")


def unpack(parcel: Path, cache: Path, jobs: int, say: Callable[[str], None]) -> list[str]:
    """Decode the bags that are there into the cache; return the packed files of which a part is still missing.

    A packed file is as long as its index says from the first stretch on, and of use when none is missing; its checksums are then
    those of what was decoded.
    """
    opus = _library(parcel)
    folder = cache / "pcm"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(parcel.glob("*/*.json")):
        shutil.copyfile(path, folder / path.name)
    missing = []
    for index in sorted(folder.glob("*.json")):
        samples = sum(clip["length"] for clip in json.loads(index.read_text(encoding="utf-8")))
        audio, done = index.with_suffix(".i16"), index.with_suffix(".stretches")
        if not audio.exists() or audio.stat().st_size != 2 * samples:
            with audio.open("wb") as file:
                file.truncate(2 * samples)
            done.unlink(missing_ok=True)
        known: set[int] = set(json.loads(done.read_text())) if done.exists() else set()
        waiting = {int(path.suffix[1:]): path for path in parcel.glob(f"*/{index.stem}.[0-9]*")}

        def decode(number: int, audio: Path = audio, waiting: dict[int, Path] = waiting, samples: int = samples) -> int:
            content = waiting[number].read_bytes()
            size = min(STRETCH, samples - number * STRETCH)
            part = content if audio.stem.endswith("-ir") else decoded(opus, content, size).tobytes()
            with audio.open("r+b") as file:
                file.seek(2 * number * STRETCH)
                file.write(part)
            return number

        with ThreadPoolExecutor(jobs) as pool:
            known |= set(pool.map(decode, sorted(set(waiting) - known)))
        done.write_text(json.dumps(sorted(known)))
        wanted = -(-samples // STRETCH)
        if len(known) < wanted:
            missing.append(index.stem)
        else:
            _seal(index, audio)
        say(f"{index.stem}: {len(known)} of {wanted} stretches")
    return missing


def _seal(index: Path, audio: Path) -> None:
    """Have the checksums of a packed file be those of its samples: a bag's index tells those from before the coding."""
    clips = json.loads(index.read_text(encoding="utf-8"))
    samples = np.memmap(audio, np.dtype("<i2"), "r") if audio.stat().st_size else np.zeros(0, np.int16)
    for clip in clips:
        clip["sha256"] = checksum(samples[clip["start"] : clip["start"] + clip["length"]].tobytes())
    write_whole(index, json.dumps(clips, ensure_ascii=False, indent=0))


def encoded(opus: ctypes.CDLL, pcm: NDArray[np.int16]) -> bytes:
    """Return samples as packets, each after its length in two bytes; what the coder is late by is coded after the end."""
    error = ctypes.c_int()
    coder = ctypes.c_void_p(opus.opus_encoder_create(SAMPLE_RATE_HZ, 1, _AUDIO, ctypes.byref(error)))
    try:
        opus.opus_encoder_ctl(coder, _SET_BITRATE, ctypes.c_int(BITS_PER_S))
        late = _late(opus, coder)
        frames = -(-(len(pcm) + late) // FRAME)
        padded = np.zeros(frames * FRAME, np.int16)
        padded[: len(pcm)] = pcm
        buffer = (ctypes.c_ubyte * _LARGEST_PACKET)()
        packets = bytearray()
        for at in range(0, len(padded), FRAME):
            size = opus.opus_encode(coder, padded[at:].ctypes.data_as(ctypes.c_void_p), FRAME, buffer, _LARGEST_PACKET)
            if size < 0:
                raise RuntimeError(f"opus_encode: error {size}")
            packets += size.to_bytes(2, "little") + bytes(buffer[:size])
        return bytes(packets)
    finally:
        opus.opus_encoder_destroy(coder)


def decoded(opus: ctypes.CDLL, packets: bytes, size: int) -> NDArray[np.int16]:
    """Return the `size` samples of packets, each in its place."""
    error = ctypes.c_int()
    coder = ctypes.c_void_p(opus.opus_encoder_create(SAMPLE_RATE_HZ, 1, _AUDIO, ctypes.byref(error)))
    late = _late(opus, coder)
    opus.opus_encoder_destroy(coder)
    reader = ctypes.c_void_p(opus.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error)))
    try:
        pcm = np.zeros(-(-(size + late) // FRAME) * FRAME, np.int16)
        position = at = 0
        while position < len(packets):
            length = int.from_bytes(packets[position : position + 2], "little")
            packet = packets[position + 2 : position + 2 + length]
            got = opus.opus_decode(reader, packet, length, pcm[at:].ctypes.data_as(ctypes.c_void_p), FRAME, 0)
            if got != FRAME:
                raise RuntimeError(f"opus_decode: {got}")
            position, at = position + 2 + length, at + FRAME
        return pcm[late : late + size]
    finally:
        opus.opus_decoder_destroy(reader)


def _late(opus: ctypes.CDLL, coder: ctypes.c_void_p) -> int:
    late = ctypes.c_int()
    opus.opus_encoder_ctl(coder, _GET_LOOKAHEAD, ctypes.byref(late))
    return late.value


def _library(folder: Path) -> ctypes.CDLL:
    for name in (str(folder / LIBRARY), LIBRARY):
        try:
            opus = ctypes.CDLL(name)
        except OSError:
            continue
        opus.opus_encoder_create.restype = opus.opus_decoder_create.restype = ctypes.c_void_p
        return opus
    raise NoOpus
