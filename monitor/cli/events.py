"""`monitor events`: what was said of each play, as it is stored. A running monitor does not notice."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from monitor.cli import stored

if TYPE_CHECKING:
    from monitor.publish.history import Event

COLUMNS = (
    *(
        "station",
        "sequence",
        "type",
        "id",
        "start",
        "end",
        "heard_until",
        "stored",
        "delivered",
        "artist",
        "title",
        "album",
        "isrc",
    ),
    *("reference_id", "reference_start_s", "reference_end_s", "confidence", "score", "speed", "uncertainty_s", "usage", "complete"),
)


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("events", help="list the stored events", description=__doc__)
    stored.add_arguments(parser)
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="json: one payload a line, as it was published (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List them."""
    when = stored.period(arguments)
    with stored.open_history(arguments) as history:
        names = stored.stations(history, arguments.station)
        events = history.events(names, when.from_utc_s, when.to_utc_s)
        if arguments.format == "json":
            for event in events:
                print(json.dumps(event.content, ensure_ascii=False))
        elif arguments.format == "csv":
            writer = csv.DictWriter(sys.stdout, COLUMNS)
            writer.writeheader()
            writer.writerows(_row(event, when.zone) for event in events)
        else:
            _print_table(events, when.zone)
    return 0


def _row(event: Event, zone: tzinfo) -> dict[str, Any]:
    content, who = event.content, event.content["reference"]
    times = {name: _local(content[name], zone) for name in ("start", "end", "heard_until")}
    kept = {"stored": event.stored_utc_s, "delivered": event.delivered_utc_s}
    return {
        **{name: content.get(name, "") for name in COLUMNS},
        **{name: who[name] for name in ("artist", "title", "album", "isrc")},
        **times,
        **{name: _moment(at_s, zone) for name, at_s in kept.items()},
        "reference_id": who["id"],
    }


def _print_table(events: Iterator[Event], zone: tzinfo) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("station", "no.", "type", "start", "end", "recording", "confidence", "delivered"):
        table.add_column(name, justify="right" if name in {"no.", "confidence"} else "left", overflow="fold")
    for event in events:
        row = _row(event, zone)
        name = f"{row['artist']} – {row['title']}" if row["artist"] else row["title"]
        end = row["end"] or f"({row['heard_until'][11:19]})"
        cells = (
            *(
                row["station"],
                str(row["sequence"]),
                row["type"],
                row["start"][:19].replace("T", " "),
                end[11:19] if row["end"] else end,
            ),
            *(name, f"{row['confidence']:.0%}", row["delivered"][11:19] or "waits"),
        )
        table.add_row(*(Text(cell) for cell in cells))
    if not table.row_count:
        print("no events are stored of that time", file=sys.stderr)
        return
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def _local(text: str | None, zone: tzinfo) -> str:
    return datetime.fromisoformat(text).astimezone(zone).isoformat(timespec="milliseconds") if text else ""


def _moment(utc_s: float | None, zone: tzinfo) -> str:
    return datetime.fromtimestamp(utc_s, zone).isoformat(timespec="seconds") if utc_s is not None else ""
