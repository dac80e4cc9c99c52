"""Age is counted by time that passed, not by what a clock jumped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.retention import CATCH_UP, reckoned_s

UTC_S = 1_790_000_000.0
SECONDS = st.floats(0, 1e9)


def test_a_clock_that_runs_is_believed() -> None:
    assert reckoned_s(UTC_S, 3600.0, UTC_S + 3600.0) == UTC_S + 3600.0


def test_a_clock_set_back_is_believed_at_once() -> None:
    assert reckoned_s(UTC_S, 3600.0, UTC_S - 1e8) == UTC_S - 1e8


@given(behind_s=st.floats(0, 1e8), step_s=st.floats(60, 86400))
def test_a_step_ahead_is_caught_up_with_in_as_long_as_it_was(behind_s: float, step_s: float) -> None:
    moment_s, utc_s, passed_s = UTC_S - behind_s, UTC_S, 0.0
    for _ in range(50):
        utc_s, passed_s = utc_s + step_s, passed_s + step_s
        moment_s = reckoned_s(moment_s, step_s, utc_s)
        assert moment_s <= utc_s
        assert moment_s == utc_s or moment_s <= UTC_S - behind_s + CATCH_UP * passed_s + 1e-3
        assert (abs(moment_s - utc_s) < 1e-3) == (passed_s >= behind_s - 1e-3)


@given(before_s=SECONDS, elapsed_s=SECONDS, utc_s=SECONDS)
def test_it_is_never_ahead_of_the_clock(before_s: float, elapsed_s: float, utc_s: float) -> None:
    assert reckoned_s(before_s, elapsed_s, utc_s) <= utc_s
