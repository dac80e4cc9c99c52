"""The fixed plan keeps what the demo promises."""

from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest

from monitor.demo.plan import LISTED, Programme, aired, programmes

PLAIN, HARD = programmes()


def clip_length_s(path) -> float:
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.parametrize("programme", [PLAIN, HARD], ids=lambda item: item.station)
def test_every_spot_lies_within_its_clip_and_its_programme(programme: Programme) -> None:
    for spot in (*programme.music, *programme.voice):
        assert spot.from_s + spot.length_s * spot.speed <= clip_length_s(spot.clip), spot
        assert 0 <= spot.at_s < spot.end_s <= programme.length_s, spot
        assert spot.fade_in_s + spot.fade_out_s <= spot.length_s, spot


def test_the_plain_station_cross_fades_over_three_seconds() -> None:
    for before, after in pairwise(PLAIN.music):
        assert before.end_s - after.at_s == before.fade_out_s == after.fade_in_s == 3.0
        assert PLAIN.on_air(after.at_s + 1.0) == [before, after]


def test_the_hard_station_has_everything_that_makes_it_hard() -> None:
    assert HARD.bitrate_bps <= 64_000
    assert [spot.speed for spot in HARD.music].count(1.02) == 1
    assert [spot.listed for spot in HARD.music].count(False) == 1
    talked_over = [
        music for music in HARD.music for voice in HARD.voice if max(music.at_s, voice.at_s) < min(music.end_s, voice.end_s)
    ]
    assert len(talked_over) >= 2


def test_the_clips_are_many_by_several_artists_and_small() -> None:
    clips = list(LISTED.glob("*.opus"))
    assert len(clips) >= 10
    assert sum(path.stat().st_size for path in LISTED.parent.rglob("*") if path.is_file()) <= 12_000_000


def test_every_round_is_aired_at_its_own_time() -> None:
    once, thrice = aired(HARD, 1000.0), aired(HARD, 1000.0, 3)
    assert thrice[: len(once)] == once
    assert len(thrice) == 3 * len(once)
    assert thrice[-1].start_utc_s - once[-1].start_utc_s == 2 * HARD.length_s
    assert once[0].start_utc_s == 1000.0 + HARD.music[0].at_s
