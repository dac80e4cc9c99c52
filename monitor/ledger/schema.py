"""The ledger's file: its tables, its numbers for states, and when it is not ours.

Knows SQL. Times are whole milliseconds of UTC, so that intervals touch exactly. `stretch` holds an account of touching intervals
for each station; `play` what is laid over it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from monitor.errors import LedgerError
from monitor.messages import AirState

APPLICATION_ID = 0x4D4F4E33
"""Marks the file as ours ("MON3")."""
VERSION = 1
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY})
"""What passes without anybody changing a setting."""
NUMBERS = {AirState.NOT_RECEIVED: 0, AirState.SHED: 1, AirState.SILENCE: 2, AirState.SPEECH: 3, AirState.MUSIC: 4}
"""How states are written; `matched` is not, it is laid over."""
STATES = {number: state for state, number in NUMBERS.items()}
TABLES = """
CREATE TABLE station (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE stretch (
    station INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
    state INTEGER NOT NULL,
    PRIMARY KEY (station, start_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE play (
    id TEXT PRIMARY KEY,
    station INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    on_air INTEGER NOT NULL,
    reference INTEGER NOT NULL,
    artist TEXT NOT NULL,
    title TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX play_when ON play (station, end_ms);
"""
RECKONED = "CREATE TABLE IF NOT EXISTS reckoned (only INTEGER PRIMARY KEY CHECK (only = 1), utc_s REAL NOT NULL) STRICT"
"""From when age was last counted (`core/retention.py`). Made where it is missing: a ledger of an older monitor has none."""


def prepare(path: Path, database: sqlite3.Connection, *, utc_s: float) -> None:
    """Make the tables where there are none, and check whose they are.

    Raises:
        LedgerError: They are not ours.
        sqlite3.Error: The file cannot be read or written.
    """
    if not _ours(path, database):
        database.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES} COMMIT;"
        )
    database.execute(RECKONED)
    # What is there was written by clocks that were believed then; a file that is new has nothing to lose.
    database.execute(
        "INSERT OR IGNORE INTO reckoned VALUES (1, min(?, coalesce((SELECT max(end_ms) / 1000.0 FROM stretch), ?)))", (utc_s, utc_s)
    )


def check(path: Path, database: sqlite3.Connection) -> None:
    """Check that the tables are there, and ours.

    Raises:
        LedgerError: They are not.
        sqlite3.Error: The file cannot be read.
    """
    if not _ours(path, database):
        raise LedgerError(f"ledger {path}: empty; has a monitor run with it?")


def _ours(path: Path, database: sqlite3.Connection) -> bool:
    application, version, tables = database.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    if tables and application != APPLICATION_ID:
        raise LedgerError(f"ledger {path}: the database of another program; change [ledger] path or move it away")
    if tables and version != VERSION:
        raise LedgerError(f"ledger {path}: made by another monitor (format {version}, not {VERSION}); move it away")
    return bool(tables)


def to_ms(seconds: float) -> int:
    """Return whole milliseconds."""
    return round(seconds * 1000)
