"""A station's airtime as an account of wall time: every moment is exactly one thing.

Knows intervals of UTC. Reads no clock; knows nothing of positions, sound or disks.

`Account` turns what was heard, which is placed in UTC with an error by a clock that may step, into intervals that touch: each
begins where the one before it ends. What comes late replaces what was thought not received, and never what was heard; a hole is
time not received, also one the clock jumped over. So the states are disjoint and add up to wall time by construction.

What is matched is known late and revised (a play's start is looked up back in time, its end is known seconds after it, it may be
retracted). So it is not written into the account: plays are kept beside it and laid over it when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from monitor.messages import AirState

TOUCH_S = 0.25
"""A hole or an overlap so small is the error of the clock, not lost sound: reconnecting takes longer."""
SET_BACK_S = 60.0
"""The clock was set back when sound ends so long before what was written: what lies after it was written by a wrong clock."""
HEARD = frozenset({AirState.MUSIC, AirState.SPEECH, AirState.SILENCE})
"""What a play may be laid over: sound that was analysed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of UTC, in seconds since 1970, that is all one thing."""

    start_s: float
    end_s: float
    state: AirState
    play: str = ""
    """Id of the play, where it is matched."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A play as the account sees it."""

    play: str
    start_s: float
    end_s: float


class Account:
    """The end of one station's account. What it returns replaces all that was written from the first interval's start on."""

    def __init__(self, end_s: float) -> None:
        """Go on at `end_s`, the end of what is written."""
        self.end_s = end_s
        self._firm_s = end_s
        """Up to here nothing is replaced."""

    def __repr__(self) -> str:
        return f"Account(written to {self.end_s:.3f})"

    def heard(self, start_s: float, end_s: float, state: AirState) -> list[Interval]:
        """Write that sound was received; return what is new, without a hole, from at most the present end on."""
        if end_s < self.end_s - SET_BACK_S:
            self._firm_s = min(self._firm_s, start_s)
        start_s = max(start_s, self._firm_s)
        if abs(start_s - self.end_s) <= TOUCH_S:
            start_s = self.end_s
        if end_s <= start_s:
            return []
        hole = self.absent(start_s)
        self.end_s = self._firm_s = end_s
        return [*hole, Interval(start_s=start_s, end_s=end_s, state=state)]

    def absent(self, until_s: float) -> list[Interval]:
        """Write that nothing was received until then."""
        if until_s <= self.end_s:
            return []
        hole = Interval(start_s=self.end_s, end_s=until_s, state=AirState.NOT_RECEIVED)
        self.end_s = until_s
        return [hole]


def overlay(intervals: Sequence[Interval], plays: Iterable[Span]) -> list[Interval]:
    """Lay plays over an account: what was heard and belongs to a play is matched, by the play that began last.

    Args:
        intervals: Rising and touching.
        plays: In any order; they may overlap.
    """
    spans = sorted(plays, key=lambda play: play.start_s)
    laid: list[Interval] = []
    for one in intervals:
        if one.state not in HEARD:
            join(laid, one)
            continue
        over = [play for play in spans if play.start_s < one.end_s and play.end_s > one.start_s]
        borders = sorted({one.start_s, one.end_s, *(s for p in over for s in (p.start_s, p.end_s) if one.start_s < s < one.end_s)})
        for start_s, end_s in pairwise(borders):
            on = [play for play in over if play.start_s <= start_s and play.end_s >= end_s]
            state, play = (AirState.MATCHED, on[-1].play) if on else (one.state, "")
            join(laid, Interval(start_s=start_s, end_s=end_s, state=state, play=play))
    return laid


def join(intervals: list[Interval], new: Interval) -> None:
    """Append an interval, as a part of the last one where it only goes on."""
    last = intervals[-1] if intervals else None
    if last is not None and last.end_s == new.start_s and (last.state, last.play) == (new.state, new.play):
        intervals[-1] = Interval(start_s=last.start_s, end_s=new.end_s, state=new.state, play=new.play)
    else:
        intervals.append(new)


def cut(intervals: Iterable[Interval], start_s: float, end_s: float) -> list[Interval]:
    """Return an account of exactly [start_s, end_s): what is not written was not received."""
    account = Account(start_s)
    window: list[Interval] = []
    for one in intervals:
        if one.end_s > start_s and one.start_s < end_s:
            begin_s = max(one.start_s, start_s)
            for part in (
                *account.absent(begin_s),
                Interval(start_s=begin_s, end_s=min(one.end_s, end_s), state=one.state, play=one.play),
            ):
                join(window, part)
            account.end_s = min(one.end_s, end_s)
    for part in account.absent(end_s):
        join(window, part)
    return window


def totals(intervals: Iterable[Interval]) -> dict[AirState, float]:
    """Return the seconds of each state, those of no length included."""
    sums = dict.fromkeys(AirState, 0.0)
    for one in intervals:
        sums[one.state] += one.seconds
    return sums
