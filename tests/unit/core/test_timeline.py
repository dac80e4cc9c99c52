"""UTC of a sample: through bursts, jitter, drift, reconnects and steps of the wall clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import timeline as timeline_module
from monitor.core.timeline import FLOOR_S, KEEP_BLOCKS, Timeline
from monitor.messages import Stamp, StampKind

RATE = 8000
HOP = 4000
PIECE = 2000
WALL = 1_700_000_000.0
"""UTC minus the monotonic clock."""


def play(
    timeline: Timeline,
    position: int,
    start_s: float,
    duration_s: float,
    *,
    burst_s: float = 0.0,
    jitter: random.Random | None = None,
) -> int:
    """Send pieces whose true arrival is start_s + time; the first burst_s seconds come at once, each at most 0.8 s late."""
    first = position
    for _ in range(round(duration_s * RATE / PIECE)):
        position += PIECE
        due_s = start_s + max((position - first) / RATE - burst_s, 0.0)
        timeline.heard(position, due_s + (jitter.uniform(0.0, 0.8) if jitter else 0.0), WALL)
    return position


def fresh() -> Timeline:
    return Timeline(rate_hz=RATE, hop_samples=HOP)


def test_nothing_heard_is_no_time() -> None:
    with pytest.raises(LookupError, match="no sound"):
        fresh().utc_s(0)


def test_steady_stream_is_exact() -> None:
    timeline = fresh()
    assert timeline.begin(100.0) == 0
    play(timeline, 0, 100.0, 20.0)
    assert timeline.utc_s(10 * RATE) == (pytest.approx(WALL + 110.0), pytest.approx(FLOOR_S))


def test_first_seconds_of_a_burst_are_not_placed_late() -> None:
    # Icecast sends 64 kB on connecting: 4 s of a 128 kbit/s stream arrive at once and were on air over the last 4 s.
    timeline = fresh()
    play(timeline, timeline.begin(100.0), 100.0, 60.0, burst_s=4.0)
    utc, uncertainty = timeline.utc_s(0)
    assert utc == pytest.approx(WALL + 96.0)
    assert uncertainty < 0.2


def test_within_the_burst_the_uncertainty_covers_it() -> None:
    timeline = fresh()
    play(timeline, timeline.begin(100.0), 100.0, 3.0, burst_s=4.0)
    utc, uncertainty = timeline.utc_s(0)
    assert abs(utc - (WALL + 97.0)) <= uncertainty
    assert uncertainty >= 2.5


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_jitter_stays_within_the_uncertainty(seed: int) -> None:
    timeline = fresh()
    play(timeline, timeline.begin(0.0), 0.0, 120.0, jitter=random.Random(seed))
    for second in (0, 30, 119):
        utc, uncertainty = timeline.utc_s(second * RATE)
        assert abs(utc - WALL - second) <= uncertainty <= 0.6


def test_drift_of_a_cheap_clock_is_followed() -> None:
    timeline = fresh()
    position, drift = timeline.begin(0.0), 100e-6
    hours = 2
    for _ in range(hours * 3600 * RATE // PIECE):
        position += PIECE
        timeline.heard(position, position / RATE * (1 + drift), WALL)
    true_s = 3600 * (1 + drift)  # 0.36 s later than the first anchor says
    assert abs(timeline.utc_s(3600 * RATE)[0] - WALL - true_s) < 0.03
    assert abs(timeline.utc_s(position)[0] - WALL - position / RATE * (1 + drift)) < 0.03


def test_media_time_runs_on_while_a_stream_is_away() -> None:
    timeline = fresh()
    end = play(timeline, timeline.begin(100.0), 100.0, 10.0)
    again = timeline.begin(140.0)
    assert again % HOP == 0
    assert 40 * RATE <= again <= 40 * RATE + HOP
    assert again > end
    play(timeline, again, 140.0, 10.0)
    assert timeline.utc_s(again)[0] == pytest.approx(WALL + 140.0)
    assert timeline.utc_s(5 * RATE)[0] == pytest.approx(WALL + 105.0)


def test_a_reconnect_at_once_is_still_a_gap() -> None:
    timeline = fresh()
    end = play(timeline, timeline.begin(100.0), 100.0, 10.0, burst_s=6.0)
    again = timeline.begin(104.0)
    assert again >= end + HOP
    assert again % HOP == 0


@given(st.lists(st.tuples(st.floats(0.25, 30.0), st.floats(0.0, 60.0), st.floats(0.0, 5.0)), min_size=1, max_size=8))
@settings(deadline=None)
def test_positions_rise_and_utc_is_that_of_its_own_connection(connections: list[tuple[float, float, float]]) -> None:
    timeline = fresh()
    now_s, end, starts = 50.0, -HOP, []
    for duration_s, away_s, burst_s in connections:
        position = timeline.begin(now_s)
        assert position >= end + HOP
        starts.append((position, now_s, duration_s, burst_s))
        end = play(timeline, position, now_s, duration_s, burst_s=burst_s)
        now_s += max(duration_s - burst_s, 0.0) + away_s
    for position, start_s, duration_s, burst_s in starts:
        utc, uncertainty = timeline.utc_s(position)
        assert abs(utc - WALL - (start_s - min(burst_s, duration_s))) <= uncertainty + 1e-6


# Found by tests/chaos: where each position kept the clock of its time, a play lasted -3595 s when the clock was set back an hour.
@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_changes_no_distance(step_s: float) -> None:
    timeline = fresh()
    position = play(timeline, timeline.begin(0.0), 0.0, 30.0)
    for piece in range(1, 41):
        timeline.heard(position + piece * PIECE, 30.0 + piece * PIECE / RATE, WALL + step_s)
    assert timeline.utc_s(10 * RATE)[0] == pytest.approx(WALL + step_s + 10.0)
    assert timeline.utc_s(39 * RATE)[0] == pytest.approx(WALL + step_s + 39.0)


def test_a_step_that_is_taken_back_leaves_no_doubt() -> None:
    timeline = fresh()
    position = play(timeline, timeline.begin(0.0), 0.0, 30.0)
    timeline.heard(position + PIECE, 30.0 + PIECE / RATE, WALL + 86400.0)
    timeline.heard(position + 2 * PIECE, 30.0 + 2 * PIECE / RATE, WALL)
    assert timeline.utc_s(10 * RATE)[0] == pytest.approx(WALL + 10.0)
    assert timeline.utc_s(10 * RATE)[1] == pytest.approx(FLOOR_S, abs=0.01)


def test_a_step_of_the_wall_clock_is_doubt_about_what_came_before() -> None:
    timeline = fresh()
    position = play(timeline, timeline.begin(0.0), 0.0, 30.0)
    timeline.heard(position + PIECE, 30.0 + PIECE / RATE, WALL - 1.0)  # a leap second is one
    assert timeline.utc_s(10 * RATE)[1] == pytest.approx(1.0 + FLOOR_S, abs=0.01)
    assert timeline.utc_s(position)[1] == pytest.approx(FLOOR_S, abs=0.01)


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_sender_200_ppm_off_is_followed_within_the_uncertainty(drift: float) -> None:
    timeline = fresh()
    position = timeline.begin(0.0)
    while position < 3 * 3600 * RATE:
        position += PIECE
        timeline.heard(position, position / RATE * (1 + drift), WALL)
    for at_s in (0, 1800, 5400, 10_799):
        utc, uncertainty = timeline.utc_s(at_s * RATE)
        assert abs(utc - WALL - at_s * (1 + drift)) <= min(uncertainty, 0.2)


@pytest.mark.parametrize("away_s", [2.0, 6.0])
def test_a_pause_that_is_caught_up_was_a_delay(away_s: float) -> None:
    timeline = fresh()
    end = play(timeline, timeline.begin(0.0), 0.0, 60.0)
    play(timeline, end, 60.0 + away_s, 60.0, burst_s=away_s)
    utc, uncertainty = timeline.utc_s(70 * RATE)
    assert utc == pytest.approx(WALL + 70.0)
    assert uncertainty < 0.2


# Found by tests/chaos on a machine that stood still for half a minute: what lay between two such pauses was placed 15 s late for
# good, so that plays lasted -10 s.
def test_pauses_that_are_caught_up_late_were_delays() -> None:
    timeline = fresh()
    end = play(timeline, timeline.begin(0.0), 0.0, 60.0)
    end = play(timeline, end, 72.0, 5.0)  # 12 s late
    end = play(timeline, end, 81.0, 16.0)  # after another pause 16 s, for so long that it looks like a loss
    play(timeline, end, 97.0, 60.0, burst_s=16.0)  # and then all of it
    placed = [timeline.utc_s(at_s * RATE)[0] for at_s in range(50, 130)]
    assert placed == pytest.approx([WALL + at_s for at_s in range(50, 130)], abs=0.01)


@pytest.mark.parametrize("away_s", [2.0, 6.0, 40.0])
def test_a_pause_that_is_not_caught_up_was_a_loss(away_s: float) -> None:
    # A server whose source went away and came back, on the same connection: media time counts samples, UTC steps.
    timeline = fresh()
    end = play(timeline, timeline.begin(0.0), 0.0, 60.0)
    assert timeline.utc_s(end - 1)[0] == pytest.approx(WALL + 60.0, abs=0.01)
    at = end
    for told_s in range(1, 121):
        at = play(timeline, at, 60.0 + away_s + told_s - 1, 1.0)
        before, before_doubt = timeline.utc_s(59 * RATE)
        after, after_doubt = timeline.utc_s(end + RATE // 2)
        assert abs(before - WALL - 59.0) <= before_doubt
        assert abs(after - WALL - 60.5 - away_s) <= after_doubt  # while it is undecided the doubt covers it
    assert before_doubt < 0.2
    assert after_doubt < 0.2


def segments(timeline: Timeline, position: int, now_s: float, count: int, *, size_s: float = 6.0, seed: int = 1) -> int:
    """Send segments as HLS does: three at once, then one each `size_s`, up to half a second late."""
    delays = random.Random(seed)
    for number in range(count):
        arrives_s = now_s + max(number - 2, 0) * size_s + (delays.uniform(0.0, 0.5) if number > 2 else 0.0)
        for _ in range(round(size_s * RATE / PIECE)):
            position += PIECE
            timeline.heard(position, arrives_s, WALL)
    return position


def test_segments_are_placed_by_their_ends() -> None:
    timeline = fresh()
    segments(timeline, timeline.begin(0.0), 0.0, 40)
    for at_s in (30, 100, 200):
        utc, uncertainty = timeline.utc_s(at_s * RATE)
        assert abs(utc - (WALL + at_s - 18.0)) <= uncertainty <= 0.8


def stated(seconds: float, sample: int) -> Stamp:
    return Stamp(kind=StampKind.PROGRAMME, seconds=seconds, sample=sample)


def test_the_time_a_station_states_is_believed() -> None:
    timeline = fresh()
    timeline.begin(0.0)
    for number in range(20):
        assert timeline.stamped(stated(WALL - 30.0 + 6 * number, 6 * number * RATE)) == 0
    segments(timeline, 0, 0.0, 20)
    utc, uncertainty = timeline.utc_s(50 * RATE)
    assert utc == pytest.approx(WALL + 20.0)
    assert uncertainty == pytest.approx(FLOOR_S)


@pytest.mark.parametrize("wrong_s", [-3600.0, 60.0])
def test_a_station_whose_clock_is_wrong_is_not_believed(wrong_s: float) -> None:
    timeline = fresh()
    timeline.begin(0.0)
    for number in range(20):
        timeline.stamped(stated(WALL + wrong_s + 6 * number, 6 * number * RATE))
    segments(timeline, 0, 0.0, 20)
    utc, uncertainty = timeline.utc_s(50 * RATE)
    assert abs(utc - (WALL + 50.0 - 18.0)) <= uncertainty


def test_a_discontinuity_of_stated_time_is_a_step() -> None:
    # Segments were missing at the server: the positions go on, the stated time jumps.
    timeline = fresh()
    timeline.begin(0.0)
    for number in range(20):
        lost_s = 24.0 if number >= 10 else 0.0
        timeline.stamped(stated(WALL - 30.0 + 6 * number + lost_s, 6 * number * RATE))
    segments(timeline, 0, 0.0, 20)
    assert timeline.utc_s(59 * RATE)[0] == pytest.approx(WALL + 29.0)
    assert timeline.utc_s(61 * RATE)[0] == pytest.approx(WALL + 31.0 + 24.0)


WRAP_S = 2**33 / 90000


def counter(seconds: float) -> Stamp:
    return Stamp(kind=StampKind.MEDIA, seconds=seconds % WRAP_S, period_s=WRAP_S)


def test_a_counter_shows_lost_sound_at_once_and_wraps_without_harm() -> None:
    timeline = fresh()
    position, counted_s = timeline.begin(0.0), WRAP_S - 10.0
    for second in range(30):
        jump = timeline.stamped(counter(counted_s + second + (3.2 if second >= 20 else 0.0)))
        assert jump == (round(3.5 * RATE) if second == 20 else 0)  # to the next hop: a window begins there
        position += jump + RATE
        timeline.heard(position, second + 1.0 + (3.2 if second >= 20 else 0.0), WALL)


# Found with a sound card that lost a little again and again: each jump to the hop grid was up to half a second too long.
def test_many_small_losses_add_up_to_what_was_lost() -> None:
    timeline, lost_s, jumped, position = fresh(), 0.0, 0, 0
    timeline.begin(0.0)
    for second in range(60):
        lost_s += 0.13 if second % 3 == 2 else 0.0
        jump = timeline.stamped(counter(second + lost_s))
        jumped += jump
        position += jump + RATE
        timeline.heard(position, second + 1.0 + lost_s, WALL)
        assert 0.0 <= jumped / RATE - lost_s + 0.1 <= 0.6 + 1e-6
    assert lost_s == pytest.approx(2.6)


def test_another_counter_loses_nothing() -> None:
    timeline = fresh()
    timeline.begin(0.0)
    for seconds in (100.0, 50_000.0, 20.0):
        assert timeline.stamped(Stamp(kind=StampKind.MEDIA, seconds=seconds)) == 0
        timeline.heard(RATE, 1.0, WALL)


def test_forgetting_the_oldest_changes_no_answer_about_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes that jitter, a pause of which little is made up, another connection."""
    told = []
    for keep in (1000, 160):
        monkeypatch.setattr(timeline_module, "KEEP_BLOCKS", keep)
        timeline, jitter = fresh(), random.Random(7)
        position = play(timeline, timeline.begin(0.0), 0.0, 600.0, jitter=jitter)
        position = play(timeline, position, 640.0, 300.0, jitter=jitter)
        position = play(timeline, timeline.begin(1000.0), 1000.0, 400.0, burst_s=3.0, jitter=jitter)
        told.append([timeline.utc_s(position - ago_s * RATE) for ago_s in range(0, 460, 7)])
        assert (len(timeline._blocks) < 250) == (keep == 160)
    assert told[0] == told[1]


def test_memory_is_bounded_and_old_positions_keep_an_answer() -> None:
    timeline = fresh()
    timeline.begin(0.0)
    for block in range(1, 2 * KEEP_BLOCKS + 2):
        timeline.heard(block * 5 * RATE, block * 5.0, WALL)
    assert KEEP_BLOCKS <= len(timeline._blocks) <= KEEP_BLOCKS + KEEP_BLOCKS // 8
    assert timeline.utc_s(0)[0] == pytest.approx(WALL)
