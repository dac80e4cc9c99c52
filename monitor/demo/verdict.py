"""Truth beside detection: what was found, how exactly, what was missed and what was said falsely.

Knows plays in UTC on both sides. Knows nothing of MQTT, stations or screens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from monitor.demo.plan import Aired

SLACK_S = 2.0
"""A detection may lie this far outside a play and still speak of it."""
TOLERANCE_S = 3.0
"""A detection that begins or ends further off than this names the right recording at the wrong time: not what a report can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the monitor said about one play, its events put together."""

    id: str
    station: str
    clip: str
    """File name of the reference it named."""
    title: str
    artist: str
    confidence: float
    start_utc_s: float
    end_utc_s: float
    first_told_utc_s: float
    """When the first message about it arrived here."""
    ended: bool
    retracted: bool = False
    """Taken back: it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One play and the detection that found it, if any did."""

    truth: Aired
    told: Told | None

    @property
    def start_error_s(self) -> float | None:
        """Told start less true start."""
        return None if self.told is None else self.told.start_utc_s - self.truth.start_utc_s

    @property
    def end_error_s(self) -> float | None:
        """Told end less true end; None also while the end has not been told."""
        return self.told.end_utc_s - self.truth.end_utc_s if self.told and self.told.ended else None

    @property
    def wrong_times(self) -> bool:
        """Whether it was named, but for another time than it was on air."""
        return any(error_s is not None and abs(error_s) > TOLERANCE_S for error_s in (self.start_error_s, self.end_error_s))

    @property
    def found(self) -> bool:
        """Whether it was named, and its times are right."""
        return self.told is not None and not self.wrong_times

    @property
    def delay_s(self) -> float | None:
        """From the first audible moment to the arrival of the first message."""
        return None if self.told is None else self.told.first_told_utc_s - self.truth.start_utc_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The whole comparison."""

    lines: tuple[Line, ...] = field(default=())
    """Every play, in order of its start; a play of an unlisted recording has no detection when all is well."""
    false: tuple[Told, ...] = ()
    """Said, but not on air: a wrong name, an unlisted recording, or a second detection of the same play."""

    @property
    def missed(self) -> tuple[Aired, ...]:
        """Listed plays that nobody named."""
        return tuple(line.truth for line in self.lines if line.truth.listed and line.told is None)

    @property
    def wrong_times(self) -> tuple[Aired, ...]:
        """Listed plays that were named, but for another time."""
        return tuple(line.truth for line in self.lines if line.wrong_times)

    @property
    def passed(self) -> bool:
        """Whether all was found, at the right times, and nothing false was said."""
        return bool(self.lines) and not self.missed and not self.wrong_times and not self.false


def judge(truth: Sequence[Aired], told: Iterable[Told], until_utc_s: float) -> Verdict:
    """Compare what was on air before `until_utc_s` with what was said.

    A play that was still going on at `until_utc_s` ends there as far as anybody could hear, and is left out when nobody named it:
    it may have been too early to.
    """
    free = [play for play in truth if play.listed]
    found: dict[int, Told] = {}
    false: list[Told] = []
    for item in sorted(told, key=lambda item: item.first_told_utc_s):
        candidates = [play for play in free if _speaks_of(item, play)]
        if not candidates:
            false.append(item)
            continue
        best = max(candidates, key=lambda play: _overlap_s(item, play))
        free.remove(best)
        found[id(best)] = item
    lines = [
        Line(truth=replace(play, end_utc_s=min(play.end_utc_s, until_utc_s)), told=found.get(id(play)))
        for play in truth
        if play.end_utc_s <= until_utc_s or id(play) in found
    ]
    return Verdict(lines=tuple(sorted(lines, key=lambda line: (line.truth.station, line.truth.start_utc_s))), false=tuple(false))


def _speaks_of(told: Told, play: Aired) -> bool:
    return told.station == play.station and told.clip == play.clip and _overlap_s(told, play) > -SLACK_S


def _overlap_s(told: Told, play: Aired) -> float:
    return min(told.end_utc_s, play.end_utc_s) - max(told.start_utc_s, play.start_utc_s)
