"""What was told is judged against what was on air, and the oracle knows what the true line holds; on made-up fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.alarms import Step, follow, ladder
from monitor.evaluate.broadcast.catalogue import Catalogue, build
from monitor.evaluate.broadcast.causes import causes, causes_table, distinct
from monitor.evaluate.broadcast.chromaprint import ITEM_S, Chromaprints, best_choice, chosen, joined, stretches
from monitor.evaluate.broadcast.failures import failures
from monitor.evaluate.broadcast.goals import goals_table
from monitor.evaluate.broadcast.heard import Heard
from monitor.evaluate.broadcast.impostors import Impostors, check
from monitor.evaluate.broadcast.judge import Verdict, judge
from monitor.evaluate.broadcast.oracle import ask
from monitor.evaluate.broadcast.scene import Chain, Codec, Element, Kind, Scene
from monitor.evaluate.broadcast.score import Segment
from monitor.evaluate.broadcast.tables import cross_fades, inside_table, main_table, reliability, summarise, versions
from monitor.messages import Play
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings
from tests.unit.core.stories import DIM, EVIDENCE, PER_HOP, Air, fingerprints, recording

RECIPE = Recipe(name="made up", dim=DIM)
SONGS = {name: recording(seed, 60) for seed, name in enumerate(("a", "b", "c"))}
STORED = {name: fingerprints(song) for name, song in SONGS.items()} | {"a again": fingerprints(SONGS["a"], 0.1)}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return build(STORED, {}, Impostors(list(STORED.values()), seed=1), recordings=4, folder=tmp_path, recipe=RECIPE, seed=1)


def play(name: str, at_s: float, length_s: float, from_s: float = 0.0, **more: object) -> Element:
    element = Element(kind=Kind.RECORDING, name=name, listed=True, at_s=at_s, length_s=length_s, from_s=from_s)
    return replace(element, **more)


def scene(*elements: Element, condition: str = "foreground", length_s: float = 100.0) -> Scene:
    chain = Chain(ratio=1.0, equaliser_db=(), drive_db=0.0, widen=1.0)
    codec = Codec(name="mp3", kbps=128)
    return Scene(name=f"{condition} 1", condition=condition, length_s=length_s, elements=elements, chain=chain, codec=codec)


def said(catalogue: Catalogue, name: str, start_s: float, end_s: float, from_s: float = 0.0, **more: object) -> Play:
    number = next(at for at, one in catalogue.names.items() if one == name)
    told = Play(
        stream="s",
        reference_id=number,
        start_s=start_s,
        end_s=end_s,
        reference_start_s=from_s,
        reference_end_s=from_s + end_s - start_s,
        speed=1.0,
        score=0.8,
        evidence=90.0,
        confidence=0.99,
        detected_s=start_s + 3.0,
    )
    return replace(told, **more)


def verdict(scene: Scene, plays: Sequence[Play], catalogue: Catalogue) -> Verdict:
    return judge(scene, plays, catalogue, RECIPE)


def test_a_play_told_a_little_off_is_found_with_its_errors(catalogue: Catalogue) -> None:
    on_air = scene(play("a", 10.0, 30.0, 5.0))
    judged = verdict(on_air, [said(catalogue, "a", 10.2, 39.5, 5.2, speed=1.001)], catalogue)
    (found,) = judged.plays
    assert (found.start_error_s, found.end_error_s, found.after_s) == pytest.approx((0.2, -0.5, 3.2))
    assert found.speed_error == pytest.approx(0.001)
    assert found.told[0].place_right
    assert not judged.false
    assert judged.seconds.right == pytest.approx(29.3)


def test_the_wrong_place_and_the_wrong_name_are_seen(catalogue: Catalogue) -> None:
    on_air = scene(play("a", 10.0, 30.0, 5.0))
    judged = verdict(on_air, [said(catalogue, "a", 10.0, 40.0, 25.0), said(catalogue, "b", 12.0, 30.0)], catalogue)
    assert [one.place_right for one in judged.plays[0].told] == [False]
    assert [one.said for one in judged.false] == ["b"]


def test_the_same_sound_under_another_name_is_right_unless_it_is_a_spot(catalogue: Catalogue) -> None:
    told = [said(catalogue, "a again", 10.0, 40.0, 5.0)]
    judged = verdict(scene(play("a", 10.0, 30.0, 5.0)), told, catalogue)
    assert not judged.false
    assert (judged.plays[0].told[0].said, judged.plays[0].told[0].reference) == ("a again", "a")
    assert len(verdict(scene(play("a", 10.0, 30.0, 5.0, kind=Kind.SPOT)), told, catalogue).false) == 1


def test_of_two_plays_in_a_row_each_has_its_own_errors(catalogue: Catalogue) -> None:
    """The told end of the first lies a little inside the second: by BAF it touches both, but it speaks of the first."""
    on_air = scene(play("a", 10.0, 20.0), play("a", 30.0, 20.0))
    judged = verdict(on_air, [said(catalogue, "a", 10.0, 30.3), said(catalogue, "a", 30.3, 50.0, 0.3)], catalogue)
    assert [one.start_error_s for one in judged.plays] == pytest.approx([0.0, 0.3])
    assert [one.end_error_s for one in judged.plays] == pytest.approx([0.3, 0.0])


def test_true_starts_and_ends_are_held_against_the_uncertainty_that_was_told(catalogue: Catalogue) -> None:
    on_air = scene(play("a", 10.0, 20.0, 20.0))
    near = verdict(on_air, [said(catalogue, "a", 10.5, 30.7, 20.5)], catalogue)
    far = verdict(on_air, [said(catalogue, "a", 10.7, 30.9, 20.7)], catalogue)
    blended = verdict(on_air, [said(catalogue, "a", 12.9, 27.1, 22.9, start_blended=True, end_blended=True)], catalogue)
    assert [(one.plays[0].start_inside, one.plays[0].end_inside) for one in (near, far, blended)] == [
        (True, True),
        (False, False),
        (True, True),
    ]
    table = inside_table([summarise("foreground", [near, far], {on_air.name: []})])
    assert "| foreground | 2 | 50.0 % | 50.0 % |" in table


def test_the_oracle_finds_what_is_there_and_says_when_it_could_be_known(catalogue: Catalogue) -> None:
    air = Air(100)
    air.play(SONGS["a"], 10.0, from_s=5.0, to_s=35.0)
    on_air = scene(play("a", 10.0, 30.0, 5.0), play("b", 60.0, 20.0))
    needed = EVIDENCE.needed(catalogue.library.rows, PER_HOP)
    heard = Heard(scene=on_air, vectors=air.heard(), chromaprint=np.zeros(0, np.uint32), encode_s=0.0)
    there, absent = ask(heard, catalogue, EVIDENCE, RECIPE, (needed, needed))
    assert there.after_s is not None
    assert 1.0 < there.after_s < 8.0
    assert (there.start_s, there.end_s) == (pytest.approx(10.0, abs=0.8), pytest.approx(40.0, abs=0.8))
    assert there.evidence > needed
    assert (absent.after_s, absent.said_s) == (None, 0.0)


def test_the_matcher_is_followed_through_a_scene_and_larger_budgets_raise_no_fewer_alarms(catalogue: Catalogue) -> None:
    air = Air(100)
    air.play(SONGS["a"], 10.0, from_s=5.0, to_s=35.0)
    heard = Heard(scene=scene(play("a", 10.0, 30.0, 5.0)), vectors=air.heard(), chromaprint=np.zeros(0, np.uint32), encode_s=0.0)
    matcher = Matcher(catalogue.library, EVIDENCE, RECIPE, MatcherSettings(), lambda _: None)
    (plays,) = follow([heard], matcher)
    judged = verdict(heard.scene, plays, catalogue)
    assert judged.matches.true_found == 1
    assert judged.seconds.f1 > 0.9
    known = {heard.scene.name: ask(heard, catalogue, EVIDENCE, RECIPE, matcher.needed_both)}
    table = main_table([summarise("foreground", [judged], known)])
    assert "| foreground | 0.03 | 1 | 0.9" in table
    steps = ladder([heard], catalogue, EVIDENCE, RECIPE, MatcherSettings())
    assert [step.alarms for step in steps] == sorted(step.alarms for step in steps)
    assert {step.recordings for step in steps} == {4}
    assert Step(recordings=4, fingerprints=480, budget=10.0, alarms=2, hours=12.0).per_day == 4.0


def test_scenes_side_by_side_are_told_as_each_alone(catalogue: Catalogue) -> None:
    heard = []
    for number, (name, at_s, length_s) in enumerate((("a", 10.0, 60), ("b", 20.0, 100), ("c", 5.0, 80))):
        air = Air(length_s, seed=number)
        air.play(SONGS[name], at_s, from_s=5.0, to_s=35.0)
        on_air = replace(scene(play(name, at_s, 30.0, 5.0)), name=f"scene {number}")
        heard.append(Heard(scene=on_air, vectors=air.heard(), chromaprint=np.zeros(0, np.uint32), encode_s=0.0))
    together = follow(heard, Matcher(catalogue.library, EVIDENCE, RECIPE, MatcherSettings(), lambda _: None))
    alone = [follow([one], Matcher(catalogue.library, EVIDENCE, RECIPE, MatcherSettings(), lambda _: None))[0] for one in heard]
    assert [len(plays) for plays in together] == [1, 1, 1]
    assert [[(one.reference_id, one.start_s, one.end_s) for one in plays] for plays in together] == [
        [(one.reference_id, pytest.approx(one.start_s, abs=1e-3), pytest.approx(one.end_s, abs=1e-3)) for one in plays]
        for plays in alone
    ]


def test_the_figures_that_only_some_conditions_have(catalogue: Catalogue) -> None:
    fading = scene(play("a", 0.0, 30.0), play("b", 26.0, 30.0), condition="cross-fades")
    inside = verdict(fading, [said(catalogue, "a", 0.0, 28.0), said(catalogue, "b", 28.0, 56.0, 2.0)], catalogue)
    outside = verdict(fading, [said(catalogue, "a", 0.0, 20.0), said(catalogue, "b", 27.0, 56.0, 1.0)], catalogue)
    none = {fading.name: []}
    assert cross_fades(summarise("cross-fades", [inside], none)) == (1.0, 1.0)
    assert cross_fades(summarise("cross-fades", [outside], none)) == (1.0, 0.0)
    spots = scene(*(play(name, at, 20.0, kind=Kind.SPOT) for at, name in ((0.0, "a"), (30.0, "b"), (60.0, "c"))))
    told = [said(catalogue, "a", 0.0, 20.0), said(catalogue, "a", 30.0, 50.0)]
    assert versions(summarise("spot versions", [verdict(spots, told, catalogue)], {spots.name: []})) == (1, 1, 1)


def test_confidence_is_compared_with_what_came_true(catalogue: Catalogue) -> None:
    on_air = scene(play("a", 0.0, 30.0))
    told = [said(catalogue, "a", 0.0, 30.0), said(catalogue, "b", 40.0, 50.0), said(catalogue, "c", 60.0, 70.0, confidence=0.6)]
    low, high = reliability([verdict(on_air, told, catalogue)])
    assert (low.told, low.claimed, low.right) == (1, pytest.approx(0.6), 0.0)
    assert (high.told, high.claimed, high.right) == (2, pytest.approx(0.99), 0.5)


def test_what_went_wrong_is_listed_with_what_the_oracle_knew(catalogue: Catalogue) -> None:
    air = Air(100)
    air.play(SONGS["a"], 10.0, from_s=5.0, to_s=35.0)
    on_air = scene(play("a", 10.0, 30.0, 5.0))
    heard = Heard(scene=on_air, vectors=air.heard(), chromaprint=np.zeros(0, np.uint32), encode_s=0.0)
    known = {on_air.name: ask(heard, catalogue, EVIDENCE, RECIPE, (30.0, 30.0))}
    judged = verdict(on_air, [said(catalogue, "b", 70.0, 80.0)], catalogue)
    missed, false = failures([judged], known)
    assert "missed. Told: nothing. Oracle: after" in missed
    assert "false: b 70.0–80.0 s" in false
    assert not failures([verdict(on_air, [said(catalogue, "a", 10.0, 40.0, 5.0)], catalogue)], known)
    table = goals_table({"foreground": summarise("foreground", [judged], known)})
    assert "| foreground | F1 in seconds | ≥ 0.98 | 0.000 | **missed** |" in table


def test_impostors_move_as_recordings_do_and_are_none_of_them() -> None:
    base = [fingerprints(recording(100 + seed, 40)) for seed in range(12)]
    made = Impostors(base, seed=1).recording(200)
    assert made.shape == (200, DIM)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1.0, abs=1e-3)
    after = [float(np.median(np.einsum("nd,nd->n", rows[1:], rows[:-1]))) for rows in (made, base[0])]
    assert after[0] == pytest.approx(after[1], abs=0.1)
    strange = fingerprints(recording(500, 120))
    (likeness,) = check(strange, np.concatenate([fingerprints(recording(200 + seed, 40)) for seed in range(10)]), made)
    assert likeness.fingerprints == 200
    assert likeness.made[0] == pytest.approx(likeness.real[0], abs=0.05)


def test_impostors_of_the_same_recordings_are_no_copies_of_each_other() -> None:
    base = [fingerprints(recording(100 + seed, 40)) for seed in range(12)]
    maker = Impostors(base, seed=1)
    every = sum(map(len, base))
    first, second = maker.recording(every), maker.recording(every)
    real = np.concatenate(base)
    assert float(np.median((first @ real.T).max(axis=1))) < 0.95
    assert float(np.median((first @ second.T).max(axis=1))) < 0.95


def test_a_catalogue_is_filled_with_real_recordings_first_and_then_with_impostors(tmp_path: Path) -> None:
    others = {f"other {seed}": fingerprints(recording(300 + seed, 40)) for seed in range(3)}
    maker = Impostors(list(others.values()), seed=1)
    sizes = {"real": 6, "both": 9, "small": 3}
    filled = {}
    for name, size in sizes.items():
        folder = tmp_path / name
        folder.mkdir()
        filled[name] = build(STORED, others, maker, recordings=size, folder=folder, recipe=RECIPE, seed=1)
    assert list(filled["real"].names.values()) == [*STORED, "other 0", "other 1"]
    assert list(filled["both"].names.values()) == [*STORED, *others, "impostor 1", "impostor 2"]
    assert list(filled["small"].names.values()) == list(STORED)  # what is played is there whatever was asked for
    assert [one.unplayed for one in filled.values()] == [2, 3, 0]
    rows = filled["both"].library.fingerprints(7, 0, 10)
    assert np.allclose(rows, others["other 2"][:10], atol=1e-3)


def test_the_more_impostors_the_more_alike_the_nearest_as_with_real_ones() -> None:
    random = np.random.default_rng(3)
    real, made, strange = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (random.standard_normal((size, 8)).astype(np.float32) for size in (20_000, 20_000, 300))
    )
    few, many = check(strange, real, made)
    assert (few.fingerprints, many.fingerprints) == (5_000, 20_000)
    nearest = np.quantile((strange @ real[:5_000].T).max(axis=1), 0.5)
    assert few.real[0] == pytest.approx(nearest, abs=1e-6)
    assert many.real[0] > few.real[0]
    assert many.made[0] > few.made[0]


def test_chromaprints_rule_finds_a_stretch_where_it_lies_and_no_other() -> None:
    """Bits differ in one of eight places where the reference is on air, in half of them elsewhere."""
    random = np.random.default_rng(5)
    references = {name: random.integers(0, 1 << 32, 900, dtype=np.uint32) for name in "xyz"}
    station = random.integers(0, 1 << 32, 1500, dtype=np.uint32)
    flipped = np.bitwise_or.reduce([(random.random(300) < 0.125).astype(np.uint32) << np.uint32(bit) for bit in range(32)])
    station[600:900] = references["y"][200:500] ^ flipped
    (found,) = stretches(station[500:1000], references["y"], 100)
    assert found == (pytest.approx(100, abs=8), pytest.approx(400, abs=8), pytest.approx(4.0, abs=0.5))
    matches = Chromaprints(references).find(station, station="s")
    segments = chosen(matches, *best_choice(matches, [Segment(station="s", reference="y", start_s=75.0, end_s=113.0)], {"t"}))
    assert [one.reference for one in segments] == ["y"]
    assert segments[0].start_s == pytest.approx(600 * ITEM_S, abs=1.5)
    assert segments[0].end_s == pytest.approx(900 * ITEM_S, abs=4.0)


def test_touching_segments_of_one_reference_are_joined() -> None:
    one, other, far = (Segment(station="s", reference="x", start_s=at, end_s=at + 5.0) for at in (0.0, 4.0, 20.0))
    assert joined([other, far, one]) == [Segment(station="s", reference="x", start_s=0.0, end_s=9.0), far]


def test_a_false_alarm_is_a_version_a_shared_sound_or_chance(catalogue: Catalogue) -> None:
    """A stranger that is a's music again, one that is half of it, one that is neither; and an impostor, told while one talks."""
    random = np.random.default_rng(3)
    foreign = fingerprints(recording(9, 60))
    half = STORED["a"] + 0.9 * foreign[: len(STORED["a"])]
    strange = {
        "twin": STORED["a again"],
        "half": half / np.linalg.norm(half, axis=1, keepdims=True),
        "other": foreign[random.permutation(len(foreign))],
    }
    air = [play(name, 30.0 * at, 20.0, 5.0, listed=False) for at, name in enumerate(strange)]
    talk = Element(kind=Kind.VOICE, at_s=90.0, length_s=9.0)
    impostor = next((name for name in catalogue.names.values() if name.startswith("impostor")), "impostor 1")
    plays = [said(catalogue, "a", 30.0 * at + 2.0, 30.0 * at + 12.0, 7.0) for at in range(3)]
    verdict = judge(scene(*air, talk, condition="unknown"), plays, catalogue, RECIPE)
    told_impostor = replace(verdict.told[0], said=impostor, reference=impostor, start_s=91.0, end_s=95.0)
    found = causes([replace(verdict, told=(*verdict.told, told_impostor))], {**STORED, **strange}, RECIPE)
    assert [one.cause for one in found] == ["a version, or the same music", "a shared sound", "other", "other (an impostor)"]
    assert [one.on_air for one in found] == ["twin", "half", "other", "voice"]
    assert causes_table(found).count("\n") == 6
    assert "nothing was told" in causes_table([])


def test_what_is_aired_again_is_not_different() -> None:
    """Ten seconds, five of them again, and faster; and a voice."""
    first, again = play("a", 0.0, 10.0, 3.0), play("a", 20.0, 8.0, 8.0, speed=1.25)
    talk = Element(kind=Kind.VOICE, at_s=40.0, length_s=9.0)
    assert distinct([scene(first), scene(again, talk)]) == pytest.approx({"music": 15.0, "speech": 9.0, "noise": 0.0})
