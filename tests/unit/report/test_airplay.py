"""A report counts what was on air, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.publish import payload
from monitor.report.airplay import Airplay, airplays

DAY = (1_790_000_000.0, 1_790_086_400.0)


def play(number: int, start_s: float, end_s: float, **changes: Any) -> dict[str, Any]:
    """The last event of a play, on air so many seconds after the period begins."""
    content = {
        "id": f"play-{number}",
        "type": "ended",
        "station": "one",
        "start": payload.utc(DAY[0] + start_s),
        "heard_until": payload.utc(DAY[0] + end_s),
        "confidence": 0.9,
        "reference": {"id": 7, "title": "T", "artist": "A", "custom": {}},
    }
    return {**content, **changes}


def spans(events: list[dict[str, Any]], gap_s: float = 30.0) -> list[tuple[float, float, float]]:
    found = airplays(events, *DAY, merge_gap_s=gap_s)
    return [(one.start_utc_s - DAY[0], one.end_utc_s - DAY[0], one.seconds) for one in found]


def test_what_was_taken_back_does_not_count() -> None:
    assert spans([play(1, 0, 10, type="retracted"), play(2, 50, 60)]) == [(50, 60, 10)]


def test_pieces_of_one_recording_are_put_together_across_short_gaps() -> None:
    pieces = [play(1, 0, 100), play(2, 120, 200), play(3, 231, 300)]
    assert spans(pieces) == [(0, 200, 180), (231, 300, 69)]
    assert spans(pieces, 0.0) == [(0, 100, 100), (120, 200, 80), (231, 300, 69)]
    (one, _) = airplays(pieces, *DAY, merge_gap_s=30.0)
    assert one.ids == ("play-1", "play-2")


def test_another_recording_or_station_is_another_play_and_may_lie_between() -> None:
    other = {"id": 8, "title": "U", "artist": "", "custom": {}}
    found = spans([play(1, 0, 100), play(2, 100, 105, reference=other), play(3, 105, 200), play(4, 90, 110, station="two")])
    assert found == [(0, 200, 195), (90, 110, 20), (100, 105, 5)]


def test_pieces_that_overlap_count_once() -> None:
    assert spans([play(1, 0, 100), play(2, 50, 120)]) == [(0, 120, 120)]
    assert spans([play(1, 0, 100), play(2, 50, 70)]) == [(0, 100, 100)]


def test_plays_are_cut_at_the_period() -> None:
    assert spans([play(1, -50, 10), play(2, 86390, 86500), play(3, -20, -1)]) == [(0, 10, 10), (86390, 86400, 10)]


def test_the_least_certain_piece_decides_and_what_runs_is_marked() -> None:
    (one,) = airplays([play(1, 0, 10, confidence=0.99), play(2, 12, 20, confidence=0.6, type="updated")], *DAY, merge_gap_s=5.0)
    assert (one.confidence, one.ended) == (0.6, False)


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("isrc",), ""),
        (("label",), "L"),
        (("komponist", "composer"), "K"),
        (("title",), "T"),
        (("none", "label"), "L"),
        (("none",), ""),
    ],
)
def test_names_are_fields_or_columns(names: tuple[str, ...], value: str) -> None:
    reference = {"id": 1, "title": "T", "isrc": "", "custom": {"Label": "L", "composer": "C", "Komponist": "K"}}
    one = Airplay(station="one", start_utc_s=0.0, end_utc_s=1.0, seconds=1.0, reference=reference, confidence=1.0)
    assert one.named(*names) == value


@given(st.lists(st.tuples(st.floats(-1000, 90000), st.floats(0.1, 500)), max_size=12), st.floats(1000, 80000))
def test_two_periods_have_the_seconds_of_the_whole(plays: list[tuple[float, float]], cut_s: float) -> None:
    events = [play(number, start, start + length) for number, (start, length) in enumerate(plays)]
    middle = DAY[0] + round(cut_s, 3)
    whole = sum(one.seconds for one in airplays(events, *DAY, merge_gap_s=0.0))
    parts = [airplays(events, DAY[0], middle, merge_gap_s=0.0), airplays(events, middle, DAY[1], merge_gap_s=0.0)]
    assert sum(one.seconds for part in parts for one in part) == pytest.approx(whole, abs=1e-3)
