"""What the viewer sees: on a terminal a live table, elsewhere a line for everything that happens.

Knows rich and how to put things in words. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitor.demo.plan import Programme, clip_names
from monitor.demo.verdict import Line, Told, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One station at one moment."""

    programme: Programme
    at_s: float | None
    """Station time, or None before it is on air."""
    told: tuple[Told, ...]
    """What the monitor takes to be on air now."""

    @property
    def truth(self) -> str:
        """What really is on air, in words."""
        if self.at_s is None:
            return "not yet on air"
        round_s = self.at_s % self.programme.length_s
        spots = self.programme.on_air(round_s)
        voice = any(spot.at_s <= round_s < spot.end_s for spot in self.programme.voice)
        names = [clip_names([spot]) + ("" if spot.listed else " (in no catalogue)") for spot in spots]
        return " + ".join([*names, "a voice"] if voice else names) or "silence"

    @property
    def heard(self) -> str:
        """What the monitor says, in words."""
        return "\n".join(f"{item.artist}: {item.title} ({item.confidence:.0%})" for item in self.told) or "–"


class Screen:
    """Shows rows as they change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._last: dict[str, str] = {}

    def shown(self) -> AbstractContextManager[object]:
        """Keep the live table on the terminal while the context is open."""
        return self._live or nullcontext()

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, rows: Sequence[Row], remaining: str) -> None:
        """Show the stations as they are now."""
        if self._live is not None:
            table = Table(title=f"On air ({remaining})", title_justify="left", expand=True)
            for heading in ("station", "on air in truth", "the monitor says"):
                table.add_column(heading, ratio=1 if heading == "station" else 4)
            for row in rows:
                table.add_row(f"[bold]{row.programme.station}[/]\n[dim]{row.programme.about}[/]", Text(row.truth), Text(row.heard))
            self._live.update(table)
            return
        for row in rows:
            if row.truth != self._last.get(row.programme.station):
                self._last[row.programme.station] = row.truth
                self.say(f"  {row.programme.station:6} on air: {row.truth}")

    def heard(self, told: Told, *, first: bool, sent_utc_s: float) -> None:
        """Tell of an event where there is no table to show it in."""
        if self._live is None and (first or told.ended):
            from_s, to_s = told.start_utc_s - sent_utc_s, told.end_utc_s - sent_utc_s
            span = f"from {from_s:.1f} to {to_s:.1f} s" if told.ended else f"since {from_s:.1f} s"
            what = "taken back" if told.retracted else "ended" if told.ended else "heard"
            self.say(f"  {told.station:6} {what}:  {told.artist}: {told.title} {span} ({told.confidence:.0%})")

    def conclude(self, verdict: Verdict, sent_utc_s: dict[str, float]) -> None:
        """Print truth beside detection, and the sum of it."""
        self._console.print(_table(verdict, sent_utc_s))
        for told in verdict.false:
            at_s = told.start_utc_s - sent_utc_s[told.station]
            self.say(
                f"FALSE: on {told.station} at {at_s:.1f} s the monitor said {told.artist}: {told.title} ({told.confidence:.0%})"
            )
        listed = [line for line in verdict.lines if line.truth.listed]
        found = sum(line.found for line in listed)
        wrong = f" {len(verdict.wrong_times)} found with wrong times," if verdict.wrong_times else ""
        self.say(f"{found} of {len(listed)} plays found,{wrong} {len(verdict.missed)} missed, {len(verdict.false)} false.")


def _table(verdict: Verdict, sent_utc_s: dict[str, float]) -> Table:
    table = Table(title="Truth beside detection, seconds", title_justify="left")
    table.add_column("station")
    table.add_column("recording", overflow="fold")
    for heading in ("true start", "true end", "start error", "end error", "first told after"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for line in verdict.lines:
        begin = sent_utc_s[line.truth.station]
        table.add_row(
            line.truth.station,
            line.truth.clip.removesuffix(".opus"),
            f"{line.truth.start_utc_s - begin:.1f}",
            f"{line.truth.end_utc_s - begin:.1f}",
            _signed(line.start_error_s),
            _signed(line.end_error_s),
            "" if line.delay_s is None else f"{line.delay_s:.1f}",
            _judged(line),
        )
    return table


def _judged(line: Line) -> str:
    if line.wrong_times:
        return "[red]found, wrong times[/]"
    if line.found:
        return "[green]found[/]"
    return "[red]MISSED[/]" if line.truth.listed else "[green]in no catalogue, rightly not named[/]"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
