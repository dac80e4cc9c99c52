"""Stories of how a recording was used: in front or under a voice, whole or cut, and of plays that never were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.core.alignment import SPAN
from monitor.core.tracker import Needed, Tracker
from monitor.messages import EventKind, PlayEvent, Usage
from tests.unit.core.stories import EVIDENCE, LIMITS, Air, Shelf, fingerprints, follow, listen, recording

SONG, OTHER = recording(1, 60), recording(2, 60)
SHELF = Shelf.of({1: SONG, 2: OTHER})


def said_of(air: Air, shelf: Shelf, noise: float = 0.75) -> list[PlayEvent]:
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    return [*(event for _, event in follow(tracker, air.heard(noise), shelf)), *tracker.close(shelf)]


@pytest.mark.parametrize(("noise", "usage"), [(0.3, Usage.FOREGROUND), (1.2, Usage.BACKGROUND)])
def test_what_is_much_like_its_recording_was_in_front(noise: float, usage: Usage) -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    (play,) = listen(air, SHELF, noise=noise)
    assert play.usage is usage


def test_a_fast_recording_in_front_is_not_taken_for_background() -> None:
    slow = replace(EVIDENCE, foreground=0.8, per_speed=3.0)
    assert not slow.is_foreground(0.72, 1.0)
    assert slow.is_foreground(0.72, 1.05)
    assert slow.is_foreground(0.72, 0.95)


def test_nothing_is_said_of_the_use_before_enough_was_heard() -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    events = said_of(air, SHELF)
    assert (events[0].kind, events[0].play.usage) == (EventKind.STARTED, Usage.UNKNOWN)
    assert events[-1].play.usage is not Usage.UNKNOWN


@pytest.mark.parametrize(
    ("parts", "complete"),
    [
        ([(0.0, 60.0)], True),
        ([(5.0, 60.0)], False),
        ([(0.0, 55.0)], False),
        ([(0.0, 20.0), (40.0, 60.0)], False),
        ([(0.0, 30.0), (15.0, 60.0)], False),
    ],
    ids=["whole", "no beginning", "no end", "a part left out", "a part twice"],
)
def test_a_play_is_complete_if_all_was_on_air_once(parts: list[tuple[float, float]], *, complete: bool) -> None:
    air = Air(120)
    at_s = 10.0
    for from_s, to_s in parts:
        at_s = air.play(SONG, at_s, from_s=from_s, to_s=to_s)
    events = said_of(air, SHELF)
    assert {event.number for event in events} == {1}
    assert [event.play.complete for event in events] == [*(False for _ in events[:-1]), complete]


def test_an_end_is_never_later_than_what_was_heard() -> None:
    """A play near the end of its recording was once told to have ended in the future, where the recording would have."""
    air = Air(60)
    air.play(SONG, 10.0, from_s=35.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    last = 66
    follow(tracker, vectors, SHELF, hops=range(last + 1))
    (ended,) = tracker.close(SHELF)
    assert ended.play.end_s <= last * 0.5 + 1.0
    assert ended.play.reference_end_s < 60.0


def test_a_jingle_of_three_windows_is_told_where_it_is_whole() -> None:
    """It has less evidence than a stretch anywhere needs, and it lasts less than the shortest play: it was never told."""
    jingle = recording(7, 2.0)
    shelf = Shelf.of({1: SONG, 2: OTHER, 7: jingle})
    air = Air(40)
    end_s = air.play(jingle, 12.1)
    (play,) = listen(air, shelf, noise=0.5)
    assert (play.reference_id, play.complete) == (7, True)
    assert (play.start_s, play.end_s) == (pytest.approx(12.1, abs=0.3), pytest.approx(end_s, abs=0.3))
    assert play.confidence > 0.9


def test_as_little_of_a_long_recording_is_not_told() -> None:
    air = Air(40)
    air.play(SONG, 12.1, from_s=20.0, to_s=22.0)
    assert listen(air, SHELF, noise=0.5) == []


def test_a_play_that_is_broken_off_as_soon_as_it_was_found_is_taken_back() -> None:
    """A chance likeness goes on for a few windows and never comes back; a recording that is told goes on."""
    air = Air(60)
    air.play(SONG, 10.0, from_s=20.0, to_s=22.8)
    events = said_of(air, SHELF, noise=0.6)
    assert [event.kind for event in events] == [EventKind.STARTED, EventKind.RETRACTED]
    air = Air(60)
    air.play(SONG, 10.0, from_s=20.0, to_s=24.0)
    assert [event.kind for event in said_of(air, SHELF, noise=0.6)] == [EventKind.STARTED, EventKind.ENDED]


def test_a_play_that_is_cut_by_the_end_of_the_stream_is_not_taken_back() -> None:
    """SIGTERM two seconds after a play was told had it retracted."""
    air = Air(60)
    air.play(SONG, 10.0, from_s=20.0)
    vectors = air.heard(0.6)
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    for hop in range(len(vectors)):
        if follow(tracker, vectors, SHELF, hops=[hop]):
            break
    assert [event.kind for event in tracker.close(SHELF)] == [EventKind.ENDED]


def test_a_play_that_another_explains_away_is_taken_back() -> None:
    """The catalogue holds a piece that is somewhat like what is on air, and only later what it really is.

    Both would stand in the report; the first is taken back when the second is told.
    """
    like = fingerprints(0.6 * SONG + 0.8 * recording(8, 60))
    vectors = fingerprints(SONG, noise=0.3, seed=3)
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    only, both = Shelf({8: like, 2: fingerprints(OTHER)}), Shelf({8: like, 2: fingerprints(OTHER), 1: fingerprints(SONG)}, 2)
    said = [event for _, event in follow(tracker, vectors, only, hops=range(60))]
    assert [(event.kind, event.play.reference_id) for event in said] == [(EventKind.STARTED, 8)]
    more = [event for _, event in follow(tracker, vectors, both, hops=range(60, len(vectors)))]
    kinds = [(event.kind, event.play.reference_id) for event in [*more, *tracker.close(both)]]
    assert kinds == [(EventKind.RETRACTED, 8), (EventKind.STARTED, 1), (EventKind.ENDED, 1)]


def test_while_a_play_is_heard_only_now_and_then_a_hop_is_looked_up() -> None:
    air = Air(90)
    air.play(SONG, 10.0, to_s=30.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    wanted = []
    for hop in range(len(vectors)):
        wanted.append(tracker.wants(hop))
        follow(tracker, vectors, SHELF, hops=[hop])
    assert all(wanted[:25])
    assert np.mean(wanted[32:78]) < 0.3
    assert all(wanted[86:])


def test_a_short_recording_competes_with_few() -> None:
    needed = Needed(anywhere=60.0, whole=40.0, places=10**6, wholes=60)
    assert EVIDENCE.confidence(45.0, 0.5, needed.wholes) > EVIDENCE.confidence(45.0, 0.5, needed.places)
    assert SPAN == 24
