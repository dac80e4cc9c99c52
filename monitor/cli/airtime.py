"""`monitor airtime`: what a station's airtime was, and whether the monitor listened."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.errors import Permanent

if TYPE_CHECKING:
    from monitor.core.airtime import Interval
    from monitor.ledger.reading import Airtime
    from monitor.messages import AirState

LISTENED_S = 0.5
"""Not listening for no longer than this in all is listening: it is what the account is good to."""
GAPS_SHOWN = 20


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "airtime",
        help="say what a station's airtime was, and whether the monitor listened",
        description=f"{__doc__} Exit status: 0 it listened all the time, 1 it did not.",
    )
    parser.add_argument("station", metavar="STATION")
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-11-21, 2026-11-21T14:30 (default: today)")
    parser.add_argument(
        "--to", dest="end", metavar="TIME", help="the same; a day means up to its end (default: as far as is written)"
    )
    parser.add_argument("--tz", default="UTC", help="time zone of all times, Europe/Berlin say (default: %(default)s)")
    parser.add_argument("--format", choices=("table", "csv", "json", "png"), default="table", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file to write (default: standard output; for png STATION-DAY.png)")
    parser.add_argument("-c", "--config", type=Path, default=Path("config.toml"), help="(default: %(default)s)")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="the ledger, instead of the configured one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell. 0: the monitor listened all the time; 1: it did not."""
    from monitor import config
    from monitor.ledger.reading import read, written

    path = arguments.ledger or config.load(arguments.config).ledger.path
    zone = _zone(arguments.tz)
    last_s = written(path, arguments.station)
    today = datetime.fromtimestamp(last_s, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    start_s = _moment(arguments.start, zone, of_day=timedelta(0)) if arguments.start else today.timestamp()
    end_s = _moment(arguments.end, zone, of_day=timedelta(days=1)) if arguments.end else max(last_s, start_s)
    if end_s <= start_s:
        raise Permanent(f"there is nothing from {_told(start_s, zone)} to {_told(end_s, zone)}; --to must be later than --from")
    airtime = read(path, arguments.station, start_s, end_s)
    if arguments.format == "png":
        from monitor.cli.airtime_picture import draw

        out = arguments.out or Path(f"{airtime.station}-{datetime.fromtimestamp(start_s, zone):%Y-%m-%d}.png")
        draw(airtime, zone, out)
        print(out)
    else:
        text = {"table": _table, "csv": _csv, "json": _json}[arguments.format](airtime, zone)
        if arguments.out:
            arguments.out.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    return 0 if missed_s(airtime) <= LISTENED_S else 1


def missed_s(airtime: Airtime) -> float:
    """Return for how long the monitor did not listen, in seconds."""
    return sum(gap.seconds for gap in _gaps(airtime))


def verdict(airtime: Airtime) -> str:
    """Answer "did we listen then?" in one line."""
    length_s, missed = airtime.end_s - airtime.start_s, missed_s(airtime)
    if missed <= LISTENED_S:
        return "listened all the time"
    if missed >= length_s - LISTENED_S:
        return "did not listen at all"
    return f"listened {100 * (1 - missed / length_s):.2f} % of the time; {_length(missed)} not"


def _gaps(airtime: Airtime) -> list[Interval]:
    from monitor.messages import AirState

    return [one for one in airtime.intervals if one.state in (AirState.NOT_RECEIVED, AirState.SHED)]


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Permanent(f"no time zone is called {name!r}; use UTC or a name such as Europe/Berlin") from error


def _moment(text: str, zone: tzinfo, *, of_day: timedelta) -> float:
    """Read a time: one without an offset is of the zone, a day alone stands for its beginning and `of_day` more.

    Raises:
        Permanent: It is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Permanent(f"{text!r} is no time; write 2026-11-21 or 2026-11-21T14:30:00") from error
    if len(text) <= len("2026-11-21"):
        moment += of_day  # before the zone is put on: a day with a change of clocks has 23 or 25 hours
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _told(seconds: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(round(seconds, 3), zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _length(seconds: float) -> str:
    whole, tenths = divmod(round(seconds * 10), 10)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{tenths}"


def _sums(airtime: Airtime) -> dict[AirState, float]:
    from monitor.core.airtime import totals

    return totals(airtime.intervals)


def _table(airtime: Airtime, zone: tzinfo) -> str:
    length_s = airtime.end_s - airtime.start_s
    lines = [f"{airtime.station}, {_told(airtime.start_s, zone)} to {_told(airtime.end_s, zone)}: {verdict(airtime)}"]
    lines += [
        f"  {state.value.replace('_', ' '):<12}  {_length(seconds):>12}  {100 * seconds / length_s:6.2f} %"
        for state, seconds in _sums(airtime).items()
    ]
    gaps = _gaps(airtime)
    lines += [
        f"  {gap.state.value.replace('_', ' '):<12}  {_length(gap.seconds):>12}  from {_told(gap.start_s, zone)}"
        for gap in gaps[:GAPS_SHOWN]
    ]
    if len(gaps) > GAPS_SHOWN:
        lines.append(f"  and {len(gaps) - GAPS_SHOWN} more; --format csv lists all")
    if airtime.end_s > airtime.written_s:
        lines.append(f"  written up to {_told(airtime.written_s, zone)}; a running monitor is some seconds behind")
    return "\n".join(lines) + "\n"


def _csv(airtime: Airtime, zone: tzinfo) -> str:
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("start", "end", "seconds", "state", "play", "artist", "title"))
    plays = {play.play: play for play in airtime.plays}
    for one in airtime.intervals:
        play = plays.get(one.play)
        who: Sequence[str] = (one.play, play.artist, play.title) if play else ("", "", "")
        writer.writerow((_told(one.start_s, zone), _told(one.end_s, zone), f"{one.seconds:.3f}", one.state.value, *who))
    return out.getvalue()


def _json(airtime: Airtime, zone: tzinfo) -> str:
    content = {
        "station": airtime.station,
        "from": _told(airtime.start_s, zone),
        "to": _told(airtime.end_s, zone),
        "written_until": _told(airtime.written_s, zone),
        "listened": missed_s(airtime) <= LISTENED_S,
        "seconds": {state.value: round(seconds, 3) for state, seconds in _sums(airtime).items()},
        "intervals": [
            {
                "start": _told(one.start_s, zone),
                "end": _told(one.end_s, zone),
                "state": one.state.value,
                **({"play": one.play} if one.play else {}),
            }
            for one in airtime.intervals
        ],
        "plays": [
            {
                "id": play.play,
                "start": _told(play.start_s, zone),
                "end": None if play.on_air else _told(play.end_s, zone),
                "reference_id": play.reference,
                "artist": play.artist,
                "title": play.title,
            }
            for play in airtime.plays
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
