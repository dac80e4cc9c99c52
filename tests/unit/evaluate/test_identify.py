"""What is said of a query is judged against what was played."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.evaluate.identify import Answer, _judge, _line
from monitor.messages import Play, Reference

PLAY = Play(
    stream="q",
    reference_id=1,
    start_s=5.2,
    end_s=34.5,
    reference_start_s=0.0,
    reference_end_s=29.0,
    speed=1.0,
    score=0.8,
    evidence=60.0,
    confidence=0.99,
    detected_s=8.0,
)


class Names:
    """Who is who, as an `Identifier` says it."""

    def reference(self, play: Play) -> Reference:
        return Reference(id=play.reference_id, path=f"/{play.reference_id}")


def judge(*plays: Play) -> Answer:
    return _judge(plays, Names(), Path("/1"), 5.0, 35.0)  # type: ignore[arg-type]


def test_the_right_one_is_right_with_its_errors() -> None:
    answer = judge(PLAY)
    assert (answer.right, answer.false) == (True, 0)
    assert (answer.start_error_s, answer.end_error_s, answer.after_s) == pytest.approx((0.2, -0.5, 3.0))


def test_nothing_said_is_neither_right_nor_false() -> None:
    answer = judge()
    assert (answer.right, answer.false) == (False, 0)
    assert math.isnan(answer.start_error_s)


def test_another_name_is_false_beside_the_right_one_or_alone() -> None:
    other = replace(PLAY, reference_id=2)
    assert (judge(other).right, judge(other).false) == (False, 1)
    assert (judge(PLAY, other).right, judge(PLAY, other).false) == (True, 1)


def test_a_play_told_in_two_is_one_too_many_and_the_longer_counts() -> None:
    answer = judge(replace(PLAY, end_s=10.0), replace(PLAY, start_s=12.0))
    assert (answer.right, answer.false) == (True, 1)
    assert answer.start_error_s == pytest.approx(7.0)


def test_the_line_counts_and_measures() -> None:
    answers = [judge(PLAY), judge(replace(PLAY, start_s=4.6)), judge(), judge(replace(PLAY, reference_id=2))]
    cells = [cell.strip() for cell in _line("clean", answers).strip("|").split("|")]
    assert cells == ["clean", "4", "50.0 %", "1", "0.30 / 0.38", "0.50 / 0.50", "3.0"]
    assert _line("none", [judge()]) == "| none | 1 | 0.0 % | 0 | – | – | – |"
