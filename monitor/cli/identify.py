"""`monitor identify`: what is in recordings, faster than real time."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.cli.common import add_catalog_arguments, settings_and_catalog

if TYPE_CHECKING:
    from monitor.messages import Play, Reference

COLUMNS = (
    *("file", "start_s", "end_s", "reference_id", "path", "title", "artist", "isrc", "reference_start_s", "reference_end_s"),
    *("confidence", "score", "speed"),
)


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("identify", help="list what is known in files or URLs", description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="FILE|URL")
    add_catalog_arguments(parser)
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="json: one object a line (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Identify. 0: every target was read to its end; 1: some were not, or only in part."""
    from monitor.capture.ffmpeg import decode
    from monitor.errors import NotAudio
    from monitor.identify import Identifier

    settings, folder = settings_and_catalog(arguments)
    identifier = Identifier(settings, folder)
    writer = _Writer(arguments.format)
    status = 0
    for target in arguments.targets:
        try:
            with decode(target, identifier.recipe) as sound:
                for play in identifier.plays(target, sound):
                    writer.write(target, play, identifier.reference(play))
            writer.heard = True
            if sound.truncated:
                why = sound.complaint or "shorter than declared"
                raise NotAudio(f"{target}: broke off after {sound.seconds:.0f} s ({why}); fetch it again")
        except NotAudio as error:
            print(f"monitor: {error}", file=sys.stderr)
            status = 1
    writer.close()
    return status


def record(target: str, play: Play, reference: Reference) -> dict[str, Any]:
    """Return one detection as the JSON object that is promised."""
    return {
        "file": target,
        "start_s": round(play.start_s, 2),
        "end_s": round(play.end_s, 2),
        "reference": {
            "id": reference.id,
            "path": reference.path,
            "title": reference.title,
            "artist": reference.artist,
            "isrc": reference.isrc,
            "duration_s": round(reference.duration_s, 2),
        },
        "reference_start_s": round(play.reference_start_s, 2),
        "reference_end_s": round(play.reference_end_s, 2),
        "confidence": round(play.confidence, 4),
        "score": round(play.score, 3),
        "speed": round(play.speed, 4),
    }


class _Writer:
    """Prints detections file by file; a table only at the end."""

    def __init__(self, form: str) -> None:
        self.heard = False
        """Whether any target gave sound."""
        self._form = form
        self._rows: list[dict[str, Any]] = []
        self._csv = csv.writer(sys.stdout)
        if form == "csv":
            self._csv.writerow(COLUMNS)

    def write(self, target: str, play: Play, reference: Reference) -> None:
        """Take one detection."""
        content = record(target, play, reference)
        if self._form == "json":
            print(json.dumps(content, ensure_ascii=False), flush=True)
            return
        who = content.pop("reference")
        row = {**content, **who, "reference_id": who["id"]}
        if self._form == "csv":
            self._csv.writerow([row[column] for column in COLUMNS])
        else:
            self._rows.append(row)

    def close(self) -> None:
        """Print the table, if it is to be one."""
        if self._form != "table":
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        if not self._rows:
            if self.heard:
                print("nothing known was heard")
            return
        table = Table()
        for column, justify in (("file", "left"), ("from", "right"), ("to", "right"), ("recording", "left"), ("its part", "right")):
            table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for column in ("speed", "confidence"):
            table.add_column(column, justify="right")
        for row in self._rows:
            name = f"{row['artist']} – {row['title']}" if row["artist"] else row["title"] or Path(row["path"]).name
            part = f"{clock(row['reference_start_s'])}–{clock(row['reference_end_s'])}"
            table.add_row(
                escape(Path(row["file"]).name),
                clock(row["start_s"]),
                clock(row["end_s"]),
                escape(name),
                part,
                f"{row['speed']:.3f}",
                f"{row['confidence']:.3f}",
            )
        Console().print(table)


def clock(seconds: float) -> str:
    """Write seconds as h:mm:ss.t."""
    whole, tenths = divmod(round(seconds * 10), 10)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{tenths}"
