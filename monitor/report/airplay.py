"""From the events of plays to what a report counts: nothing taken back, cut at the period, put together across short gaps.

Knows the payload as a subscriber does. Knows no database, no columns and no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Airplay:
    """One recording on air, once."""

    station: str
    start_utc_s: float
    end_utc_s: float
    seconds: float
    """On air; less than from start to end where pieces were put together."""
    reference: Mapping[str, Any]
    """Who it is, as in the payload."""
    confidence: float
    """The least of its pieces'."""
    usage: str = "unknown"
    complete: bool = False
    ended: bool = True
    """False: still on air when it was asked for."""
    alternatives: tuple[Mapping[str, Any], ...] = ()
    ids: tuple[str, ...] = ()
    """Of its pieces."""

    def named(self, *names: str) -> str:
        """Return the first of these that is known of the recording: fields of the payload, or columns of the operator's CSV."""
        custom = {column.lower(): value for column, value in self.reference.get("custom", {}).items()}
        values = (str(self.reference.get(name) or custom.get(name) or "") for name in names)
        return next((value for value in values if value), "")


def airplays(events: Iterable[Mapping[str, Any]], from_utc_s: float, to_utc_s: float, *, merge_gap_s: float) -> list[Airplay]:
    """Return what was on air in a period.

    Args:
        events: The last event of each play, of any stations.
        from_utc_s: Where the period begins; a play that goes on there is cut, so that the seconds of periods add up.
        to_utc_s: Where it ends; cut likewise.
        merge_gap_s: Plays of one recording on one station that are no further apart are one, its seconds the sum of theirs.

    Returns:
        By start.
    """
    known: dict[str, Mapping[str, Any]] = {}
    found = [_read(event, known) for event in events if event["type"] != "retracted"]
    cut = [_cut(one, from_utc_s, to_utc_s) for one in found if one.start_utc_s < to_utc_s and one.end_utc_s > from_utc_s]
    merged: list[Airplay] = []
    last: dict[tuple[str, Any], int] = {}
    for one in sorted(cut, key=lambda one: one.start_utc_s):
        key = (one.station, one.reference["id"])
        at = last.get(key)
        if at is not None and one.start_utc_s - merged[at].end_utc_s <= merge_gap_s:
            merged[at] = _join(merged[at], one)
        else:
            last[key] = len(merged)
            merged.append(one)
    return sorted(merged, key=lambda one: (one.start_utc_s, one.station))


def _read(event: Mapping[str, Any], known: dict[str, Mapping[str, Any]]) -> Airplay:
    """Read an event; recordings in `known` are shared, since a month has few of them and many plays."""
    start_utc_s, end_utc_s = (datetime.fromisoformat(event[name]).timestamp() for name in ("start", "heard_until"))
    return Airplay(
        station=event["station"],
        start_utc_s=start_utc_s,
        end_utc_s=end_utc_s,
        seconds=end_utc_s - start_utc_s,
        reference=known.setdefault(repr(event["reference"]), event["reference"]),
        confidence=event["confidence"],
        usage=event.get("usage", "unknown"),
        complete=event.get("complete", False),
        ended=event["type"] == "ended",
        alternatives=tuple(event.get("alternatives", ())),
        ids=(event["id"],),
    )


def _cut(one: Airplay, from_utc_s: float, to_utc_s: float) -> Airplay:
    start_utc_s, end_utc_s = max(one.start_utc_s, from_utc_s), min(one.end_utc_s, to_utc_s)
    return replace(one, start_utc_s=start_utc_s, end_utc_s=end_utc_s, seconds=end_utc_s - start_utc_s)


def _join(first: Airplay, second: Airplay) -> Airplay:
    overlap_s = max(0.0, min(first.end_utc_s, second.end_utc_s) - second.start_utc_s)
    return replace(
        first,
        end_utc_s=max(first.end_utc_s, second.end_utc_s),
        seconds=first.seconds + second.seconds - overlap_s,
        reference=second.reference,
        confidence=min(first.confidence, second.confidence),
        usage=first.usage if first.usage == second.usage else "unknown",
        complete=first.complete or second.complete,
        ended=second.ended if second.end_utc_s >= first.end_utc_s else first.ended,
        alternatives=second.alternatives if first.alternatives else (),
        ids=first.ids + second.ids,
    )
