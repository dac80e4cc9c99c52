"""`monitor report`: what was on air, as a list for people and collecting societies. A running monitor does not notice."""

from __future__ import annotations

import argparse
import itertools
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from monitor.cli import stored
from monitor.errors import ReportError
from monitor.report.layouts import LAYOUTS


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("report", help="list what was on air, for a period and in a layout", description=__doc__)
    stored.add_arguments(parser)
    about = "; ".join(f"{layout.name}: {layout.about}" for layout in LAYOUTS.values())
    parser.add_argument("--layout", choices=tuple(LAYOUTS), default="plays", help=f"{about} (default: %(default)s)")
    parser.add_argument("--format", choices=("csv", "xlsx"), help="(default: by the ending of --out, csv without)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="(default: standard output)")
    parser.add_argument(
        "--merge-gap",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="plays of one recording no further apart count as one, with the sum of their seconds (default: %(default)g)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report."""
    from monitor.report import files
    from monitor.report.airplay import airplays

    when, layout = stored.period(arguments), LAYOUTS[arguments.layout]
    form = arguments.format or ("xlsx" if arguments.out and arguments.out.suffix.lower() == ".xlsx" else "csv")
    if form == "xlsx" and arguments.out is None and sys.stdout.isatty():
        raise ReportError("XLSX is no text; name a file with --out")
    if arguments.merge_gap < 0:
        raise ReportError("--merge-gap: must not be negative")
    with stored.open_history(arguments) as history:
        names = stored.stations(history, arguments.station)
        span = (when.from_utc_s, when.to_utc_s)
        each = [airplays(history.plays([name], *span), *span, merge_gap_s=arguments.merge_gap) for name in names]
        since_utc_s = history.whole_since()
    found = sorted(itertools.chain(*each), key=lambda one: (one.start_utc_s, one.station))
    rows = layout.rows(found, when.zone)
    try:
        if form == "xlsx":
            totals = LAYOUTS["totals"]
            content = files.xlsx(layout, rows, (totals, totals.rows(found, when.zone)))
            if arguments.out is None:
                sys.stdout.buffer.write(content)
            else:
                arguments.out.write_bytes(content)
        elif arguments.out is None:
            files.write_csv(layout, rows, sys.stdout)
        else:
            with arguments.out.open("w", encoding="utf-8", newline="") as out:
                files.write_csv(layout, rows, out)
    except OSError as error:
        if arguments.out is None:
            raise
        raise ReportError(f"{arguments.out}: cannot be written: {error.strerror}") from error
    on_air = sum(not one.ended for one in found)
    seconds = sum(one.seconds for one in found)
    recordings = len({one.reference["id"] for one in found})
    note = f"; {on_air} still on air, counted as far as heard" if on_air else ""
    print(f"{len(found)} plays of {recordings} recordings on {len(names)} stations, {seconds:.0f} s{note}", file=sys.stderr)
    if since_utc_s is not None and since_utc_s > when.from_utc_s:
        before = datetime.fromtimestamp(min(since_utc_s, when.to_utc_s), when.zone)
        print(
            f"monitor: not all that was on air before {before:%Y-%m-%dT%H:%M} is stored any more (keep_days, max_mb of [outbox])",
            file=sys.stderr,
        )
    return 0
