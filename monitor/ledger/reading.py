"""The ledger's file as anybody reads it, while the daemon runs or after: never written, never locked against the writer.

Hides SQLite. Knows one station and one window of UTC.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from monitor.core.airtime import Interval, Span, cut, overlay
from monitor.errors import LedgerError, Transient
from monitor.ledger import schema
from monitor.ledger.book import PlayRow, damaged
from monitor.ledger.schema import STATES, to_ms

_MARK = slice(68, 72)
"""Where an SQLite file holds its application id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Airtime:
    """What a window of a station's airtime was."""

    station: str
    start_s: float
    end_s: float
    written_s: float
    """Up to here the ledger is written; what lies after it is not decided yet, or the daemon does not run."""
    intervals: tuple[Interval, ...]
    """Of exactly the window: rising, touching, plays laid over."""
    plays: tuple[PlayRow, ...]
    """Those that reach into the window, by start."""


def read(path: Path, station: str, start_s: float, end_s: float) -> Airtime:
    """Read what [start_s, end_s) of a station was; what is not written was not received.

    Raises:
        LedgerError: There is no such ledger or station, or it cannot be read.
    """
    with _opened(path) as database:
        number, written_s = _find(path, database, station)
        window = (number, to_ms(start_s), to_ms(end_s))
        # The row that the window begins in starts before it: found by its own key, since rows touch.
        rows = database.execute(
            "SELECT start_ms, end_ms, state FROM stretch WHERE station = ?1 AND start_ms < ?3 AND start_ms >="
            " coalesce((SELECT max(start_ms) FROM stretch WHERE station = ?1 AND start_ms <= ?2), ?2) ORDER BY start_ms",
            window,
        ).fetchall()
        plays = database.execute(
            "SELECT id, start_ms, end_ms, on_air, reference, artist, title FROM play"
            " WHERE station = ?1 AND (end_ms > ?2 OR on_air) AND start_ms < ?3 ORDER BY start_ms, id",
            window,
        ).fetchall()
    told = tuple(
        PlayRow(
            play=play,
            station=station,
            start_s=start / 1000,
            end_s=max(end / 1000, written_s) if on_air else end / 1000,
            on_air=bool(on_air),
            reference=reference,
            artist=artist,
            title=title,
        )
        for play, start, end, on_air, reference, artist, title in plays
    )
    account = [Interval(start_s=start / 1000, end_s=end / 1000, state=STATES[state]) for start, end, state in rows]
    spans = [Span(play=play.play, start_s=play.start_s, end_s=play.end_s) for play in told]
    return Airtime(
        station=station,
        start_s=start_s,
        end_s=end_s,
        written_s=written_s,
        intervals=tuple(overlay(cut(account, start_s, end_s), spans)),
        plays=told,
    )


def look_at(path: Path) -> str:
    """Say how a ledger would be opened by this user; make no file and take no lock.

    Raises:
        LedgerError: It could not; the message says what to do.
    """
    if path.exists():
        if not os.access(path, os.R_OK | os.W_OK):
            raise LedgerError(f"{path}: not writable for this user")
        if not path.is_file() or _application(path) != schema.APPLICATION_ID:
            raise LedgerError(f"{path}: is no ledger; change [ledger] path or move it away")
        return f"{path}"
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerError(f"{folder}: not a folder this user may write in; change [ledger] path or its owner")
    return f"{path}, to be made"


def written(path: Path, station: str) -> float:
    """Return up to which second of UTC a station's account is written.

    Raises:
        LedgerError: There is no such ledger or station, or it cannot be read.
    """
    with _opened(path) as database:
        return _find(path, database, station)[1]


def _find(path: Path, database: sqlite3.Connection, station: str) -> tuple[int, float]:
    """Return a station's number and where its account ends."""
    found = database.execute(
        "SELECT number, max(end_ms) FROM station JOIN stretch ON station = number WHERE name = ? GROUP BY number", (station,)
    ).fetchone()
    if found is None:
        names = ", ".join(row[0] for row in database.execute("SELECT name FROM station ORDER BY name")) or "none"
        raise LedgerError(f"ledger {path}: nothing is written of a station {station!r}; there are: {names}")
    return int(found[0]), found[1] / 1000


def _application(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(100)[_MARK], "big")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open for reading, in one snapshot.

    Raises:
        LedgerError: It cannot be read.
    """
    if not path.is_file():
        raise LedgerError(f"ledger {path}: no such file; has a monitor run with this configuration?")
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    if not path.with_name(path.name + "-wal").exists():
        address += "&immutable=1"  # nobody writes, and SQLite would want to make a file beside it, in a folder that may not be ours
    database: sqlite3.Connection | None = None
    try:
        database = sqlite3.connect(address, uri=True, timeout=5.0, isolation_level=None)
        schema.check(path, database)
        database.execute("BEGIN")
        yield database
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in schema.DAMAGED:
            raise LedgerError(damaged(path, error)) from error
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise Transient(f"ledger {path}: busy; try again") from error
        raise LedgerError(f"ledger {path}: {error}; may you read it and its folder?") from error
    finally:
        if database is not None:
            database.close()
