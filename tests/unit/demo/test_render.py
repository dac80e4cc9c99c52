"""A programme becomes exactly the samples it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.demo.plan import LISTED, VOICE, Programme, Spot
from monitor.demo.render import SAMPLE_RATE_HZ, render
from monitor.errors import NotAudio

CLIP = LISTED / "sectoid-war-of-freedom.opus"


def programme(music: tuple[Spot, ...], voice: tuple[Spot, ...] = ()) -> Programme:
    return Programme(station="one", about="", bitrate_bps=48_000, length_s=6.0, music=music, voice=voice)


def spot(**changes) -> Spot:
    return Spot(**{"clip": CLIP, "at_s": 1.0, "length_s": 3.0, "from_s": 20.0, **changes})


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound.astype(np.float64) / 32768)) + 1e-12))


def seconds(sound: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    return sound[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]


def test_a_spot_is_audible_from_its_start_to_its_end_and_not_beyond() -> None:
    sound = render(programme((spot(),)))
    assert sound.shape == (6 * SAMPLE_RATE_HZ, 2)
    assert not seconds(sound, 0, 1).any()
    assert not seconds(sound, 4, 6).any()
    assert level_db(seconds(sound, 1, 4)) == pytest.approx(-20.0, abs=1.0)
    assert level_db(seconds(sound, 1.02, 1.2)) > -40
    assert level_db(seconds(sound, 3.8, 3.98)) > -40


def test_the_voice_is_as_loud_as_the_music() -> None:
    sound = render(programme((), (spot(clip=VOICE, from_s=0.0),)))
    assert level_db(seconds(sound, 1, 4)) == pytest.approx(-20.0, abs=2.0)


def test_a_fade_rises_slowly() -> None:
    faded, plain = render(programme((spot(fade_in_s=2.0),))), render(programme((spot(),)))
    assert level_db(seconds(faded, 1.0, 1.2)) < level_db(seconds(plain, 1.0, 1.2)) - 15
    assert level_db(seconds(faded, 3.1, 3.8)) == pytest.approx(level_db(seconds(plain, 3.1, 3.8)), abs=0.1)


def test_two_percent_fast_brings_a_later_place_two_percent_earlier() -> None:
    """The same moment of the clip, 3 s in at plain speed, comes after 3 / 1.02 s: a correlation of levels finds it there."""
    plain = render(programme((spot(at_s=0.0, length_s=6.0),)))
    fast = render(programme((spot(at_s=0.0, length_s=5.8, speed=1.02),)))

    def levels(sound: np.ndarray, positions: np.ndarray) -> np.ndarray:
        power = np.cumsum(np.square(sound[:, 0].astype(np.float64)))
        return np.log(power[positions + 1000] - power[positions] + 1)

    times = np.arange(0.2, 5.5, 0.01)
    stretched = [
        np.corrcoef(
            levels(plain, (times * SAMPLE_RATE_HZ).astype(int)),
            levels(fast, (times / speed * SAMPLE_RATE_HZ).astype(int)),
        )[0, 1]
        for speed in (1.0, 1.01, 1.02, 1.03)
    ]
    assert int(np.argmax(stretched)) == 2
    assert stretched[2] > 0.8


def test_a_clip_that_is_no_sound_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.opus"
    broken.write_text("not sound")
    with pytest.raises(NotAudio, match=r"broken\.opus"):
        render(programme((spot(clip=broken),)))
