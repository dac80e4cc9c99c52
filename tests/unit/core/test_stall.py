"""A stream that has gone quiet is noticed at the limit, not before."""

from __future__ import annotations

from monitor.core.stall import StallWatch


def test_nothing_is_missed_before_the_first_sign_of_life() -> None:
    assert StallWatch(10.0).left_s(1e9) == 10.0


def test_time_runs_out_at_the_limit() -> None:
    watch = StallWatch(10.0)
    watch.heard(100.0)
    assert watch.left_s(104.0) == 6.0
    assert watch.left_s(110.0) == watch.left_s(200.0) == 0.0


def test_a_sign_of_life_gives_all_of_it_again() -> None:
    watch = StallWatch(10.0)
    watch.heard(100.0)
    watch.heard(115.0)
    assert watch.left_s(120.0) == 5.0
