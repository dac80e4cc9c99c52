"""How the catalogue is shown: as a table to people, as JSON lines or CSV to programs.

Knows columns and terminals. Knows nothing of arguments or files.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from monitor.catalog.ingest import FileDone, Outcome
from monitor.catalog.store import Entry
from monitor.messages import Kinship


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def plain(value: object) -> str:
    """Return a value as text that cannot steer a terminal, whatever stood in a file's tags."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value))


def clock(seconds: float) -> str:
    """Return a duration as 1:02:03 or 4:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def same_sound(kin: Sequence[Kinship], hop_s: float) -> list[dict[str, Any]]:
    """Return what a program is told of the stretches a reference shares with others."""
    return [
        {
            "id": one.other_id,
            "start_s": round(one.start * hop_s, 1),
            "end_s": round((one.stop + 1) * hop_s, 1),
            "other_start_s": round(one.other_start * hop_s, 1),
        }
        for one in kin
    ]


def record(entry: Entry) -> dict[str, Any]:
    """Return what a program is told of a reference."""
    who = entry.reference
    return {
        "id": who.id,
        "path": who.path,
        "title": who.title,
        "artist": who.artist,
        "album": who.album,
        "isrc": who.isrc,
        "duration_s": round(who.duration_s, 3),
        "fingerprints": entry.hops,
        "added_utc": entry.added_utc,
        "custom": who.custom,
    }


def print_records(records: Sequence[Mapping[str, Any]], form: Format) -> None:
    """Print one JSON object a line, or a CSV in which each custom column is a column of its own."""
    if form is Format.JSON:
        for one in records:
            print(json.dumps(one, ensure_ascii=False))
        return
    flat = [{**{key: value for key, value in one.items() if key != "custom"}, **one.get("custom", {})} for one in records]
    columns = list(dict.fromkeys(key for one in flat for key in one))
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def print_list(entries: Iterable[Entry], kin: Mapping[int, Sequence[Kinship]]) -> None:
    """Print references as a table, each with those that it shares sound with."""
    table = Table("id", "artist", "title", "album", "ISRC", "length", "same sound in", box=None, header_style="bold")
    table.columns[0].justify = table.columns[5].justify = "right"
    for entry in entries:
        who = entry.reference
        length = clock(who.duration_s) if entry.hops else "no fingerprints"
        alike = ", ".join(map(str, sorted({one.other_id for one in kin.get(who.id, ())})))
        table.add_row(*(Text(plain(cell)) for cell in (who.id, who.artist, who.title, who.album, who.isrc, length, alike)))
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        print(f"{name.replace('_', ' '):{width}}  {plain(value)}")


@dataclass
class Watch:
    """A progress bar, and a line for each file that something is to be said about."""

    total: int
    verb: str
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    sound_s: float = 0.0
    noted: int = 0

    def __post_init__(self) -> None:
        console = Console(stderr=True)
        pace = TextColumn("{task.fields[pace]}")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), pace)
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, *times, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(self.verb, total=self.total, pace="")

    def __enter__(self) -> Watch:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def done(self, file: FileDone) -> None:
        """Count a file, and say what there is to say about it."""
        self.counts[file.outcome] += 1
        if file.outcome is Outcome.ADDED:
            self.sound_s += file.duration_s
        for note in file.notes:
            refused = "refused: " if file.outcome is Outcome.REFUSED else ""
            self.say(f"{file.path}: {refused}{note}")
        elapsed_s = self._bar.tasks[self._task].elapsed or 0.0
        pace = f"{self.sound_s / elapsed_s:.0f} x real time" if elapsed_s > 1 and self.sound_s else ""
        self._bar.update(self._task, advance=1, pace=pace)

    def say(self, line: str) -> None:
        """Report something a person should see; it makes the exit code 1."""
        self.noted += 1
        self._bar.console.print(Text(plain(line)), soft_wrap=True)

    def summary(self) -> str:
        """Say what became of the files."""
        parts = [f"{count} {outcome}" for outcome, count in self.counts.items() if count or outcome is Outcome.ADDED]
        names = {Outcome.PRESENT: "already there", Outcome.UPDATED: "with new names"}
        return ", ".join(parts).replace("present", names[Outcome.PRESENT]).replace("updated", names[Outcome.UPDATED])
