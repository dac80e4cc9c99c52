"""Stories of a station: what was on air is what is told, once, with its beginning, its end and its speed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.tracker import Needed, Tracker
from monitor.messages import EventKind
from tests.unit.core.stories import DIM, EVIDENCE, LIMITS, Air, Shelf, fingerprints, follow, listen, plays_of, recording

SONG, OTHER, THIRD = recording(1, 60), recording(2, 60), recording(3, 60)
SHELF = Shelf.of({1: SONG, 2: OTHER, 3: THIRD})


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_a_recording_is_told_with_its_beginning_and_end() -> None:
    air = Air(100)
    end_s = air.play(SONG, 15.2)
    (play,) = listen(air, SHELF)
    assert (play.stream, play.reference_id) == ("radio", 1)
    assert play.start_s == pytest.approx(15.2, abs=0.5)
    assert play.end_s == pytest.approx(end_s, abs=0.5)
    assert play.reference_start_s == pytest.approx(0.0, abs=0.5)
    assert play.reference_end_s == pytest.approx(60.0, abs=0.5)
    assert play.speed == pytest.approx(1.0, abs=0.002)
    assert play.score == pytest.approx(0.8 * 0.8, abs=0.05)  # noise; 0.2 s beside the hop grid of the catalogue
    assert play.confidence > 0.999
    assert 17.2 < play.detected_s < 22.0


@pytest.mark.parametrize("at_s", [10.0, 10.15, 10.25, 10.4])
def test_a_piece_from_the_middle_is_placed_within_half_a_hop_or_so(at_s: float) -> None:
    air = Air(60)
    end_s = air.play(SONG, at_s, from_s=20.0, to_s=45.0)
    (play,) = listen(air, SHELF)
    assert play.start_s == pytest.approx(at_s, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)
    assert play.reference_start_s - play.start_s == pytest.approx(20.0 - at_s, abs=0.3)
    assert play.reference_end_s - play.end_s == pytest.approx(45.0 - end_s, abs=0.3)


@pytest.mark.parametrize("speed", [0.95, 0.98, 1.02, 1.05])
def test_speed_is_recognised(speed: float) -> None:
    air = Air(100)
    end_s = air.play(SONG, 12.0, speed=speed)
    (play,) = listen(air, SHELF)
    assert play.speed == pytest.approx(speed, abs=0.004)
    assert play.start_s == pytest.approx(12.0, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


def test_a_bend_in_speed_is_one_play() -> None:
    """A recording pulled from normal speed to 3 % fast on air goes on."""
    air = Air(90)
    bend_s = air.play(SONG, 10.0, to_s=30.0)
    end_s = air.play(SONG, bend_s, from_s=30.0, speed=1.03)
    (play,) = listen(air, SHELF)
    assert play.start_s == pytest.approx(10.0, abs=1.0)
    assert play.end_s == pytest.approx(end_s, abs=0.7)


def test_what_is_not_in_the_catalogue_stays_unknown() -> None:
    assert listen(Air(300, seed=4), SHELF) == []


def test_an_empty_catalogue_says_nothing() -> None:
    air = Air(20)
    air.play(SONG, 2.0)
    assert listen(air, Shelf({})) == []


def test_a_play_survives_eight_seconds_of_talk() -> None:
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    air.talk(30.0, 38.0)
    (play,) = listen(air, SHELF)
    assert play.start_s == pytest.approx(10.0, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


def test_a_play_ends_once_it_has_been_away_for_longer_than_the_bridge() -> None:
    air = Air(60)
    end_s = air.play(SONG, 10.0, to_s=25.0)
    said = follow(Tracker("radio", LIMITS, EVIDENCE), air.heard(), SHELF)
    assert [event.kind for _, event in said] == [EventKind.STARTED, EventKind.ENDED]
    ended_hop, ended = said[1]
    assert ended.play.end_s == pytest.approx(end_s, abs=0.6)
    assert ended_hop == pytest.approx(end_s / 0.5 + LIMITS.bridge_hops, abs=3)


def test_of_a_play_that_is_over_only_its_place_is_kept() -> None:
    """A station remembers eight: what it takes to tell them must not stay with them."""
    air = Air(60)
    end_s = air.play(SONG, 10.0, to_s=25.0)
    tracker, heard = Tracker("radio", LIMITS, EVIDENCE), air.heard()
    follow(tracker, heard[:60], SHELF)
    (live,) = tracker._live
    assert live._levels
    assert live._positions
    follow(tracker, heard, SHELF, hops=range(60, len(heard)))
    assert tracker._past == [live]
    assert not live._levels
    assert not live._positions
    assert live.now is None
    assert live.last_hop == pytest.approx(end_s / 0.5, abs=3)


def test_a_piece_shorter_than_the_least_is_not_told() -> None:
    """Once seven seconds were told although ten were asked for: the silence after them counted."""
    air = Air(60)
    air.play(SONG, 10.0, from_s=20.0, to_s=27.0)
    assert listen(air, SHELF, limits=replace(LIMITS, min_play_s=10.0)) == []
    assert len(listen(air, SHELF)) == 1


def test_what_was_told_of_a_jingle_is_not_told_again() -> None:
    """Once a drone of two seconds was told in a wrong place, then in the right one, and then once more, from its end to its end.

    The right place is known only when the recording should have ended in the wrong one: then the play is put right.
    """
    random = np.random.default_rng(14)
    drone, *own = unit(random.standard_normal((5, DIM)))
    rows = unit(0.8 * drone + 0.6 * np.stack(own))
    heard = unit(random.standard_normal((40, DIM)))
    heard[19:25] = [0.7 * drone + 0.3 * rows[0], *rows, 0.7 * drone + 0.7 * heard[39]]
    heard = unit(unit(heard) + 0.6 * unit(random.standard_normal(heard.shape)))
    tracker, shelf = Tracker("radio", LIMITS, EVIDENCE), Shelf({4: rows})
    events = [event for _, event in follow(tracker, heard, shelf, needed=Needed(anywhere=30.0, whole=11.0, places=100, wholes=6))]
    (play,) = plays_of([*events, *tracker.close(shelf)])
    assert (play.start_s, play.end_s) == (pytest.approx(10.0, abs=0.3), pytest.approx(12.0, abs=0.3))
    assert play.reference_start_s == pytest.approx(0.0, abs=0.3)


def test_the_least_may_be_longer_than_what_is_scored_together() -> None:
    """Once a least of more than the scored span of twelve seconds told nothing at all."""
    air = Air(90)
    air.play(SONG, 10.0)
    (play,) = listen(air, SHELF, limits=replace(LIMITS, min_play_s=30.0))
    assert play.start_s == pytest.approx(10.0, abs=0.6)
    assert 40.0 <= play.detected_s < 43.0


def test_a_recording_that_repeats_itself_is_one_play() -> None:
    """Six times the same eight seconds: every place fits six times."""
    loop = np.tile(recording(9, 8), (6, 1))
    shelf = Shelf.of({1: SONG, 9: loop})
    air = Air(80)
    end_s = air.play(loop, 12.3)
    (play,) = listen(air, shelf)
    assert play.reference_id == 9  # once told one round late: the beginning was taken from the line of a later round
    assert play.start_s == pytest.approx(12.3, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


def in_the_refrain() -> tuple[Shelf, Air, float]:
    """Put a recording on air from 10 s on, from within its first refrain, and return where its verse ends.

    What is on air is more like the last refrain, with which the recording ends.
    """
    refrain, verse = recording(21, 15), recording(22, 20)
    first = refrain + 0.5 * recording(23, 15)
    air = Air(60)
    air.play(refrain, 10.0, from_s=5.0)
    return Shelf.of({1: SONG, 21: np.concatenate([first, verse, refrain])}), air, air.play(verse, 20.0)


def test_a_play_found_in_the_last_refrain_is_put_right_when_the_recording_goes_on() -> None:
    shelf, air, end_s = in_the_refrain()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    events = [event for _, event in follow(tracker, air.heard(), shelf)]
    assert [event.kind for event in events] == [EventKind.STARTED, EventKind.UPDATED, EventKind.ENDED]
    assert events[0].play.reference_start_s == pytest.approx(40.0, abs=0.5)
    assert events[-1].play.reference_start_s == pytest.approx(5.0, abs=0.5)
    assert (events[-1].play.start_s, events[-1].play.end_s) == (pytest.approx(10.0, abs=0.6), pytest.approx(end_s, abs=0.6))


def test_a_play_put_right_where_it_is_cut_ends_there_and_hard() -> None:
    """Once what it was like in the wrong place, and after that ended, was kept: it was told to end in a cross-fade, too early."""
    shelf, air, _ = in_the_refrain()
    air.play(SONG, 22.5)
    plays = listen(air, shelf)
    assert [play.reference_id for play in plays] == [21, 1]
    assert plays[0].end_s == pytest.approx(22.5, abs=0.3)
    assert not plays[0].end_blended


def test_a_play_that_is_over_is_told_so_when_the_next_is_told() -> None:
    jingle, air = recording(25, 6), Air(40)
    end_s = air.play(jingle, 10.0)
    air.play(SONG, end_s)
    events = follow(Tracker("radio", LIMITS, EVIDENCE), air.heard(), Shelf.of({1: SONG, 25: jingle}))
    kinds = [(event.kind, event.play.reference_id) for _, event in events][:3]
    assert kinds == [(EventKind.STARTED, 25), (EventKind.ENDED, 25), (EventKind.STARTED, 1)]
    assert events[1][0] == events[2][0]


def test_a_recording_that_ended_and_begins_anew_is_another_play_at_once() -> None:
    """A spot of five seconds, and the same again: what comes next is not the place where the first was all along."""
    spot = recording(24, 5)
    air = Air(40)
    for at_s in (10.0, 15.0, 20.5):
        air.play(spot, at_s)
    plays = listen(air, Shelf.of({1: SONG, 24: spot}))
    assert [play.start_s for play in plays] == [pytest.approx(at_s, abs=0.6) for at_s in (10.0, 15.0, 20.5)]


def test_a_refrain_does_not_break_a_play() -> None:
    verse, refrain, bridge = recording(20, 15), recording(21, 12), recording(22, 15)
    song = np.concatenate([verse, refrain, bridge, refrain])
    air = Air(80)
    end_s = air.play(song, 10.0)
    (play,) = listen(air, Shelf.of({1: SONG, 20: song}))
    assert (play.start_s, play.end_s) == (pytest.approx(10.0, abs=0.6), pytest.approx(end_s, abs=0.6))


def test_the_same_recording_twice_in_a_row_is_two_plays() -> None:
    air = Air(150)
    second_s = air.play(SONG, 10.0)
    end_s = air.play(SONG, second_s)
    first, second = listen(air, SHELF)
    assert (first.reference_id, second.reference_id) == (1, 1)
    assert first.start_s == pytest.approx(10.0, abs=0.6)
    assert first.end_s == pytest.approx(second_s, abs=0.6)
    assert second.start_s == pytest.approx(second_s, abs=0.6)
    assert second.reference_start_s == pytest.approx(0.0, abs=0.3)
    assert second.end_s == pytest.approx(end_s, abs=0.6)


def test_cross_faded_recordings_are_two_plays_with_their_own_beginnings() -> None:
    air = Air(140)
    air.play(SONG, 10.0)
    air.play(OTHER, 66.0, fade_s=4.0)
    first, second = listen(air, SHELF)
    assert (first.reference_id, second.reference_id) == (1, 2)
    assert first.start_s == pytest.approx(10.0, abs=0.6)
    assert 66.5 < first.end_s < 71.0
    assert 66.0 <= second.start_s < 68.0  # in the quieter half of the fade
    assert 124.0 < second.end_s <= 126.0
    assert not first.start_blended  # cut, and at its own beginning
    assert not second.end_blended  # it fades out, but into nothing that is known


def test_an_end_in_a_cross_fade_is_told_as_one_that_may_be_hidden() -> None:
    air = Air(100)
    air.play(SONG, 10.0, to_s=40.0)
    air.play(OTHER, 46.0, from_s=15.0, to_s=50.0, fade_s=6.0)
    air.play(THIRD, 81.0, from_s=10.0)
    _, faded, cut = listen(air, SHELF)
    assert faded.start_blended
    assert not cut.start_blended


def test_recordings_cut_hard_after_one_another_are_not_blended() -> None:
    air = Air(100)
    for part, start_s in ((SONG, 10.0), (OTHER, 30.0), (THIRD, 50.0)):
        air.play(part, start_s, from_s=10.0, to_s=30.0)
    assert not any(play.start_blended or play.end_blended for play in listen(air, SHELF))


def test_three_in_a_row_are_three_plays() -> None:
    air = Air(100)
    at_s = [air.play(part, start_s, from_s=10.0, to_s=30.0) for part, start_s in ((SONG, 10.0), (OTHER, 30.0), (THIRD, 50.0))]
    plays = listen(air, SHELF)
    assert [play.reference_id for play in plays] == [1, 2, 3]
    np.testing.assert_allclose([play.start_s for play in plays], [10.0, *at_s[:2]], atol=0.7)
    np.testing.assert_allclose([play.end_s for play in plays], at_s, atol=0.7)


def test_a_near_duplicate_in_the_catalogue_gives_no_second_play() -> None:
    """A re-issue: the same sound, mastered again."""
    again = fingerprints(SONG, noise=0.3, seed=5)
    shelf = Shelf({1: fingerprints(SONG), 2: fingerprints(OTHER), 7: again})
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    (play,) = listen(air, shelf)
    assert {play.reference_id, *play.alternatives} == {1, 7}
    assert play.start_s == pytest.approx(10.0, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


def test_an_exact_duplicate_in_the_catalogue_gives_no_second_play() -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    (play,) = listen(air, Shelf.of({1: SONG, 2: OTHER, 7: SONG}))
    assert {play.reference_id, *play.alternatives} == {1, 7}


def test_a_recording_that_quotes_another_stays_silent_while_the_other_is_on_air() -> None:
    medley = np.concatenate([recording(30, 20), SONG[400:800], recording(31, 20)])
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    plays = listen(air, Shelf.of({1: SONG, 2: OTHER, 8: medley}))
    assert [play.reference_id for play in plays] == [1]
    assert plays[0].end_s == pytest.approx(end_s, abs=0.6)


def test_a_second_recording_on_top_is_heard_too() -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    air.sound[600:1000] += OTHER[200:600]
    plays = listen(air, SHELF, noise=0.3)
    assert sorted(play.reference_id for play in plays) == [1, 2]
    top = next(play for play in plays if play.reference_id == 2)
    assert (top.start_s, top.end_s) == (pytest.approx(30.0, abs=1.0), pytest.approx(50.0, abs=1.0))


def test_a_reference_that_is_removed_ends_its_play() -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    (started,) = follow(tracker, vectors, SHELF, hops=range(60))
    ((hop, ended), *rest) = follow(tracker, vectors, SHELF.without(1), hops=range(60, len(vectors)))
    assert rest == []
    assert hop == 60
    assert (ended.kind, ended.number) == (EventKind.ENDED, started[1].number)
    assert ended.play.reference_id == 1
    assert ended.play.end_s == pytest.approx(30.0, abs=1.0)
    assert ended.play.start_s == pytest.approx(started[1].play.start_s, abs=0.1)


def test_a_copy_added_while_a_recording_is_on_air_becomes_an_alternative() -> None:
    """The copy was looked for in the generation that the play had begun with, and its absence there took the daemon down.

    It then took the name over, because it fitted better; but so it would have with its own remaster on air.
    """
    worse = fingerprints(SONG, noise=0.5, seed=5)
    air = Air(90)
    air.play(SONG, 10.0)
    vectors = air.heard(noise=1.2)
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    (started,) = follow(tracker, vectors, Shelf({1: worse, 2: fingerprints(OTHER)}), hops=range(60))
    after = Shelf({1: worse, 2: fingerprints(OTHER), 7: fingerprints(SONG)}, generation=2)
    said = [event for _, event in follow(tracker, vectors, after, hops=range(60, len(vectors)))]
    assert [event.kind for event in said] == [EventKind.UPDATED, EventKind.ENDED]
    assert {event.number for event in said} == {started[1].number}
    assert {(event.play.reference_id, event.play.alternatives) for event in said} == {(1, (7,))}


def test_a_reference_that_is_removed_and_added_anew_while_it_is_on_air_is_told_again() -> None:
    """The play that its removal had ended was remembered for what sounds like it, and looked up in a catalogue without it.

    So whoever replaced a recording that was on air anywhere took the daemon down.
    """
    air = Air(90)
    air.play(SONG, 10.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    follow(tracker, vectors, SHELF, hops=range(60))
    anew = Shelf({3: fingerprints(OTHER), 7: fingerprints(SONG)}, generation=2)
    said = [event for _, event in follow(tracker, vectors, anew, hops=range(60, len(vectors)))]
    assert [(event.kind, event.play.reference_id) for event in said] == [
        (EventKind.ENDED, 1),
        (EventKind.STARTED, 7),
        (EventKind.ENDED, 7),
    ]


def test_a_catalogue_that_becomes_empty_ends_a_play() -> None:
    air = Air(40)
    air.play(SONG, 5.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    only = Shelf.of({1: SONG})
    follow(tracker, vectors, only, hops=range(40))
    said = follow(tracker, vectors, only.without(1), hops=range(40, 60))
    assert [event.kind for _, event in said] == [EventKind.ENDED]


def test_plays_on_air_go_on_in_another_generation() -> None:
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    said = follow(tracker, vectors, SHELF, hops=range(60)) + follow(
        tracker, vectors, SHELF.without(3), hops=range(60, len(vectors))
    )
    (play,) = plays_of(event for _, event in said)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


@pytest.mark.parametrize("missing", [range(50, 64), range(21, 26), [h for h in range(200) if h % 5 == 0]])
def test_hops_that_were_never_heard_are_bridged(missing: list[int]) -> None:
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    heard = [hop for hop in range(len(vectors)) if hop not in missing]
    (play,) = plays_of(event for _, event in follow(tracker, vectors, SHELF, hops=heard))
    assert play.start_s == pytest.approx(10.0, abs=1.1)
    assert play.end_s == pytest.approx(end_s, abs=1.1)


def test_a_gap_longer_than_the_bridge_ends_the_play_before_it() -> None:
    air = Air(120)
    air.play(SONG, 10.0, to_s=20.0)
    air.play(OTHER, 80.0, to_s=30.0)
    vectors = air.heard()
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    said = follow(tracker, vectors, SHELF, hops=[*range(70), *range(150, len(vectors))])
    first, second = plays_of([*(event for _, event in said), *tracker.close(SHELF)])
    assert first.end_s == pytest.approx(30.0, abs=0.7)
    assert second.start_s == pytest.approx(80.0, abs=0.7)


def test_a_ring_shorter_than_the_play_keeps_its_beginning() -> None:
    air = Air(90)
    end_s = air.play(SONG, 10.0)
    (play,) = listen(air, SHELF, limits=replace(LIMITS, ring_hops=30))
    assert play.start_s == pytest.approx(10.0, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)


def test_the_beginning_is_looked_for_as_far_as_the_bridge_reaches() -> None:
    """Four audible seconds, six of talk, then clear: the play began before the talk."""
    air = Air(90)
    air.play(SONG, 10.0)
    air.talk(12.5, 18.5)
    (play,) = listen(air, SHELF)
    assert play.start_s == pytest.approx(10.0, abs=0.6)


def test_an_edit_within_a_recording_is_one_play() -> None:
    """A station cuts twenty seconds out of the middle."""
    air = Air(80)
    cut_s = air.play(SONG, 10.0, to_s=20.0)
    end_s = air.play(SONG, cut_s, from_s=40.0)
    (play,) = listen(air, SHELF)
    assert play.start_s == pytest.approx(10.0, abs=0.6)
    assert play.end_s == pytest.approx(end_s, abs=0.6)
    assert play.reference_start_s == pytest.approx(0.0, abs=0.6)  # once 20 s: from the line after the cut
    assert play.reference_end_s == pytest.approx(60.0, abs=0.6)


def test_a_running_play_is_told_again_as_often_as_asked() -> None:
    air = Air(90)
    air.play(SONG, 10.0)
    said = follow(Tracker("radio", replace(LIMITS, update_every_hops=40), EVIDENCE), air.heard(), SHELF)
    assert [event.kind for _, event in said] == [EventKind.STARTED, EventKind.UPDATED, EventKind.UPDATED, EventKind.ENDED]
    hops = [hop for hop, _ in said]
    assert (hops[1] - hops[0], hops[2] - hops[1]) == (40, 40)
    ends = [event.play.end_s for _, event in said]
    assert ends == sorted(ends)
    assert len({event.number for _, event in said}) == 1
    assert all(event.play.detected_s == said[0][1].play.detected_s for _, event in said)


def test_closing_ends_what_is_on_air_and_nothing_twice() -> None:
    air = Air(30)
    air.play(SONG, 10.0)
    tracker = Tracker("radio", LIMITS, EVIDENCE)
    follow(tracker, air.heard(), SHELF)
    (event,) = tracker.close(SHELF)
    assert event.kind is EventKind.ENDED
    assert event.play.end_s == pytest.approx(30.0, abs=0.8)
    assert tracker.close(SHELF) == []


def test_a_jump_back_to_where_a_recording_was_does_not_take_the_play_before_in() -> None:
    """Broken off, begun anew, and on as if nothing had been: the second play was moved to the beginning of the first.

    The first had been told, with its end, so half a minute was reported twice.
    """
    air = Air(120)
    air.play(SONG, 10.0, to_s=30.0)
    air.play(SONG, 40.0, to_s=6.0)
    air.play(SONG, 46.0, from_s=36.0)
    plays = listen(air, SHELF)
    assert [play.reference_id for play in plays] == [1] * len(plays)
    assert all(after.start_s >= before.end_s - 1.0 for before, after in pairwise(plays))
    assert sum(play.end_s - play.start_s for play in plays) == pytest.approx(60.0, abs=2.0)


def test_a_recording_that_begins_with_a_repeat_is_one_play_from_its_beginning() -> None:
    """Its first ten seconds come twice: found in the second, then going on as after the first, it was told as two plays."""
    verse = recording(50, 10)
    song = np.concatenate([verse, verse, recording(51, 20)])
    air = Air(80)
    end_s = air.play(song, 10.0)
    shelf = Shelf.of({1: OTHER, 5: song, 6: recording(52, 30)})
    (play,) = listen(air, shelf)
    assert (play.reference_id, play.complete) == (5, True)
    assert (play.start_s, play.end_s) == (pytest.approx(10.0, abs=0.3), pytest.approx(end_s, abs=0.3))


def test_a_recording_that_repeats_itself_played_twice_is_two_plays() -> None:
    """Its beginning fits four other places as well; the second play was once taken for a jump to one of them."""
    verse = recording(53, 4)
    song = np.concatenate([verse, recording(54, 5), verse, recording(55, 5), verse, recording(56, 20)])
    air = Air(130)
    second_s = air.play(song, 10.0)
    end_s = air.play(song, second_s)
    first, second = listen(air, Shelf.of({1: OTHER, 5: song}), noise=0.5)
    assert (first.end_s, second.start_s) == (pytest.approx(second_s, abs=0.4), pytest.approx(second_s, abs=0.4))
    assert second.end_s == pytest.approx(end_s, abs=0.4)


def test_beginnings_and_ends_are_placed_to_better_than_a_hop() -> None:
    errors = []
    for at, at_s in enumerate(np.arange(10.0, 10.5, 0.1)):
        air = Air(60, seed=20 + at)
        end_s = air.play(SONG, float(at_s), from_s=20.0, to_s=40.0)
        (play,) = listen(air, SHELF, noise=0.3)
        errors += [abs(play.start_s - at_s), abs(play.end_s - end_s)]
    assert np.median(errors) < 0.12
    assert max(errors) < 0.35
