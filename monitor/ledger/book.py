"""The ledger's file as the daemon writes it: one writer, each batch whole or not at all.

Hides SQLite. Knows intervals and plays; knows nothing of where they come from. The account of a station has no holes: each
write replaces its end, and what lies between its end and the first new interval becomes `not received`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.core.airtime import Interval
from monitor.core.retention import reckoned_s
from monitor.errors import LedgerError, LedgerUnwritable
from monitor.ledger import schema
from monitor.ledger.schema import NUMBERS, to_ms
from monitor.messages import AirState

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRow:
    """A play as the ledger keeps it."""

    play: str
    station: str
    start_s: float
    end_s: float
    on_air: bool
    """It may go on: it lasts to the end of the account."""
    reference: int
    artist: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is to be written at once."""

    stretches: Mapping[str, Sequence[Interval]]
    """By station: rising, touching; they replace everything from the first one's start on."""
    plays: Mapping[str, PlayRow | None]
    """By id; None: there was no such play."""


class Book:
    """The file, open for writing. Called by one thread at a time.

    Where there is no room for it just now, it is opened as soon as there is: until then it has no ends, and takes nothing.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float,
        utc_s: Callable[[], float] = time.time,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or make the file. Plays that a run that crashed left on air are over where they were last told.

        Raises:
            LedgerError: The file is not a ledger, is damaged, cannot be written, or is in use by another monitor.
        """
        self._path, self._keep_s, self._utc_s, self._now_s = path, keep_days * DAY_S, utc_s, now_s
        self._pruned_s = now_s()
        self._claim: int | None = None
        self._connection: sqlite3.Connection | None = None
        with contextlib.suppress(LedgerUnwritable):
            self._opened()

    def __repr__(self) -> str:
        return f"Book({self._path})"

    @property
    def _database(self) -> sqlite3.Connection:
        """The open file; whoever asks has opened it."""
        assert self._connection is not None
        return self._connection

    def _opened(self) -> None:
        """Open the file, if it is not.

        Raises:
            LedgerError: It cannot be used.
            LedgerUnwritable: There is no room for it just now.
        """
        if self._connection is not None:
            return
        path = self._path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            claim = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise LedgerUnwritable(f"ledger {path}: the disk is full; it works as soon as there is room") from error
            raise LedgerError(f"ledger {path}: {error.strerror}; make its folder writable or change [ledger] path") from error
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, claim)
            self._connection = self._open(claim)
            undo.pop_all()
        self._claim = claim

    def ends(self) -> dict[str, float]:
        """Return where each station's account ends, in seconds of UTC.

        Raises:
            LedgerError: The file is damaged.
            LedgerUnwritable: The disk did not answer.
        """
        if self._connection is None:
            return {}
        with self._mapped():
            rows = self._database.execute(
                "SELECT name, (SELECT max(end_ms) FROM stretch WHERE station = number) FROM station"
            ).fetchall()
        return {name: end_ms / 1000 for name, end_ms in rows if end_ms is not None}

    def write(self, batch: Batch) -> None:
        """Write a batch; when this returns it is on disk.

        Raises:
            LedgerUnwritable: The disk did not take it (full, say); nothing of it is written, what was written before still is.
            LedgerError: The file is damaged.
        """
        with self._transaction():
            for station, stretches in batch.stretches.items():
                self._splice(self._number(station), stretches)
            for play, row in batch.plays.items():
                if row is None:
                    self._database.execute("DELETE FROM play WHERE id = ?", (play,))
                else:
                    self._database.execute("INSERT OR REPLACE INTO play VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._values(row))

    def prune(self) -> None:
        """Forget what is older than `keep_days`. A clock that was set ahead makes nothing old at once (`core/retention.py`).

        Raises:
            LedgerUnwritable: The disk did not take it.
            LedgerError: The file is damaged.
        """
        now_s = self._now_s()
        with self._transaction():
            last_s = float(self._database.execute("SELECT utc_s FROM reckoned").fetchone()[0])
            moment_s = reckoned_s(last_s, now_s - self._pruned_s, self._utc_s())
            self._database.execute("UPDATE reckoned SET utc_s = ?", (moment_s,))
            before = to_ms(moment_s - self._keep_s)
            self._database.execute("DELETE FROM stretch WHERE end_ms < ?", (before,))
            self._database.execute("DELETE FROM play WHERE end_ms < ? AND NOT on_air", (before,))
        self._pruned_s = now_s

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        if self._claim is not None:
            os.close(self._claim)

    def _splice(self, station: int, stretches: Sequence[Interval]) -> None:
        """Replace the end of an account. Neighbours that are alike become one row."""
        rows = [(to_ms(one.start_s), to_ms(one.end_s), NUMBERS[one.state]) for one in stretches]
        rows = [row for row in rows if row[1] > row[0]]
        if not rows:
            return
        first = rows[0][0]
        self._database.execute("DELETE FROM stretch WHERE station = ? AND start_ms >= ?", (station, first))
        last = self._database.execute(
            "SELECT start_ms, end_ms, state FROM stretch WHERE station = ? ORDER BY start_ms DESC LIMIT 1", (station,)
        ).fetchone()
        if last is not None and last[1] < first:
            rows.insert(0, (last[1], first, NUMBERS[AirState.NOT_RECEIVED]))
        joined: list[tuple[int, int, int]] = [(last[0], min(last[1], first), last[2])] if last is not None else []
        for start, end, state in rows:
            if joined and joined[-1][2] == state and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], end, state)
            else:
                joined.append((start, end, state))
        self._database.executemany(
            "INSERT OR REPLACE INTO stretch VALUES (?, ?, ?, ?)", [(station, start, end, state) for start, end, state in joined]
        )

    def _number(self, station: str) -> int:
        self._database.execute("INSERT OR IGNORE INTO station (name) VALUES (?)", (station,))
        found = self._database.execute("SELECT number FROM station WHERE name = ?", (station,)).fetchone()
        return int(found[0])

    def _values(self, row: PlayRow) -> tuple[object, ...]:
        when = (to_ms(row.start_s), to_ms(max(row.end_s, row.start_s)))
        return (row.play, self._number(row.station), *when, int(row.on_air), row.reference, row.artist, row.title)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._opened()
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
            if error.sqlite_errorcode & 0xFF in schema.DAMAGED:
                raise LedgerError(damaged(self._path, error)) from error
            raise LedgerUnwritable(f"ledger {self._path}: {error}") from error

    def _open(self, claim: int) -> sqlite3.Connection:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LedgerError(f"ledger {self._path}: another monitor is using it; give each its own [ledger] path") from error
        try:
            database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            schema.prepare(self._path, database, utc_s=self._utc_s())
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("UPDATE play SET on_air = 0 WHERE on_air")
        except sqlite3.Error as error:
            database.close()
            raise self._unusable(error) from error
        except LedgerError:
            database.close()
            raise
        return database

    def _unusable(self, error: sqlite3.Error) -> LedgerError | LedgerUnwritable:
        code = error.sqlite_errorcode & 0xFF
        if code in schema.DAMAGED:
            return LedgerError(damaged(self._path, error))
        if code in schema.PASSING:
            return LedgerUnwritable(f"ledger {self._path}: {error}; is the disk full? It works as soon as there is room")
        return LedgerError(f"ledger {self._path}: {error}; make it and its folder writable or change [ledger] path")


def damaged(path: Path, why: object) -> str:
    """Say that a file is spoiled, and what to do."""
    return f"ledger {path}: damaged or not a ledger ({str(why).splitlines()[-1]}); move it away, the next start makes a new one"
