"""The account: touching intervals whatever comes in whatever order; plays laid over; windows cut out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.airtime import Account, Interval, Span, cut, join, overlay, totals
from monitor.messages import AirState

MUSIC, SPEECH, NONE, SHED, MATCHED = AirState.MUSIC, AirState.SPEECH, AirState.NOT_RECEIVED, AirState.SHED, AirState.MATCHED


def written(account: list[Interval], new: list[Interval]) -> None:
    """Write as the book does: what is new replaces everything from its start on."""
    for one in new:
        while account and account[-1].start_s >= one.start_s:
            account.pop()
        if account and account[-1].end_s > one.start_s:
            last = account.pop()
            account.append(Interval(start_s=last.start_s, end_s=one.start_s, state=last.state))
        join(account, one)


def told(intervals: list[Interval]) -> list[tuple[float, float, AirState]]:
    return [(one.start_s, one.end_s, one.state) for one in intervals]


def test_sound_that_goes_on_touches_and_a_hole_is_not_received() -> None:
    account, ledger = Account(100.0), list[Interval]()
    written(ledger, account.heard(100.1, 110.0, MUSIC))
    written(ledger, account.heard(109.9, 120.0, MUSIC))
    written(ledger, account.heard(123.0, 130.0, SPEECH))
    assert told(ledger) == [(100.0, 120.0, MUSIC), (120.0, 123.0, NONE), (123.0, 130.0, SPEECH)]


def test_late_sound_replaces_what_was_thought_not_received_and_nothing_else() -> None:
    account, ledger = Account(0.0), list[Interval]()
    written(ledger, account.heard(0.0, 10.0, MUSIC))
    written(ledger, account.absent(40.0))
    written(ledger, account.heard(5.0, 30.0, SPEECH))
    written(ledger, account.absent(50.0))
    assert told(ledger) == [(0.0, 10.0, MUSIC), (10.0, 30.0, SPEECH), (30.0, 50.0, NONE)]


def test_a_small_step_back_is_cut_off_and_a_big_one_replaces_the_future() -> None:
    account, ledger = Account(0.0), list[Interval]()
    written(ledger, account.heard(0.0, 1000.0, MUSIC))
    written(ledger, account.heard(998.0, 1010.0, SPEECH))
    assert told(ledger) == [(0.0, 1000.0, MUSIC), (1000.0, 1010.0, SPEECH)]
    written(ledger, account.heard(500.0, 510.0, SPEECH))
    assert told(ledger) == [(0.0, 500.0, MUSIC), (500.0, 510.0, SPEECH)]


events = st.lists(
    st.tuples(
        st.sampled_from(("heard", "absent", "step")),
        st.floats(0.1, 60.0),
        st.floats(-3.0, 20.0),
        st.sampled_from((MUSIC, SPEECH, SHED)),
    ),
    max_size=40,
)


@given(events)
def test_the_account_has_no_hole_and_no_overlap_and_adds_up(history: list) -> None:
    account, ledger, now_s = Account(0.0), list[Interval](), 0.0
    for kind, length_s, shift_s, state in history:
        if kind == "heard":
            written(ledger, account.heard(now_s + shift_s, now_s + shift_s + length_s, state))
            now_s += length_s
        elif kind == "absent":
            now_s += length_s
            written(ledger, account.absent(now_s))
        else:
            now_s += shift_s * 10
    assert all(one.end_s == other.start_s for one, other in pairwise(ledger))
    assert all(one.seconds > 0 for one in ledger)
    if ledger:
        assert ledger[-1].end_s == account.end_s
        assert sum(totals(ledger).values()) == pytest.approx(ledger[-1].end_s - ledger[0].start_s)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.1, 30.0)), max_size=8), st.data())
def test_plays_match_what_was_heard_and_only_that(spans: list, data: st.DataObject) -> None:
    states = data.draw(st.lists(st.sampled_from((MUSIC, SPEECH, NONE, SHED)), min_size=1, max_size=10))
    ledger: list[Interval] = []
    for number, state in enumerate(states):
        join(ledger, Interval(start_s=number * 10.0, end_s=number * 10.0 + 10.0, state=state))
    plays = [Span(play=str(number), start_s=start, end_s=start + length) for number, (start, length) in enumerate(spans)]
    laid = overlay(ledger, plays)
    assert all(one.end_s == other.start_s for one, other in pairwise(laid))
    assert (laid[0].start_s, laid[-1].end_s) == (0.0, len(states) * 10.0)
    for tenth in range(5, len(states) * 100, 10):
        at = tenth / 10
        under = states[int(at // 10)]
        on = any(play.start_s <= at < play.end_s for play in plays)
        over = next(one for one in laid if one.start_s <= at < one.end_s)
        assert over.state is (MATCHED if on and under in (MUSIC, SPEECH) else under)
        assert bool(over.play) == (over.state is MATCHED)


def test_a_window_is_cut_out_and_what_is_not_written_was_not_received() -> None:
    ledger = [Interval(start_s=10.0, end_s=20.0, state=MUSIC), Interval(start_s=20.0, end_s=30.0, state=SPEECH)]
    assert told(cut(ledger, 5.0, 25.0)) == [(5.0, 10.0, NONE), (10.0, 20.0, MUSIC), (20.0, 25.0, SPEECH)]
    assert told(cut(ledger, 25.0, 40.0)) == [(25.0, 30.0, SPEECH), (30.0, 40.0, NONE)]
    assert told(cut([], 0.0, 1.0)) == [(0.0, 1.0, NONE)]
