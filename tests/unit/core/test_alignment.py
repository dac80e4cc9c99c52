"""A line through a recording is found, with its speed and what speaks for it, by what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.alignment import LEAST_NEWS, SPAN, Alignment, before, novelty, steadiness, stored
from monitor.core.ring import Heard
from monitor.core.scoring import score
from tests.unit.core.stories import DIM, EVIDENCE, Air, Shelf, fingerprints, recording

SONG = recording(1, 60)
SHELF = Shelf.of({1: SONG, 2: recording(2, 30)})


def window(vectors: np.ndarray, newest: int, present: np.ndarray | None = None) -> Heard:
    there = np.ones(SPAN, np.bool_) if present is None else present
    context = EVIDENCE.context(vectors) * there[:, None, None]
    return Heard(newest=newest, vectors=vectors * there[:, None], context=context, present=there)


def heard(from_s: float, speed: float = 1.0, seconds: float = 12.5, noise: float = 0.5) -> np.ndarray:
    """Return the last SPAN fingerprints of a station that plays the song."""
    air = Air(seconds)
    air.play(SONG, 0.0, from_s=from_s, speed=speed)
    return air.heard(noise)[:SPAN]


def test_stored_fingerprints_are_zero_outside_the_recording() -> None:
    rows = SHELF.hops(2)
    whole = SHELF.fingerprints(2, 0, rows)
    np.testing.assert_array_equal(stored(SHELF, 2, 3, 4), whole[3:7])
    np.testing.assert_array_equal(stored(SHELF, 2, -2, 4), [*np.zeros((2, DIM)), *whole[:2]])
    np.testing.assert_array_equal(stored(SHELF, 2, rows - 1, 3), [whole[-1], *np.zeros((2, DIM))])
    np.testing.assert_array_equal(stored(SHELF, 2, -9, 4), np.zeros((4, DIM)))
    np.testing.assert_array_equal(stored(SHELF, 2, rows + 9, 4), np.zeros((4, DIM)))
    np.testing.assert_array_equal(stored(SHELF, 2, -2, rows + 4)[2:-2], whole)


def test_the_right_place_is_found_and_a_wrong_one_says_nothing() -> None:
    right, wrong, stranger = score(window(heard(20.0), 500), [(1, 40 + SPAN - 1), (1, 20 + SPAN - 1), (2, SPAN)], SHELF, EVIDENCE)
    assert (right.reference_id, right.hop, right.position, right.speed) == (1, 500, 40 + SPAN - 1, 1.0)
    assert right.hops == SPAN
    assert right.similarity == pytest.approx(1 / 1.25**0.5, abs=0.05)
    assert right.evidence > 150
    assert wrong.evidence < 10
    assert stranger.evidence < 10


def test_the_evidence_is_the_sum_along_the_line() -> None:
    """A slow and plain second way: straight ahead, window by window."""
    sound = heard(20.0)
    (found,) = score(window(sound, 500), [(1, 40 + SPAN - 1)], SHELF, EVIDENCE)
    stored_ = [SHELF.fingerprints(1, 40 + at, 41 + at)[0] for at in range(SPAN)]
    similarity = [float(heard_ @ one) for heard_, one in zip(sound, stored_, strict=True)]
    common = [max(0.0, *(rows @ one)) for rows, one in zip(EVIDENCE.context(sound), stored_, strict=True)]
    nats = [float(np.interp(one - less, EVIDENCE.knots, EVIDENCE.nats)) for one, less in zip(similarity, common, strict=True)]
    assert found.evidence == pytest.approx(max(sum(nats[at:]) for at in range(SPAN)), abs=1e-3)
    assert found.similarity == pytest.approx(np.mean(similarity), abs=1e-4)


@pytest.mark.parametrize("speed", [0.94, 0.96, 0.98, 1.02, 1.04, 1.06])
def test_speed_and_place_are_found(speed: float) -> None:
    position = 40 + (SPAN - 1) * speed
    (found,) = score(window(heard(20.0, speed, seconds=13), 90), [(1, round(position))], SHELF, EVIDENCE)
    assert found.speed == pytest.approx(speed, abs=0.021)
    assert found.at(90) == pytest.approx(position, abs=0.6)
    assert found.at(90 - SPAN + 1) == pytest.approx(40, abs=0.8)
    assert found.hops == SPAN


@pytest.mark.parametrize("off", [-1, 1])
def test_a_candidate_a_hop_beside_is_put_right(off: int) -> None:
    (found,) = score(window(heard(20.0), 90), [(1, 40 + SPAN - 1 + off)], SHELF, EVIDENCE)
    assert found.position == pytest.approx(40 + SPAN - 1, abs=0.5)


def test_it_begins_where_it_began_to_speak_for_the_recording() -> None:
    air = Air(12.5)
    air.play(SONG, 8.0, from_s=20.0)
    (found,) = score(window(air.heard(0.5)[:SPAN], 90), [(1, 40 + SPAN - 1 - 16)], SHELF, EVIDENCE)
    assert found.hops == pytest.approx(8, abs=1)


def test_hops_that_were_not_heard_say_nothing() -> None:
    present = np.ones(SPAN, np.bool_)
    present[5:15] = False
    whole, holed = (score(window(heard(20.0), 90, there), [(1, 40 + SPAN - 1)], SHELF, EVIDENCE)[0] for there in (None, present))
    assert holed.hops == SPAN
    assert holed.similarity == pytest.approx(whole.similarity, abs=0.03)
    assert holed.evidence == pytest.approx(whole.evidence * 14 / 24, rel=0.1)


def test_each_window_is_held_against_the_last_that_does_not_overlap_it() -> None:
    rows = SHELF.fingerprints(1, 0, 6)
    np.testing.assert_allclose(before(rows[None])[0], [0, 0, *(float(rows[at] @ rows[at - 2]) for at in range(2, 6))], atol=1e-6)
    assert before(rows[None, :1]).tolist() == [[0.0]]
    assert steadiness(rows[None, :1]).tolist() == [[0.0]]


def test_where_what_is_heard_has_a_gap_it_is_as_steady_as_it_was() -> None:
    sound = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 0], [0.6, 0.8], [0, 1], [0, 1], [0, 1]], np.float32)
    np.testing.assert_allclose(steadiness(sound[None])[0], [0.8, 0.8, 0.8, 0.8, 0.96, 0.96, 0.8, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("stored_", "heard_", "share"),
    [
        (0.3, 0.1, 1.0),  # a voice over music
        (0.7, 0.2, 0.5),  # a voice over steadier music
        (0.97, 0.97, LEAST_NEWS),  # a drone, clean
        (1.0, 1.0, LEAST_NEWS),  # a loop of a second
        (0.4, 0.99, 0.05),  # a steady noise instead of music
        (0.57, 0.78, 0.37),  # something steadier than the recording
    ],
)
def test_a_window_may_claim_what_is_new_in_what_is_stored_and_heard(stored_: float, heard_: float, share: float) -> None:
    assert float(novelty(np.float32(stored_), np.float32(heard_))) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("lost", [[], [10, 11], list(range(0, SPAN, 3))])
def test_a_steady_sound_that_is_like_all_of_a_recording_is_not_the_recording(lost: list[int]) -> None:
    """Among 3,000 recordings minutes of steady noise were told as one whose every second was 0.5 alike to it, with 400 nats."""
    rows = fingerprints(SONG) * 0.8 + 0.6 * np.eye(DIM, dtype=np.float32)[0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shelf = Shelf({1: rows})
    steady = np.tile(np.eye(DIM, dtype=np.float32)[0], (SPAN, 1))
    play = rows[40 : 40 + SPAN] + 1.2 * fingerprints(recording(3, 20))[:SPAN]
    play /= np.linalg.norm(play, axis=1, keepdims=True)
    place, present = [(1, 40 + SPAN - 1)], np.ones(SPAN, np.bool_)
    present[lost] = False
    (alike,), (true,) = (score(window(sound, 500, present), place, shelf, EVIDENCE) for sound in (steady, play))
    assert true.similarity == pytest.approx(alike.similarity, abs=0.15)
    assert alike.evidence < 0.2 * true.evidence


def test_nothing_is_said_by_what_lies_outside_the_recording() -> None:
    """Silence stored outside would be a similarity of 0: it must count as against, and harm nothing else."""
    before, after = score(window(heard(0.0), 90), [(1, 3), (1, SHELF.hops(1) + 50)], SHELF, EVIDENCE)
    assert before.evidence < 10
    assert after.evidence == pytest.approx(EVIDENCE.lowest)
    assert after.hops == 1


def test_a_line_is_read_both_ways() -> None:
    line = Alignment(reference_id=1, hop=100, position=50.0, speed=1.02, evidence=1.0, hops=5, similarity=0.5)
    assert (line.at(100), line.at(90), line.at(150)) == (50.0, pytest.approx(39.8), pytest.approx(101.0))


def test_fingerprints_of_a_recording_are_unit_vectors() -> None:
    """What these stories stand on."""
    rows = fingerprints(SONG)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert np.einsum("nd,nd->n", rows[:-2], rows[1:-1]).mean() == pytest.approx(0.5, abs=0.05)
