"""Pieces written as MIDI, played by fluidsynth with several SoundFonts and at several tempi, packed as more music to train on.

Knows which SoundFonts Debian has, the header of a MIDI file, and the part files that `data.pack` joins. Each piece is played once:
which SoundFont and tempo it gets depends on its name, so that a run that was cut short goes on where it stood and two runs play the
same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from monitor.errors import Permanent
from monitor.train.data import RULES, Clip, checksum, part_path, worth_keeping, write_whole
from monitor.train.decode import SAMPLE_RATE_HZ, decode
from monitor.train.disk import MAKE_ROOM_OR_MOVE, told_when_full
from monitor.train.fetch import FetchError, fetch, read_manifest, unpack

SOUNDFONTS: Final = ("timgm6mb-soundfont", "fluid-soundfont-gm", "opl3-soundfont")
"""Debian packages. musescore-general-soundfont is left out: compressed, it plays four times as slowly as the others."""
TEMPI: Final = (0.85, 1.0, 1.18)
MIDI_SUFFIXES: Final = frozenset({".mid", ".midi", ".rmi", ".kar"})
SOUNDFONT_SUFFIXES: Final = frozenset({".sf2"})
_RENDER_HZ: Final = 16_000
"""Twice what is packed: the anti-aliasing is the resampler's, and it costs half of 44.1 kHz."""
_LONGEST_S: Final = 240.0
_LIMIT_S: Final = 300.0


class NoSynthesiser(Permanent):
    """fluidsynth is not installed: apt-get install fluidsynth, or render no MIDI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A piece, and how it is played."""

    piece: Path
    soundfont: Path
    tempo: float


def prepare(cache: Path, split: str, hours: float, say: Callable[[str], None]) -> None:
    """Fetch, play and pack pieces until there are `hours` of them; what is played already counts and stays.

    Every package gives in turn, so that the ten thousand folk songs of one do not crowd out the others. An hour costs one to two
    minutes of a core.

    Raises:
        NoSynthesiser: There is no fluidsynth.
        DiskFull: There is no room for what is played.
    """
    if shutil.which("fluidsynth") is None:
        raise NoSynthesiser
    with told_when_full(cache):
        _prepare(cache, split, hours, say)


def _prepare(cache: Path, split: str, hours: float, say: Callable[[str], None]) -> None:
    soundfonts = sorted(path for name in SOUNDFONTS for path in _soundfonts(cache, name, say))
    names = [row.name for row in read_manifest() if row.split == split and row.kind == "midi"]
    pieces = {name: _pieces(cache, name, say) for name in names}
    share_s = 3600.0 * hours / max(sum(bool(found) for found in pieces.values()), 1)
    left_s = 3600.0 * hours
    for name in sorted(names, key=lambda one: len(pieces[one])):
        wanted_s = left_s if name == max(names, key=lambda one: len(pieces[one])) else share_s
        played_s = _play_package(cache, name, pieces[name], soundfonts, min(wanted_s, left_s), say)
        left_s -= played_s


