"""Waits grow to a cap, are spread, and start anew."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.backoff import Backoff


def test_doubles_to_the_cap_without_jitter() -> None:
    backoff = Backoff(1.0, 10.0, lambda: 0.0)
    assert [backoff.next_s() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_reset_starts_anew() -> None:
    backoff = Backoff(0.5, 60.0, lambda: 0.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.5


@given(st.floats(0.01, 10.0), st.floats(10.0, 1000.0), st.integers(0, 2**32))
def test_every_wait_is_between_half_and_all_of_its_ceiling(first_s: float, cap_s: float, seed: int) -> None:
    backoff = Backoff(first_s, cap_s, random.Random(seed).random)
    for step in range(100):
        ceiling_s = min(first_s * 2.0**step, cap_s)
        assert ceiling_s * 0.4999 <= backoff.next_s() <= ceiling_s * 1.0001


def test_a_stable_time_starts_anew() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 0.0, stable_s=30.0)
    assert [backoff.failed(float(now_s)) for now_s in range(3)] == [1.0, 2.0, 4.0]
    backoff.worked(100.0)
    assert backoff.failed(130.0) == 1.0


def test_a_flapping_connection_backs_off_like_a_dead_one() -> None:
    backoff = Backoff(1.0, 8.0, lambda: 0.0, stable_s=30.0)
    waits_s = []
    for now_s in range(0, 500, 100):
        backoff.worked(float(now_s))
        waits_s.append(backoff.failed(now_s + 29.9))
    assert waits_s == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_one_stable_time_counts_once() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 0.0, stable_s=30.0)
    backoff.worked(0.0)
    assert [backoff.failed(40.0), backoff.failed(80.0), backoff.failed(120.0)] == [1.0, 2.0, 4.0]
