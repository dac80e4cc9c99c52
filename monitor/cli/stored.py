"""What the commands that read stored events make of their arguments: which file, which stations, from when to when."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.publish.history import History

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From when to when, and in which time zone it is told."""

    from_utc_s: float
    to_utc_s: float
    zone: tzinfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which outbox, stations and period."""
    add_outbox_arguments(parser)
    parser.add_argument("--station", action="append", default=[], metavar="NAME", help="may be repeated (default: all)")
    parser.add_argument("--from", dest="begin", metavar="TIME", help="2026-11-21 or 2026-11-21T06:30 (default: a day before --to)")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the same; a day means up to its end (default: now)")
    parser.add_argument(
        "--tz", metavar="ZONE", help="time zone of --from, --to and of what is printed, Europe/Zurich say (default: UTC)"
    )


def add_outbox_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which outbox."""
    parser.add_argument("-c", "--config", type=Path, default=Path("config.toml"), help="where the outbox is (default: %(default)s)")
    parser.add_argument("--outbox", type=Path, metavar="FILE", help="the outbox itself, instead of the one of the configuration")


def open_history(arguments: argparse.Namespace) -> History:
    """Open the outbox to read.

    Raises:
        ConfigError: The configuration cannot be used.
        OutboxError: The outbox cannot be read.
    """
    from monitor.publish.history import History

    if arguments.outbox is not None:
        return History(arguments.outbox)
    from monitor import config

    return History(config.load(arguments.config).outbox.path)


def stations(history: History, asked: Sequence[str]) -> list[str]:
    """Return the stations that are asked for, all when none is.

    Raises:
        ConfigError: One of them never had an event.
    """
    known = history.stations()
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ConfigError(f"--station {', '.join(unknown)}: no events are stored; there are some of {', '.join(known) or 'none'}")
    return list(dict.fromkeys(asked)) or known


def period(arguments: argparse.Namespace, *, now_utc_s: float | None = None) -> Period:
    """Return the period that is asked for.

    Raises:
        ConfigError: A time or the time zone cannot be read, or the end does not come after the beginning.
    """
    try:
        zone = ZoneInfo(arguments.tz or "UTC")
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"--tz {arguments.tz}: no such time zone; write it as Europe/Zurich") from error
    to_utc_s = _instant("--to", arguments.end, zone, of_day=timedelta(days=1)) if arguments.end else now_utc_s or time.time()
    from_utc_s = _instant("--from", arguments.begin, zone) if arguments.begin else to_utc_s - DAY_S
    if from_utc_s >= to_utc_s:
        raise ConfigError("--to does not come after --from")
    return Period(from_utc_s=from_utc_s, to_utc_s=to_utc_s, zone=zone)


def _instant(option: str, text: str, zone: tzinfo, *, of_day: timedelta = timedelta()) -> float:
    """Read a time; a day alone stands for its beginning and `of_day` more."""
    try:
        found = datetime.fromisoformat(text)
        if len(text) <= len("2026-11-21"):
            found += of_day  # before the zone is put on: a day with a change of clocks has 23 or 25 hours
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{option} {text}: no time; write 2026-11-21 or 2026-11-21T06:30") from error
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
