"""Scenes are the same for the same seed, their truth is possible, and spots are what their names say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from monitor.evaluate.broadcast.material import LEAST_S, Material, Role
from monitor.evaluate.broadcast.measure import leave_out_familiar
from monitor.evaluate.broadcast.plan import CODECS, CONDITIONS, SHARES, programme
from monitor.evaluate.broadcast.scene import Kind, Programme
from monitor.train.data import Clip, Clips


def clips(count: int, seconds: float) -> Clips:
    """Noise, each clip a package of its own."""
    size = round(seconds * 8000)
    pcm = (3000 * np.random.default_rng(count).standard_normal(count * size)).clip(-32768, 32767).astype(np.int16)
    entries = [Clip(package=f"p{n}", path=f"p{n}/m.ogg", start=n * size, length=size, sha256="") for n in range(count)]
    return Clips(pcm, entries)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder: Path = tmp_path_factory.mktemp("studio")
    return Material(clips(24, 64.0), clips(2, 5.0), clips(1, 9.0), root=folder, folder=folder)


@pytest.fixture(scope="module")
def planned(material: Material) -> Programme:
    return programme(material, hours=2.0, seed=3)


def test_every_recording_has_one_role_and_none_is_missing(material: Material) -> None:
    counts = {role: len(material.role(role)) for role in Role}
    assert sum(counts.values()) == 24
    assert counts[Role.STRANGER] in range(4, 9)
    assert counts[Role.BED] in range(3, 6)


def test_a_recording_that_is_too_short_is_left_out(tmp_path: Path) -> None:
    assert not Material(clips(3, LEAST_S - 1), clips(1, 5.0), clips(1, 9.0), root=tmp_path, folder=tmp_path).recordings


def test_strangers_and_beds_that_sound_like_what_is_catalogued_are_left_out(tmp_path: Path) -> None:
    """Of two beds that sound alike one goes."""
    material = Material(clips(24, 64.0), clips(1, 5.0), clips(1, 9.0), root=tmp_path, folder=tmp_path)
    rows = np.random.default_rng(7).standard_normal((24, 100, 128)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    real = dict(zip(material.recordings, rows, strict=True))
    known, strangers, beds = ([one.name for one in material.role(role)] for role in (Role.KNOWN, Role.STRANGER, Role.BED))
    twins = {beds[1]: beds[0], beds[2]: known[5], strangers[0]: known[3], strangers[2]: beds[0]}
    real |= {out: real[twin] for out, twin in twins.items()}
    said: list[str] = []
    assert set(leave_out_familiar(material, real, said.append)) == set(known)
    assert [one.name for one in material.role(Role.STRANGER)] == [one for one in strangers if one not in twins]
    assert [one.name for one in material.role(Role.BED)] == [one for one in beds if one not in twins]
    roles = {name: role for role, names in (("known", known), ("stranger", strangers), ("bed", beds)) for name in names}
    assert said == [f"left out: {out} ({roles[out]}) sounds like {twin} ({roles[twin]})" for out, twin in twins.items()]


def test_two_jingles_are_cut_from_an_only_bed(tmp_path: Path) -> None:
    material = Material(clips(24, 64.0), clips(1, 5.0), clips(1, 9.0), root=tmp_path, folder=tmp_path)
    material.leave_out([one.name for one in material.role(Role.BED)[1:]])
    lengths = [one.length_s for one in programme(material, hours=0.5, seed=3).made.values() if one.kind is Kind.JINGLE]
    assert [length_s < 3.0 for length_s in lengths] == [False, True]


def test_the_same_seed_gives_the_same_scenes_and_another_one_others(material: Material, planned: Programme) -> None:
    assert programme(material, hours=2.0, seed=3) == planned
    assert programme(material, hours=2.0, seed=4).scenes != planned.scenes


def test_a_condition_alone_is_as_it_is_among_all(material: Material, planned: Programme) -> None:
    alone = programme(material, hours=2.0, seed=3, conditions=["speech -6 dB"])
    assert alone.scenes == tuple(scene for scene in planned.scenes if scene.condition == "speech -6 dB")


def test_every_condition_is_there_and_has_about_its_share(planned: Programme) -> None:
    assert set(SHARES) == set(CONDITIONS) == {scene.condition for scene in planned.scenes}
    for condition, share in SHARES.items():
        length_s = sum(scene.length_s for scene in planned.scenes if scene.condition == condition)
        wanted_s = 7200 * share / sum(SHARES.values())
        assert wanted_s <= length_s < wanted_s + 200
    assert len({scene.codec for scene in planned.scenes}) > len(CODECS) // 2


def test_what_is_on_air_is_in_its_recording_and_in_its_scene(material: Material, planned: Programme) -> None:
    for scene in planned.scenes:
        for element in scene.elements:
            assert 0 <= element.at_s < element.end_s <= scene.length_s
            if element.kind is Kind.RECORDING:
                recording = material.recordings[element.name]
                assert element.listed == (recording.role is Role.KNOWN)
                assert recording.role is not Role.BED
                assert recording.first_s - 0.01 <= element.from_s
                assert element.from_s + element.length_s * element.speed <= recording.last_s + 0.01


def test_nothing_known_is_in_the_unknown(planned: Programme) -> None:
    assert not any(scene.plays for scene in planned.scenes if scene.condition == "unknown")


def test_cross_fades_overlap_as_long_as_both_fade(planned: Programme) -> None:
    faded = 0
    for scene in planned.scenes:
        if scene.condition == "cross-fades":
            for one, other in pairwise(scene.plays):
                if other.at_s < one.end_s:
                    faded += 1
                    assert one.end_s - other.at_s == pytest.approx(one.fade_out_s, abs=0.011)
                    assert one.fade_out_s == other.fade_in_s >= 2.0
    assert faded >= 4


@pytest.mark.parametrize("level_db", [0, -6, -12, -18])
def test_music_lies_under_a_voice_at_its_level(planned: Programme, level_db: int) -> None:
    for scene in planned.scenes:
        if scene.condition == f"speech {level_db} dB":
            voices = [one for one in scene.elements if one.kind is Kind.VOICE]
            for play in scene.plays:
                assert play.gain_db == level_db
                assert play.gain_db + play.duck_db <= 0.0
                assert any(one.at_s < play.at_s and one.end_s > play.end_s for one in voices)


def test_speeds_lie_within_six_percent_and_vary(planned: Programme) -> None:
    speeds = [play.speed for scene in planned.scenes if scene.condition.startswith("speed") for play in scene.plays]
    assert min(speeds) >= 0.9395
    assert max(speeds) <= 1.0605
    assert max(speeds) - min(speeds) > 0.06


def test_some_spots_share_a_bed_and_some_have_a_second_version(planned: Programme) -> None:
    spots = [one for one in planned.made.values() if one.kind is Kind.SPOT]
    assert {one.length_s for one in spots} == {5.0, 10.0, 15.0, 20.0, 30.0}
    assert len({(one.bed, one.bed_from_s) for one in spots}) < len(spots) / 1.9
    for one in spots:
        if one.other is not None:
            first = planned.made[one.name.removesuffix(" other version")]
            assert (first.voice_seed, first.bed, first.length_s) == (one.voice_seed, one.bed, one.length_s)
            assert 0 < one.other[0] < one.length_s - 3.0
    jingles = [one for one in planned.made.values() if one.kind is Kind.JINGLE]
    assert all(2.0 <= one.length_s <= 5.0 for one in jingles)
    assert not {one.bed for one in jingles} & {one.bed for one in spots}
    assert len({one.bed for one in jingles}) == len(jingles)


def test_unknown_hours_are_as_many_as_are_asked_for_and_change_nothing_else(material: Material, planned: Programme) -> None:
    longer = programme(material, hours=2.0, seed=3, unknown_hours=3.0)
    lengths = [scene.length_s for scene in longer.scenes if scene.condition == "unknown"]
    assert 3 * 3600 <= sum(lengths) < 3 * 3600 + 70 * len(lengths)
    assert [one for one in longer.scenes if one.condition != "unknown"] == [
        one for one in planned.scenes if one.condition != "unknown"
    ]


def test_no_clip_of_a_voice_is_in_a_spot_and_elsewhere(tmp_path: Path) -> None:
    """Each clip is a tone of its own."""
    size, hz = 2 * 8000, [300 + 100 * number for number in range(10)]
    tones = [np.sin(2 * np.pi * tone * np.arange(size) / 8000) for tone in hz]
    entries = [Clip(package=str(n), path=str(n), start=n * size, length=size, sha256="") for n in range(10)]
    voices = Clips((9000 * np.concatenate(tones)).astype(np.int16), entries)
    material = Material(clips(24, 64.0), voices, clips(1, 9.0), root=tmp_path, folder=tmp_path)

    def heard(*, advert: bool) -> set[int]:
        spectrum = np.abs(np.fft.rfft(material.talk(1, 200.0, advert=advert)))
        return {tone for tone in hz if spectrum[tone * 200 - 400 : tone * 200 + 400].max() > 0.1 * spectrum.max()}

    assert heard(advert=True) == {300, 800}
    assert heard(advert=False) == set(hz) - {300, 800}
