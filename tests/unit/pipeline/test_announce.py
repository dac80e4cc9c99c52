"""A play becomes a detection: with a name, in UTC, under one id."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.recipe import Recipe
from monitor.messages import Detection, EventKind, Play, PlayEvent
from monitor.pipeline.announce import BLENDED_OFF_S, END_OFF_S, REMEMBERED, START_OFF_S, UNHEARD_S, Announcer
from tests.unit.core.stories import Shelf, recording

RECIPE = Recipe(name="test")
SHELF = Shelf.of({1: recording(1, 20), 2: recording(2, 30)})
PLAY = Play(
    stream="radio",
    reference_id=1,
    start_s=10.0,
    end_s=15.0,
    reference_start_s=0.0,
    reference_end_s=5.0,
    speed=1.0,
    score=0.8,
    evidence=60.0,
    confidence=0.99,
    detected_s=14.0,
)


def utc_s(station: str, position: int) -> tuple[float, float]:
    """A station's first sample was received at 1 790 000 000; places after 12 s are less certain."""
    return 1_790_000_000.0 + position / 8000, 0.2 if position < 96_000 else 0.9


def event(kind: EventKind, number: int = 1, **changes: object) -> PlayEvent:
    return PlayEvent(kind=kind, number=number, play=replace(PLAY, **changes))  # type: ignore[arg-type]


@pytest.fixture
def announcer() -> Announcer:
    return Announcer(RECIPE, utc_s)


def test_a_play_gets_its_names_and_its_place_in_utc(announcer: Announcer) -> None:
    detection = announcer.announce(event(EventKind.STARTED), SHELF)
    assert detection == Detection(
        id=detection.id,
        kind=EventKind.STARTED,
        station="radio",
        start_utc_s=1_790_000_010.0,
        end_utc_s=1_790_000_015.0,
        uncertainty_s=0.2 + START_OFF_S,
        end_uncertainty_s=0.9 + END_OFF_S,
        detected_utc_s=1_790_000_014.0,
        play=PLAY,
        reference=SHELF.reference(1),
        recipe=RECIPE.hash,
        generation=1,
        encoder="test",
    )


def test_all_that_is_said_of_a_play_has_one_id(announcer: Announcer) -> None:
    ids = {
        announcer.announce(event(kind, end_s=end_s), SHELF).id
        for kind, end_s in ((EventKind.STARTED, 15.0), (EventKind.UPDATED, 45.0), (EventKind.ENDED, 60.0))
    }
    assert len(ids) == 1


def test_other_plays_have_other_ids(announcer: Announcer) -> None:
    started = [
        announcer.announce(event(EventKind.STARTED), SHELF),
        announcer.announce(event(EventKind.STARTED, 2), SHELF),
        announcer.announce(event(EventKind.STARTED, stream="other"), SHELF),
        announcer.announce(event(EventKind.STARTED, 3, detected_s=99.0), SHELF),
    ]
    announcer.announce(event(EventKind.ENDED), SHELF)
    again = announcer.announce(event(EventKind.STARTED, 4, detected_s=114.0), SHELF)
    assert len({one.id for one in [*started, again]}) == 5


def test_the_same_play_after_a_crash_has_the_same_id() -> None:
    first, second = (Announcer(RECIPE, utc_s).announce(event(EventKind.STARTED), SHELF).id for _ in range(2))
    assert first == second


def test_a_removed_recording_is_still_named_when_its_play_ends(announcer: Announcer) -> None:
    announcer.announce(event(EventKind.STARTED), SHELF)
    gone = SHELF.without(1)
    ended = announcer.announce(event(EventKind.ENDED), gone)
    assert ended.reference == SHELF.reference(1)
    assert ended.generation == 2


def test_a_play_that_was_taken_for_another_is_renamed_under_its_id(announcer: Announcer) -> None:
    started = announcer.announce(event(EventKind.STARTED), SHELF)
    renamed = announcer.announce(event(EventKind.UPDATED, reference_id=2), SHELF)
    ended = announcer.announce(event(EventKind.ENDED, reference_id=2), SHELF.without(2))
    assert started.reference == SHELF.reference(1)
    assert renamed.reference == ended.reference == SHELF.reference(2)
    assert started.id == renamed.id == ended.id


