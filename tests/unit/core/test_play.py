"""A play, once found, knows its beginning from what lies in the ring, follows its line, and knows when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.alignment import Alignment
from monitor.core.line import Line, along
from monitor.core.play import LONGER_VERSION, LivePlay
from monitor.core.ring import Ring
from monitor.core.window import look
from tests.unit.core.stories import DIM, EVIDENCE, Air, Shelf, recording

SONG = recording(1, 60)
SHELF = Shelf.of({1: SONG, 2: recording(2, 60)})


def ring_of(vectors: np.ndarray, until: int, capacity: int = 360) -> Ring:
    ring = Ring(capacity, DIM)
    context = EVIDENCE.context(vectors)
    for hop in range(until + 1):
        ring.put(hop, vectors[hop], context[hop])
    return ring


def found(hop: int, position: float, speed: float = 1.0, who: int = 1) -> Alignment:
    return Alignment(reference_id=who, hop=hop, position=position, speed=speed, evidence=100.0, hops=12, similarity=0.8)


def begin(
    vectors: np.ndarray, at: Alignment, *, bridge: int = 20, capacity: int = 360, others: tuple[LivePlay, ...] = ()
) -> LivePlay:
    return LivePlay(1, at, ring_of(vectors, at.hop, capacity), SHELF, EVIDENCE, bridge=bridge, others=others)


def hear(play: LivePlay, ring: Ring) -> None:
    """Let a play hear what was put last."""
    (window,) = look([play.place(ring.newest)], ring.now[None], EVIDENCE)
    play.hear(ring.newest, ring.now, window)


def test_a_line_goes_both_ways() -> None:
    line = Line(10.0, 4.0, 1.02)
    assert line.at(60.0) == pytest.approx(55.0)
    assert line.when(line.at(33.0)) == pytest.approx(33.0)


def test_stored_fingerprints_along_a_line_are_the_nearest_ones_or_what_lies_half_way() -> None:
    hops = np.arange(30, 90)
    got = along(SHELF, 1, Line(30.0, 10.0, 1.05), hops)
    for hop, vector in zip(hops, got, strict=True):
        halves = round(2 * (10.0 + 1.05 * (hop - 30)))
        expected = SHELF.fingerprints(1, halves // 2, halves // 2 + 1 + halves % 2).sum(axis=0)
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_the_beginning_is_found_by_looking_back() -> None:
    """Found 20 s in; on air for all that time."""
    air = Air(60)
    air.play(SONG, 10.0, from_s=5.0)
    play = begin(air.heard(), found(60, 50.0))
    assert play.first_hop == pytest.approx(20, abs=1)
    assert (play.last_hop, play.detected_hop) == (60, 60)
    assert play.similarity == pytest.approx(0.8, abs=0.05)


def test_looking_back_reaches_over_the_bridge_and_not_farther() -> None:
    air = Air(60)
    air.play(SONG, 10.0, from_s=5.0)
    air.sound[300:400] = recording(50, 5)
    assert begin(air.heard(), found(60, 50.0), bridge=14).first_hop == pytest.approx(20, abs=1)
    assert begin(air.heard(), found(60, 50.0), bridge=6).first_hop == pytest.approx(40, abs=2)


def test_looking_back_ends_where_the_ring_does() -> None:
    air = Air(60)
    air.play(SONG, 10.0, from_s=5.0)
    assert begin(air.heard(), found(60, 50.0), capacity=30).first_hop == 31


def test_looking_back_ends_where_the_recording_begins() -> None:
    """The same sound before it is another play's, or chance."""
    air = Air(60)
    air.play(SONG, 10.0)
    air.sound[:200] = SONG[:200]
    assert begin(air.heard(), found(60, 40.0)).first_hop >= 19


def test_what_another_play_accounts_for_is_not_taken() -> None:
    """The recording before ends with the sound this one begins with."""
    medley = np.concatenate([recording(60, 20), SONG[:400]])
    shelf = Shelf.of({1: SONG, 3: medley})
    air = Air(70)
    air.play(medley, 0.0)
    air.play(SONG, 40.0, from_s=20.0)
    vectors = air.heard()
    ring = ring_of(vectors, 92)
    before = LivePlay(1, found(70, 70.0, who=3), ring_of(vectors, 78), shelf, EVIDENCE, bridge=20)
    alone = LivePlay(2, found(92, 52.0), ring, shelf, EVIDENCE, bridge=20)
    assert alone.first_hop == pytest.approx(40, abs=2)
    told = LivePlay(2, found(92, 52.0), ring, shelf, EVIDENCE, bridge=20, others=[before])
    assert told.first_hop == pytest.approx(80, abs=2)


