"""Stories of recordings that are alike: the group is named until what tells them apart is heard, never a wrong one alone."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.tracker import Tracker
from monitor.messages import EventKind, PlayEvent
from tests.unit.core.stories import EVIDENCE, LIMITS, Air, Shelf, Sound, fingerprints, follow, recording

BED = recording(40, 20)


def spot(seed: int, from_s: float, to_s: float) -> Sound:
    """Make a version of the spot in which some seconds are others."""
    version = BED.copy()
    version[round(from_s * 20) : round(to_s * 20)] = recording(seed, to_s - from_s)
    return version


def said_of(air: Air, shelf: Shelf) -> list[PlayEvent]:
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    return [*(event for _, event in follow(tracker, air.heard(), shelf)), *tracker.close(shelf)]


def names(event: PlayEvent) -> set[int]:
    return {event.play.reference_id, *event.play.alternatives}


@pytest.mark.parametrize("right", [1, 2, 3])
def test_versions_that_differ_in_three_seconds_are_told_apart_there(right: int) -> None:
    versions = {1: spot(41, 12.0, 15.0), 2: spot(42, 12.0, 15.0), 3: spot(43, 12.0, 15.0)}
    shelf = Shelf.of({**versions, 4: recording(4, 60)})
    air = Air(60)
    air.play(versions[right], 10.0)
    events = said_of(air, shelf)
    assert {event.number for event in events} == {1}
    assert events[0].kind is EventKind.STARTED
    assert names(events[0]) == {1, 2, 3}
    assert all(right in names(event) for event in events)
    assert events[-1].kind is EventKind.ENDED
    assert (events[-1].play.reference_id, events[-1].play.alternatives) == (right, ())
    told = next(event for event in events if not event.play.alternatives)
    assert 22.0 < told.play.end_s < 26.0  # it is known as soon as it can be


def test_what_was_never_told_apart_ends_as_a_group() -> None:
    versions = {1: spot(41, 12.0, 15.0), 2: spot(42, 12.0, 15.0)}
    air = Air(60)
    air.play(versions[1], 10.0, to_s=11.0)
    events = said_of(air, Shelf.of(versions))
    assert [event.kind for event in events] == [EventKind.STARTED, EventKind.ENDED]
    assert all(names(event) == {1, 2} for event in events)


@pytest.mark.parametrize(("right", "played_s"), [(1, 30.0), (2, 60.0)])
def test_a_short_version_is_told_from_the_long_one_where_it_ends(right: int, played_s: float) -> None:
    album = recording(44, 60)
    shelf = Shelf.of({1: album[: 30 * 20], 2: album, 3: recording(4, 60)})
    air = Air(100)
    air.play(album, 10.0, to_s=played_s)
    events = said_of(air, shelf)
    assert names(events[0]) == {1, 2}
    assert (events[-1].kind, events[-1].play.reference_id, events[-1].play.alternatives) == (EventKind.ENDED, right, ())
    assert events[-1].play.end_s == pytest.approx(10.0 + played_s, abs=0.7)
    assert {event.number for event in events} == {1}


@pytest.mark.parametrize(("to_s", "known"), [(24.5, {1}), (25.5, {1, 2}), (28.0, {2})])
def test_what_a_jingle_fills_in_part_does_not_speak_for_the_tune_it_was_cut_from(to_s: float, known: set[int]) -> None:
    """The windows over the jingle's end are not stored: being like the tune, they ruled it out, also where it was heard whole."""
    tune = recording(44, 60)
    jingle = tune[20 * 20 : 20 * 20 + 90]
    air = Air(60)
    air.play(tune, 10.0, from_s=20.0, to_s=to_s)
    events = said_of(air, Shelf({1: fingerprints(jingle)[:8], 2: fingerprints(tune), 3: fingerprints(recording(4, 60))}))
    assert names(events[0]) == {1, 2}
    assert names(events[-1]) == known


def test_a_group_is_known_though_one_member_fills_the_nearest_with_its_repeats() -> None:
    """Twelve times the same four seconds: the eight nearest are all from one recording."""
    loop = np.tile(recording(45, 4), (12, 1))
    other = np.concatenate([loop[:400] + 0.3 * recording(49, 20), recording(46, 20)])
    shelf = Shelf.of({1: loop, 2: other, 3: recording(4, 60)})
    near = shelf.search(Shelf.of({1: loop}).fingerprints(1, 9, 10), 8)[1]
    assert len(set(shelf.locate(near)[0].ravel().tolist())) == 1
    air = Air(60)
    end_s = air.play(other, 10.0)
    events = said_of(air, shelf)
    assert 2 in names(events[0])
    assert (events[-1].play.reference_id, events[-1].play.alternatives) == (2, ())
    assert events[-1].play.end_s == pytest.approx(end_s, abs=0.7)


def test_the_same_bed_under_two_voices_is_named_by_the_voice() -> None:
    """Half the sound is the same all along: alike, and yet told apart from the beginning."""
    one, two = (0.7 * BED + 0.7 * recording(seed, 20) for seed in (47, 48))
    air = Air(60)
    air.play(two, 10.0)
    events = said_of(air, Shelf.of({1: one, 2: two}))
    assert all(names(event) == {2} for event in events)
