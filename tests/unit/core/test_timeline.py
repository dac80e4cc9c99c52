"""UTC of a sample: through bursts, jitter, drift, reconnects and steps of the wall clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.timeline import FLOOR_S, KEEP_BLOCKS, Timeline

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


def test_a_step_of_the_wall_clock_moves_only_what_comes_after() -> None:
    timeline = fresh()
    position = play(timeline, timeline.begin(0.0), 0.0, 30.0)
    for piece in range(1, 41):
        timeline.heard(position + piece * PIECE, 30.0 + piece * PIECE / RATE, WALL + 3600.0)
    assert timeline.utc_s(10 * RATE)[0] == pytest.approx(WALL + 10.0)
    assert timeline.utc_s(39 * RATE)[0] == pytest.approx(WALL + 3600.0 + 39.0)


def test_memory_is_bounded_and_old_positions_keep_an_answer() -> None:
    timeline = fresh()
    timeline.begin(0.0)
    for block in range(1, 2 * KEEP_BLOCKS + 2):
        timeline.heard(block * 5 * RATE, block * 5.0, WALL)
    assert len(timeline._blocks) <= 2 * KEEP_BLOCKS
    assert timeline.utc_s(0)[0] == pytest.approx(WALL)
