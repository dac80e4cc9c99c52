"""What leaves the desk is at the levels, places and speeds that the scene names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.evaluate.broadcast.air import filters
from monitor.evaluate.broadcast.material import RATE_HZ, Material, levelled
from monitor.evaluate.broadcast.render import Desk, _ducked, _speaking, faster, stretched
from monitor.evaluate.broadcast.scene import Chain, Codec, Element, Kind, Scene
from tests.unit.evaluate.test_broadcast_plan import clips

CHAIN = Chain(ratio=1.0, equaliser_db=((1000.0, 3.0),), drive_db=0.0, widen=1.0)


class Tones(Material):
    """A material whose recordings are tones and whose voice speaks two of three seconds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(clips(12, 40.0), clips(1, 5.0), clips(1, 9.0), root=folder, folder=folder)

    def sound(self, name: str, from_s: float, length_s: float) -> NDArray[np.float32]:
        time_s = from_s + np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        return np.repeat(np.sin(2 * np.pi * 440.0 * time_s)[:, None], 2, axis=1).astype(np.float32)

    def talk(self, seed: int, length_s: float, *, advert: bool = False) -> NDArray[np.float32]:
        time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        return (0.1 * np.sqrt(2) * np.sin(2 * np.pi * 900.0 * time_s) * (time_s % 3.0 < 2.0)).astype(np.float32)


def scene(*elements: Element, length_s: float = 12.0) -> Scene:
    codec = Codec(name="mp3", kbps=128)
    return Scene(name="s", condition="c", length_s=length_s, elements=elements, chain=CHAIN, codec=codec)


def level(sound: NDArray[np.float32], hz: float) -> float:
    """Level of a tone in a piece of sound, dB."""
    at = np.exp(-2j * np.pi * hz * np.arange(len(sound)) / RATE_HZ)
    return float(20 * np.log10(2 * abs(sound[:, 0] @ at) / len(sound)))


MUSIC = Element(kind=Kind.RECORDING, name="p0/m.ogg", at_s=0.0, length_s=12.0, gain_db=-12.0, duck_db=9.0)
VOICE = Element(kind=Kind.VOICE, at_s=0.0, length_s=12.0)


def test_music_is_its_gain_under_the_voice_and_comes_up_in_the_pauses(tmp_path: Path) -> None:
    mix = Desk(Tones(tmp_path), {}).mix(scene(MUSIC, VOICE))
    speaking, silent = mix[round(0.5 * RATE_HZ) : round(1.5 * RATE_HZ)], mix[round(2.75 * RATE_HZ) : round(2.95 * RATE_HZ)]
    assert level(speaking, 440.0) - level(speaking, 900.0) == pytest.approx(-12.0, abs=0.3)
    assert level(silent, 440.0) - level(speaking, 440.0) == pytest.approx(9.0, abs=0.7)


def test_an_element_sounds_only_where_it_is_and_fades_with_equal_power(tmp_path: Path) -> None:
    music = replace(MUSIC, at_s=2.0, length_s=6.0, gain_db=0.0, duck_db=0.0, fade_in_s=2.0)
    mix = Desk(Tones(tmp_path), {}).mix(scene(music))
    power = np.square(mix[:, 0]).reshape(-1, RATE_HZ // 10).mean(axis=1)
    assert power[:20].max() == 0.0
    assert power[80:].max() == 0.0
    assert power[30] == pytest.approx(power[60] / 2, rel=0.1)  # half way through the fade: half the power


def test_turning_it_faster_raises_the_pitch_and_stretching_does_not() -> None:
    time_s = np.arange(8 * RATE_HZ) / RATE_HZ
    tone = np.repeat(np.sin(2 * np.pi * 500.0 * time_s)[:, None], 2, axis=1).astype(np.float32)
    size = round(8 * RATE_HZ / 1.05)
    for sound, hz in ((faster(tone, size), 525.0), (stretched(tone, 1.05, size), 500.0)):
        peak = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(size))).argmax() * RATE_HZ / size
        assert sound.shape == (size, 2)
        assert peak == pytest.approx(hz, abs=1.0)


@pytest.mark.parametrize("speed", [0.95, 1.06])
def test_stretching_keeps_what_happens_where_it_belongs(speed: float) -> None:
    """Bursts at known times are found at those times over the speed, to the window of the overlap-add."""
    sound = np.zeros((20 * RATE_HZ, 2), np.float32)
    noise = np.random.default_rng(1).standard_normal(RATE_HZ // 20)
    for second in range(1, 20, 3):
        sound[second * RATE_HZ : second * RATE_HZ + len(noise)] += noise[:, None].astype(np.float32)
    heard = stretched(sound, speed, round(20 * RATE_HZ / speed))
    loud = np.abs(heard[:, 0]) > 0.5
    for second in range(1, 20, 3):
        at = round(second / speed * RATE_HZ)
        near = np.nonzero(loud[at - RATE_HZ // 2 : at + RATE_HZ // 2])[0]
        assert (near[0] - RATE_HZ // 2) / RATE_HZ == pytest.approx(0.0, abs=0.06)


def test_levelling_counts_what_sounds_only() -> None:
    tone = np.sin(2 * np.pi * 300.0 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    gap = levelled(np.concatenate([0.01 * tone, np.zeros(3 * RATE_HZ, np.float32)]), RATE_HZ)
    assert 20 * np.log10(np.sqrt(np.mean(gap[:RATE_HZ] ** 2))) == pytest.approx(-20.0, abs=0.1)
    assert not levelled(np.zeros(RATE_HZ, np.float32), RATE_HZ).any()


def test_the_ducker_goes_down_with_the_voice_and_lets_go_after_it() -> None:
    voice = np.zeros(4 * RATE_HZ, np.float32)
    voice[RATE_HZ : 2 * RATE_HZ] = 0.1
    down = _speaking(voice, [VOICE])
    assert down[:99].max() == 0.0
    assert down[110:220].min() == 1.0  # a quarter of a second held after the last syllable
    assert down[270:].max() == 0.0
    gain = _ducked(replace(MUSIC, length_s=4.0), down)
    assert gain[0] == pytest.approx(10 ** (9 / 20), rel=0.01)
    assert gain[round(1.5 * RATE_HZ)] == pytest.approx(1.0, rel=0.01)


def test_a_chain_without_compression_has_no_compressor() -> None:
    assert "mcompand" not in filters(CHAIN)
    assert "mcompand" in filters(replace(CHAIN, ratio=3.0))
