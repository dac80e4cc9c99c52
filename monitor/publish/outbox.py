"""Detections on disk until the broker has them, and some days longer.

Hides SQLite. Knows numbers, stations and bytes; knows nothing of brokers. What `put` returned from survives a power cut
(write-ahead log, synchronous FULL). A file that is not ours or is damaged is never touched: a person decides.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from monitor.errors import OutboxError, OutboxUnwritable
from monitor.facts import OutboxChanged, Tell
from monitor.messages import Detection, EventKind
from monitor.publish import payload

APPLICATION_ID = 0x4D4F4E31
"""Marks the file as ours ("MON1")."""
VERSION = 1
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
TABLES = """
CREATE TABLE station (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    stored_utc_s REAL NOT NULL,
    payload BLOB NOT NULL,
    delivered_utc_s REAL,
    UNIQUE (station, sequence)
) STRICT;
CREATE INDEX pending ON message (number) WHERE delivered_utc_s IS NULL;
CREATE INDEX delivered ON message (delivered_utc_s) WHERE delivered_utc_s IS NOT NULL;
"""
ON_AIR = (
    "CREATE TABLE IF NOT EXISTS on_air (id TEXT PRIMARY KEY, station TEXT NOT NULL, payload BLOB NOT NULL) STRICT, WITHOUT ROWID"
)
"""Plays whose last message is not `ended`, and that message. Made where it is missing: an outbox of an older monitor has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message that waits for the broker. Numbers rise in the order of `put`."""

    number: int
    station: str
    sequence: int
    payload: bytes


class DiskOutbox:
    """No limit but the disk, loses nothing, counts what waits (`OutboxChanged`). May be called from any thread."""

    def __init__(self, path: Path, *, keep_days: float, tell: Tell, utc_s: Callable[[], float] = time.time) -> None:
        """Open or make the file.

        Raises:
            OutboxError: The file is not an outbox, is damaged, cannot be written, or is in use by another monitor.
        """
        self._path = path
        self._keep_s = keep_days * 86400.0
        self._tell = tell
        self._utc_s = utc_s
        self._guard = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._claim = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxError(f"outbox {path}: {error.strerror}; make its folder writable or change [outbox] path") from error
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._claim)
            self._database = self._open()
            undo.callback(self._database.close)
            with self._mapped():
                counted = self._database.execute("SELECT count(*) FROM message WHERE delivered_utc_s IS NULL").fetchone()
                self._depth = int(counted[0])
                self._tell(OutboxChanged(depth=self._depth, oldest_utc_s=self._oldest()))
            undo.pop_all()

    def __repr__(self) -> str:
        """Say where it is and how much waits."""
        return f"DiskOutbox({self._path}, {self._depth} pending)"

    @property
    def depth(self) -> int:
        """How many messages wait for the broker."""
        return self._depth

    def put(self, detections: Sequence[Detection]) -> None:
        """Keep the detections; when this returns they are on disk. All or none.

        Raises:
            OutboxUnwritable: The disk did not take them (full, say); none of them is stored, what was stored before still is.
            OutboxError: The file is damaged.
        """
        if not detections:
            return
        with self._guard:
            with self._transaction():
                for detection in detections:
                    self._insert(detection)
                oldest = self._oldest()
            self._depth += len(detections)
            self._tell(OutboxChanged(depth=self._depth, oldest_utc_s=oldest))

    def end_left_over(self) -> int:
        """Put an `ended` for every play that an earlier run left on air, at the end last known of it; return how many.

        To be called before anything is put.

        Raises:
            OutboxUnwritable: The disk did not take them; the next call tries again.
            OutboxError: The file is damaged.
        """
        with self._guard:
            with self._transaction():
                left = self._database.execute("DELETE FROM on_air RETURNING station, payload").fetchall()
                for station, last in left:
                    self._store(station, partial(payload.ended, json.loads(last)))
                oldest = self._oldest()
            self._depth += len(left)
            self._tell(OutboxChanged(depth=self._depth, oldest_utc_s=oldest))
        return len(left)

    def stations(self) -> list[str]:
        """Return the stations that ever had a message.

        Raises:
            OutboxUnwritable: The disk did not answer.
            OutboxError: The file is damaged.
        """
        with self._guard, self._mapped():
            return [row[0] for row in self._database.execute("SELECT name FROM station ORDER BY name")]

    def pending(self, limit: int) -> list[Stored]:
        """Return the oldest messages that wait, in the order they were put, so in order of sequence for each station.

        Raises:
            OutboxUnwritable: The disk did not answer.
            OutboxError: The file is damaged.
        """
        query = "SELECT number, station, sequence, payload FROM message WHERE delivered_utc_s IS NULL ORDER BY number LIMIT ?"
        with self._guard, self._mapped():
            rows = self._database.execute(query, (limit,)).fetchall()
        return [Stored(number=row[0], station=row[1], sequence=row[2], payload=row[3]) for row in rows]

    def acknowledge(self, numbers: Sequence[int]) -> None:
        """Note that the broker has these messages.

        Raises:
            OutboxUnwritable: The disk did not take the note; the messages stay pending and will be sent again.
        """
        if not numbers:
            return
        now_s = self._utc_s()
        query = "UPDATE message SET delivered_utc_s = ? WHERE number = ? AND delivered_utc_s IS NULL"
        with self._guard:
            with self._transaction():
                done = self._database.executemany(query, [(now_s, number) for number in numbers]).rowcount
                oldest = self._oldest()
            self._depth -= done
            self._tell(OutboxChanged(depth=self._depth, oldest_utc_s=oldest))

    def prune(self) -> int:
        """Forget messages delivered longer ago than `keep_days`; return how many."""
        with self._guard, self._transaction():
            return self._database.execute("DELETE FROM message WHERE delivered_utc_s < ?", (self._utc_s() - self._keep_s,)).rowcount

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._guard:
            self._database.close()
            os.close(self._claim)

    def _insert(self, detection: Detection) -> None:
        text = self._store(detection.station, partial(payload.describe, detection))
        if detection.kind in {EventKind.ENDED, EventKind.RETRACTED}:
            self._database.execute("DELETE FROM on_air WHERE id = ?", (detection.id,))
        else:
            self._database.execute("INSERT OR REPLACE INTO on_air VALUES (?, ?, ?)", (detection.id, detection.station, text))

    def _store(self, station: str, describe: Callable[..., dict[str, Any]]) -> bytes:
        """Write a message under the station's next sequence number; return it."""
        row = self._database.execute(
            "INSERT INTO station VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET sequence = sequence + 1 RETURNING sequence",
            (station,),
        ).fetchone()
        text = payload.encode(describe(sequence=row[0]))
        self._database.execute(
            "INSERT INTO message (station, sequence, stored_utc_s, payload) VALUES (?, ?, ?, ?)",
            (station, row[0], self._utc_s(), text),
        )
        return text

    def _oldest(self) -> float | None:
        query = "SELECT stored_utc_s FROM message WHERE delivered_utc_s IS NULL ORDER BY number LIMIT 1"
        oldest = self._database.execute(query).fetchone()
        return float(oldest[0]) if oldest else None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mapped():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite itself rolls back on some errors, a full disk among them
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in DAMAGED:
                raise OutboxError(_damaged(self._path, error)) from error
            raise OutboxUnwritable(f"outbox {self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutboxError(f"outbox {self._path}: another monitor is using it; give each its own [outbox] path") from error
        try:
            database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            self._prepare(database)
        except sqlite3.Error as error:
            database.close()
            raise self._unusable(error) from error
        except OutboxError:
            database.close()
            raise
        return database

    def _unusable(self, error: sqlite3.Error) -> OutboxError:
        if error.sqlite_errorcode & 0xFF in DAMAGED:
            return OutboxError(_damaged(self._path, error))
        return OutboxError(f"outbox {self._path}: {error}; make it and its folder writable or change [outbox] path")

    def _prepare(self, database: sqlite3.Connection) -> None:
        application, version, tables = database.execute(
            "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
            " (SELECT count(*) FROM sqlite_schema)"
        ).fetchone()
        if tables and application != APPLICATION_ID:
            raise OutboxError(f"outbox {self._path}: the database of another program; change [outbox] path or move it away")
        if tables and version != VERSION:
            raise OutboxError(f"outbox {self._path}: made by another monitor (format {version}, not {VERSION}); move it away")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if not tables:
            database.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES} COMMIT;"
            )
        database.execute("BEGIN IMMEDIATE")
        database.execute(ON_AIR)
        database.execute("COMMIT")


def _damaged(path: Path, why: object) -> str:
    return f"outbox {path}: damaged or not an outbox ({str(why).splitlines()[-1]}); move it away, it holds undelivered detections"