def take(piece: Path, soundfonts: list[Path]) -> Take:
    """Say how a piece is played, by its name alone."""
    number = int.from_bytes(hashlib.sha256(piece.name.encode()).digest()[:8], "big")
    return Take(
        piece=piece,
        soundfont=soundfonts[number % len(soundfonts)],
        tempo=TEMPI[number // len(soundfonts) % len(TEMPI)],
    )


def at_tempo(midi: bytes, tempo: float) -> bytes:
    """Make a MIDI file play `tempo` times as fast: more ticks make a quarter note (Standard MIDI Files 1.0, header chunk).

    Files that count film frames instead of quarter notes, and what is no MIDI file, are handed back as they are.
    """
    at = midi.find(b"MThd")
    division = int.from_bytes(midi[at + 12 : at + 14], "big")
    if at < 0 or len(midi) < at + 14 or division & 0x8000:
        return midi
    changed = min(max(round(division * tempo), 1), 0x7FFF)
    return midi[: at + 12] + changed.to_bytes(2, "big") + midi[at + 14 :]


def play(one: Take) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Return a piece as 8 kHz mono samples, four minutes at most; nothing where fluidsynth refuses it or takes too long."""
    with tempfile.TemporaryDirectory(prefix="monitor-midi-") as folder:
        score, sound = Path(folder, "piece.mid"), Path(folder, "piece.wav")
        with told_when_full(score.parent, MAKE_ROOM_OR_MOVE):
            score.write_bytes(at_tempo(one.piece.read_bytes(), one.tempo))
        command = ["fluidsynth", "-n", "-i", "-q", "-g", "0.5", "-r", str(_RENDER_HZ), "-T", "wav", "-F", str(sound)]
        try:
            subprocess.run([*command, str(one.soundfont), str(score)], capture_output=True, timeout=_LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            return np.zeros(0, np.int16)
        pcm = next(decode([sound]))[1] if sound.exists() else np.zeros(0, np.int16)
        return pcm[: int(_LONGEST_S * SAMPLE_RATE_HZ)]


def _soundfonts(cache: Path, name: str, say: Callable[[str], None]) -> list[Path]:
    return _fetched(cache, name, cache / "soundfonts" / name, SOUNDFONT_SUFFIXES, say)


def _pieces(cache: Path, name: str, say: Callable[[str], None]) -> list[Path]:
    return _fetched(cache, name, cache / "midi" / name.replace(":", "-"), MIDI_SUFFIXES, say)


def _fetched(cache: Path, name: str, target: Path, suffixes: frozenset[str], say: Callable[[str], None]) -> list[Path]:
    try:
        if not target.is_dir():
            unpack(fetch(cache / "packages", name), target, suffixes)
    except FetchError as error:
        say(f"left out: {error}")
        return []
    found = [path for path in target.rglob("*") if path.suffix.lower() in suffixes and path.is_file() and not path.is_symlink()]
    return sorted(found, key=lambda path: hashlib.sha256(path.name.encode()).digest())


def _play_package(
    cache: Path, name: str, pieces: list[Path], soundfonts: list[Path], wanted_s: float, say: Callable[[str], None]
) -> float:
    """Play pieces of a package until there are `wanted_s`; return the seconds there are. Every twenty pieces are kept."""
    part = part_path(cache, name, "midi")
    part.parent.mkdir(parents=True, exist_ok=True)
    index = part.with_suffix(".json")
    clips: list[Clip] = []
    tried = 0
    if index.is_file():
        content = json.loads(index.read_text(encoding="utf-8"))
        if content["rules"] == RULES:
            clips, tried = [Clip(**entry) for entry in content["clips"]], content["tried"]
    position = sum(clip.length for clip in clips)
    if tried >= len(pieces) or position >= wanted_s * SAMPLE_RATE_HZ:
        return position / SAMPLE_RATE_HZ
    with part.open("r+b" if clips else "wb") as file:
        file.truncate(2 * position)
        file.seek(0, 2)
        for piece in pieces[tried:]:
            chosen = take(piece, soundfonts)
            pcm = play(chosen)
            tried += 1
            if worth_keeping(pcm, "music"):
                path = f"{piece.relative_to(cache).as_posix()}#{chosen.soundfont.stem}@{chosen.tempo}"
                clips.append(Clip(package=name, path=path, start=position, length=len(pcm), sha256=checksum(pcm.tobytes())))
                file.write(pcm.tobytes())
                position += len(pcm)
            enough = position >= wanted_s * SAMPLE_RATE_HZ
            if enough or tried % 20 == 0 or tried == len(pieces):
                file.flush()
                text = json.dumps({"rules": RULES, "tried": tried, "clips": [asdict(clip) for clip in clips]}, ensure_ascii=False)
                write_whole(index, text)
            if enough:
                break
    say(f"{name}: {len(clips)} pieces played, {position / SAMPLE_RATE_HZ / 3600:.3f} h")
    return position / SAMPLE_RATE_HZ
