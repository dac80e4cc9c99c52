"""A piece is played as its name says, at the tempo its header is given; what is played is packed as music."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from monitor.train.data import RULES, Clip, open_split, pack, part_path
from monitor.train.midi import TEMPI, Take, at_tempo, play, take

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def piece(quarters: int, ticks: int = 96) -> bytes:
    """Write a scale of quarter notes at 120 a minute, on one track."""
    events = b"".join(
        bytes([0, 0x90, 60 + at % 12, 100]) + bytes([ticks & 0x7F]) + bytes([0x80, 60 + at % 12, 0]) for at in range(quarters)
    )
    track = events + b"\0\xff\x2f\0"
    header = b"MThd" + (6).to_bytes(4, "big") + (0).to_bytes(2, "big") + (1).to_bytes(2, "big") + ticks.to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def test_tempo_is_ticks_to_a_quarter() -> None:
    changed = at_tempo(piece(4), 1.25)
    assert changed[12:14] == (120).to_bytes(2, "big")
    assert changed[:12] + changed[14:] == piece(4)[:12] + piece(4)[14:]
    assert at_tempo(b"RIFF....RMIDdata...." + piece(4), 0.5)[20:][12:14] == (48).to_bytes(2, "big")


@pytest.mark.parametrize("odd", [b"", b"no midi", b"MThd", piece(2)[:12] + b"\xe7\x28" + piece(2)[14:]])
def test_what_counts_no_quarters_is_left_alone(odd: bytes) -> None:
    assert at_tempo(odd, 1.25) == odd


def test_soundfonts_and_tempi_all_get_their_turn_by_name() -> None:
    fonts = [Path("a.sf2"), Path("b.sf2")]
    takes = [take(Path(f"{number}.mid"), fonts) for number in range(60)]
    assert {(one.soundfont, one.tempo) for one in takes} == {(font, tempo) for font in fonts for tempo in TEMPI}
    assert takes == [take(Path(f"{number}.mid"), fonts) for number in range(60)]


def test_faster_is_shorter(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("fluidsynth")
    need("ffmpeg")
    (tmp_path / "a.mid").write_bytes(piece(16))
    slow, fast = (play(Take(piece=tmp_path / "a.mid", soundfont=SOUNDFONT, tempo=tempo)) for tempo in (0.8, 1.6))
    heard_s = [np.flatnonzero(np.abs(pcm) > 300)[-1] / 8000 for pcm in (slow, fast)]
    assert heard_s[0] == pytest.approx(10.0, abs=1.2)
    assert heard_s[1] == pytest.approx(5.0, abs=1.2)
    (tmp_path / "b.mid").write_bytes(b"rubbish")
    assert not np.abs(play(Take(piece=tmp_path / "b.mid", soundfont=SOUNDFONT, tempo=1.0))).max(initial=0) > 30


def test_what_was_played_is_packed_with_the_music(tmp_path: Path) -> None:
    for kind, level in (("music", 100), ("midi", 200)):
        part = part_path(tmp_path, "p", kind)
        part.parent.mkdir(parents=True, exist_ok=True)
        played = np.full(90_000, level, "<i2").tobytes()
        part.write_bytes(played)
        clip = asdict(Clip(package="p", path=f"{kind}/x", start=0, length=90_000, sha256=hashlib.sha256(played).hexdigest()))
        part.with_suffix(".json").write_text(json.dumps({"rules": RULES, "clips": [clip]}))
    assert [clip.path for clip in pack(tmp_path, "train", "music", ["p"])] == ["music/x", "midi/x"]
    music = open_split(tmp_path, "train", "music")
    assert music.start.tolist() == [0, 90_000]
    assert (music.pcm[0], music.pcm[90_000]) == (100, 200)