def test_following_yields_the_speed() -> None:
    air = Air(60)
    air.play(SONG, 5.0, speed=1.03)
    vectors = air.heard()
    play = begin(vectors, found(30, 20.6, speed=1.04))
    for hop in range(31, 100):
        hear(play, ring_of(vectors, hop))
    assert play.line.speed == pytest.approx(1.03, abs=0.003)
    assert play.line.at(80) == pytest.approx((80 * 0.5 - 5.0) * 1.03 / 0.5, abs=0.2)
    assert play.last_hop >= 98


def test_a_play_is_lost_after_the_bridge() -> None:
    air = Air(60)
    air.play(SONG, 5.0, to_s=15.0)
    vectors = air.heard()
    play = begin(vectors, found(30, 20.0), bridge=8)
    lost = []
    for hop in range(31, 80):
        hear(play, ring_of(vectors, hop))
        lost.append(play.lost(hop))
    assert play.last_hop == pytest.approx(38, abs=1)
    assert lost.index(True) + 31 == play.last_hop + 9


def test_a_play_is_over_where_its_recording_is_and_lost_soon_after() -> None:
    air = Air(60)
    air.play(SONG, 5.0, from_s=45.0)
    vectors = air.heard()
    play = begin(vectors, found(30, 110.0))
    over = []
    for hop in range(31, 60):
        hear(play, ring_of(vectors, hop))
        if play.over(hop):
            over.append(hop)
        if play.lost(hop):
            break
    assert over[0] == pytest.approx(42, abs=1)
    assert hop == over[0] + LONGER_VERSION - 1
    assert play.last_hop == pytest.approx(38, abs=1)


def test_what_a_play_explains_is_taken_from_what_is_like_it() -> None:
    """n - p * c inside the play, where that is less than what common sounds leave; only that outside."""
    air = Air(40)
    air.play(SONG, 5.0)
    vectors = air.heard()
    play = begin(vectors, found(40, 30.0))
    heard = ring_of(vectors, 40).last(36)
    theirs = SHELF.fingerprints(2, 0, len(heard))
    alike = play.stored_along(heard.hops) * 0.9
    for other in (theirs, alike):
        rest = play.unexplained(heard, other)
        for at, hop in enumerate(heard.hops):
            mine = play.stored_along(np.array([hop]))[0]
            n, p, c = float(vectors[hop] @ other[at]), float(vectors[hop] @ mine), float(mine @ other[at])
            distinct = n - max(0.0, *(heard.context[at] @ other[at]))
            inside = play.first_hop <= hop <= play.last_hop
            expected = min(n - max(p, 0.0) * max(c, 0.0), distinct) if inside else distinct
            assert rest[at] == pytest.approx(expected, abs=1e-4)
    assert (play.unexplained(heard, alike)[7:] < 0.3).all()


def test_a_jump_keeps_the_beginning_and_takes_the_new_place() -> None:
    air = Air(60)
    air.play(SONG, 5.0, to_s=10.0)
    air.play(SONG, 15.0, from_s=40.0)
    vectors = air.heard()
    play = begin(vectors, found(26, 16.0))
    first, line = play.first_hop, play.line
    for hop in range(27, 45):
        hear(play, ring_of(vectors, hop))
    there = play.elsewhere(found(44, 94.0), ring_of(vectors, 44))
    assert not play.mistaken(there)
    play.jump(found(44, 94.0), there)
    assert play.first_hop == first
    assert play.line.at(44) == pytest.approx(94.0, abs=0.3)
    assert play.begin.at(first) == pytest.approx(line.at(first), abs=0.3)
    assert play.last_hop == 44


def test_a_jump_to_the_place_that_was_right_all_along_puts_the_beginning_right() -> None:
    air = Air(60)
    air.play(SONG, 5.0)
    vectors = air.heard()
    play = begin(vectors, found(44, 70.0))
    there = play.elsewhere(found(44, 34.0), ring_of(vectors, 44))
    assert play.mistaken(there)
    play.jump(found(44, 34.0), there)
    assert play.first_hop == pytest.approx(10, abs=1)
    assert play.begin.at(10) == pytest.approx(0.0, abs=0.3)
