"""What counts as found, missed and false."""

from __future__ import annotations

import pytest

from monitor.demo.plan import Aired
from monitor.demo.verdict import Told, judge


def aired(clip: str, start: float, end: float, *, station: str = "one", listed: bool = True) -> Aired:
    return Aired(station=station, clip=clip, listed=listed, start_utc_s=start, end_utc_s=end)


def told(clip: str, start: float, end: float, *, station: str = "one", at: float | None = None, ended: bool = True) -> Told:
    return Told(
        id=f"{station}-{clip}-{start}",
        station=station,
        clip=clip,
        title=clip,
        artist="",
        confidence=0.99,
        start_utc_s=start,
        end_utc_s=end,
        first_told_utc_s=start + 3.0 if at is None else at,
        ended=ended,
    )


def test_a_play_that_was_named_is_found_with_its_errors() -> None:
    verdict = judge([aired("a", 100, 130)], [told("a", 100.4, 129.5, at=103.0)], 200)
    assert verdict.passed
    (line,) = verdict.lines
    assert line.start_error_s == pytest.approx(0.4)
    assert line.end_error_s == pytest.approx(-0.5)
    assert line.delay_s == pytest.approx(3.0)


def test_the_end_error_waits_for_the_end() -> None:
    verdict = judge([aired("a", 100, 130)], [told("a", 100, 110, ended=False)], 200)
    assert verdict.lines[0].end_error_s is None


def test_a_listed_play_nobody_named_is_missed() -> None:
    verdict = judge([aired("a", 100, 130), aired("b", 130, 160)], [told("a", 100, 130)], 200)
    assert [play.clip for play in verdict.missed] == ["b"]
    assert not verdict.passed


def test_an_unlisted_play_nobody_named_is_as_it_should_be() -> None:
    verdict = judge([aired("a", 100, 130), aired("x", 130, 160, listed=False)], [told("a", 100, 130)], 200)
    assert verdict.passed
    assert not verdict.missed


@pytest.mark.parametrize(
    "wrong",
    [
        told("b", 101, 129),  # another recording
        told("a", 101, 129, station="two"),  # another station
        told("a", 140, 160),  # another time
        told("x", 130, 160),  # on air, but in no catalogue: its name cannot be known
    ],
    ids=["name", "station", "time", "unlisted"],
)
def test_what_was_not_on_air_is_false(wrong: Told) -> None:
    truth = [aired("a", 100, 130), aired("x", 130, 160, listed=False)]
    verdict = judge(truth, [told("a", 100, 130), wrong], 200)
    assert verdict.false == (wrong,)
    assert not verdict.passed


def test_a_second_detection_of_one_play_is_false() -> None:
    second = told("a", 118, 130)
    assert judge([aired("a", 100, 130)], [told("a", 100, 115), second], 200).false == (second,)


def test_two_plays_of_one_recording_want_two_detections() -> None:
    truth = [aired("a", 100, 130), aired("a", 131, 160)]
    verdict = judge(truth, [told("a", 131, 160), told("a", 100, 130)], 200)
    assert verdict.passed
    assert [line.start_error_s for line in verdict.lines] == [0, 0]


@pytest.mark.parametrize(("start", "end"), [(96.9, 130), (103.1, 130), (100, 126.9), (100, 133.1)])
def test_the_right_name_at_the_wrong_time_is_not_found(start: float, end: float) -> None:
    verdict = judge([aired("a", 100, 130)], [told("a", start, end)], 200)
    assert [play.clip for play in verdict.wrong_times] == ["a"]
    assert not verdict.lines[0].found
    assert not verdict.missed, "it was named"
    assert not verdict.false, "it was on air"
    assert not verdict.passed


def test_errors_within_the_tolerance_are_found() -> None:
    verdict = judge([aired("a", 100, 130)], [told("a", 97.5, 132.5)], 200)
    assert verdict.lines[0].found
    assert verdict.passed


def test_a_play_cut_short_by_ctrl_c_ends_there() -> None:
    # `monitor demo --keep`: the daemon is stopped in the middle of a play and tells its end, 20 s before the planned one.
    assert judge([aired("a", 100, 130)], [told("a", 100, 110.5)], 110).passed


def test_a_play_still_going_on_is_not_yet_missed() -> None:
    truth = [aired("a", 100, 130), aired("b", 130, 160)]
    assert judge(truth, [told("a", 100, 130)], 140).passed
    assert len(judge(truth, [told("a", 100, 130), told("b", 130, 138, ended=False)], 140).lines) == 2


def test_where_nothing_was_on_air_nothing_was_shown() -> None:
    assert not judge([], [], 100).passed