@pytest.mark.parametrize("before", [EventKind.STARTED, EventKind.ENDED])
def test_a_play_is_retracted_under_its_id_on_air_and_after(announcer: Announcer, before: EventKind) -> None:
    started = announcer.announce(event(EventKind.STARTED), SHELF)
    announcer.announce(event(before), SHELF)
    retracted = announcer.announce(event(EventKind.RETRACTED, detected_s=14.001), SHELF.without(1))
    assert (retracted.id, retracted.kind, retracted.reference) == (started.id, EventKind.RETRACTED, started.reference)


def test_only_the_last_ended_plays_are_remembered(announcer: Announcer) -> None:
    for number in range(1, REMEMBERED + 2):
        announcer.announce(event(EventKind.STARTED, number), SHELF)
    running = announcer.announce(event(EventKind.UPDATED, 1, detected_s=14.001), SHELF)
    for number in range(2, 3 * REMEMBERED):
        announcer.announce(event(EventKind.ENDED, number), SHELF)
    assert len(announcer._ended) == REMEMBERED
    assert announcer.announce(event(EventKind.ENDED, 1), SHELF).id == running.id, "what runs is never forgotten"


def test_the_alternatives_get_their_names_too_while_they_are_in_the_catalogue(announcer: Announcer) -> None:
    detection = announcer.announce(event(EventKind.STARTED, alternatives=(2, 9)), SHELF)
    assert detection.alternatives == (SHELF.reference(2),)


def test_numbers_that_begin_anew_after_a_restart_make_no_id_twice() -> None:
    runs = [Announcer(RECIPE, lambda _, position, run=run: (1.79e9 + 60 * run + position / 8000, 0.2)) for run in range(3)]
    ids = [run.announce(event(EventKind.STARTED, number), SHELF).id for run in runs for number in (1, 2)]
    assert len(set(ids)) == 6


# Found by tests/chaos: plays of a station that had been removed and added again by reloads were told under ids of plays long over.
def test_a_station_that_was_away_counts_anew_and_makes_no_id_twice(announcer: Announcer) -> None:
    before = announcer.announce(event(EventKind.STARTED), SHELF)
    announcer.announce(event(EventKind.ENDED), SHELF)
    again = announcer.announce(event(EventKind.STARTED, reference_id=2, start_s=60.0, end_s=65.0, detected_s=64.0), SHELF)
    assert again.id != before.id
    assert again.reference.id == 2
    assert (
        announcer.announce(event(EventKind.ENDED, reference_id=2, start_s=60.0, end_s=70.0, detected_s=64.0), SHELF).id == again.id
    )


@pytest.mark.parametrize(
    ("reference_start_s", "speed", "doubt_s"),
    [(0.0, 1.0, START_OFF_S), (0.3, 1.0, START_OFF_S), (4.0, 1.0, 4.0), (4.0, 0.8, 5.0), (UNHEARD_S + 1.0, 1.0, START_OFF_S)],
)
def test_a_play_that_begins_soon_after_its_recording_may_have_begun_with_it(
    announcer: Announcer, reference_start_s: float, speed: float, doubt_s: float
) -> None:
    told = announcer.announce(event(EventKind.STARTED, reference_start_s=reference_start_s, speed=speed), SHELF)
    assert told.uncertainty_s == pytest.approx(0.2 + doubt_s)


def test_an_end_that_is_blended_with_another_play_is_less_certain(announcer: Announcer) -> None:
    told = announcer.announce(event(EventKind.STARTED, start_blended=True, end_blended=True, reference_start_s=20.0), SHELF)
    assert told.uncertainty_s == pytest.approx(0.2 + BLENDED_OFF_S)
    assert told.end_uncertainty_s == pytest.approx(0.9 + BLENDED_OFF_S)
