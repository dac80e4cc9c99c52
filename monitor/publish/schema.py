"""The outbox's file: its tables, its formats, and when it is not ours.

Knows SQL, and where in a payload stands what is looked for. Knows nothing of what is waiting for whom.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from pathlib import Path
from typing import Any

from monitor.errors import OutboxError
from monitor.publish import payload

APPLICATION_ID = 0x4D4F4E31
"""Marks the file as ours ("MON1")."""
VERSION = 2
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM})
"""What mends itself, as when somebody makes room. Making its shared-memory file, SQLite calls a full disk an I/O error."""
TABLES = """
CREATE TABLE station (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    stored_utc_s REAL NOT NULL,
    payload BLOB NOT NULL,
    delivered_utc_s REAL,
    play TEXT NOT NULL,
    start_utc_s REAL NOT NULL,
    end_utc_s REAL NOT NULL,
    UNIQUE (station, sequence)
) STRICT;
CREATE INDEX pending ON message (number) WHERE delivered_utc_s IS NULL;
CREATE INDEX delivered ON message (delivered_utc_s) WHERE delivered_utc_s IS NOT NULL;
"""
INDEXES = (
    "CREATE INDEX by_play ON message (play, number)",
    "CREATE INDEX by_time ON message (station, start_utc_s, end_utc_s)",
)
"""For `history.py`."""
ON_AIR = (
    "CREATE TABLE IF NOT EXISTS on_air (id TEXT PRIMARY KEY, station TEXT NOT NULL, payload BLOB NOT NULL) STRICT, WITHOUT ROWID"
)
"""Plays whose last message is not `ended`, and that message. Made where it is missing: an outbox of an older monitor has none."""
STORE = (
    "CREATE TABLE IF NOT EXISTS store"
    " (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL, reckoned_utc_s REAL NOT NULL) STRICT"
)
"""Which outbox this is, and from when age was last counted (`core/retention.py`). Made where it is missing, too."""


def prepare(path: Path, database: sqlite3.Connection, *, utc_s: float) -> None:
    """Make the tables where there are none, bring older ones to this format, and refuse those that are not ours.

    Raises:
        OutboxError: They are not ours.
        sqlite3.Error: The file cannot be read or written.
    """
    application, version, tables = database.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    if tables and application != APPLICATION_ID:
        raise OutboxError(f"outbox {path}: the database of another program; change [outbox] path or move it away")
    if tables and version not in {1, VERSION}:
        raise OutboxError(f"outbox {path}: made by another monitor (format {version}, not {VERSION}); move it away")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    if not tables:
        indexes = "".join(f"{index}; " for index in INDEXES)
        database.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES} {indexes} COMMIT;"
        )
    database.execute("BEGIN IMMEDIATE")
    database.execute(ON_AIR)
    if tables and version == 1:
        _upgrade(database)
    database.execute(STORE)
    # What is there was stored by clocks that were believed then; a file that is new has nothing to lose.
    database.execute(
        "INSERT OR IGNORE INTO store VALUES (1, ?, min(?, coalesce((SELECT max(delivered_utc_s) FROM message), ?)))",
        (secrets.token_hex(8), utc_s, utc_s),
    )
    database.execute("COMMIT")


def place(content: dict[str, Any]) -> tuple[str, float, float]:
    """Of which play an event speaks, and from when to when that is."""
    return content["id"], payload.seconds(content["start"]), payload.seconds(content["heard_until"])


def _upgrade(database: sqlite3.Connection) -> None:
    """Bring an outbox of format 1 to this one: what `history.py` looks for stood only within the payloads."""
    for column, kind in (
        ("play", "TEXT NOT NULL DEFAULT ''"),
        ("start_utc_s", "REAL NOT NULL DEFAULT 0"),
        ("end_utc_s", "REAL NOT NULL DEFAULT 0"),
    ):
        database.execute(f"ALTER TABLE message ADD COLUMN {column} {kind}")
    last = 0
    while rows := database.execute(
        "SELECT number, payload FROM message WHERE number > ? ORDER BY number LIMIT 1000", (last,)
    ).fetchall():
        database.executemany(
            "UPDATE message SET play = ?, start_utc_s = ?, end_utc_s = ? WHERE number = ?",
            [(*place(json.loads(text)), number) for number, text in rows],
        )
        last = rows[-1][0]
    for index in INDEXES:
        database.execute(index)
    database.execute(f"PRAGMA user_version = {VERSION}")
