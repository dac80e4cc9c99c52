"""Detections on disk until the broker has them, and some days longer: the one place where they are kept.

Hides SQLite. Knows numbers, stations and bytes; knows nothing of brokers. What `put` returned from survives a power cut
(write-ahead log, synchronous FULL). A file that is not ours or is damaged is never touched: a person decides. Who only wants to
read what is kept, beside a running monitor, uses `history.py`.

The disk it takes is bounded. What is delivered goes first, oldest first: after `keep_days`, or sooner when the file fills more
than `HISTORY_SHARE` of its budget. What waits goes only when it fills the whole budget by itself, oldest first, each counted as
lost.
"""

from __future__ import annotations

import contextlib
import errno
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

from monitor.core.retention import reckoned_s
from monitor.errors import OutboxError, OutboxUnwritable
from monitor.facts import DetectionsLost, OutboxChanged, Tell
from monitor.messages import Detection, EventKind
from monitor.publish import payload, schema

HISTORY_SHARE = 0.5
"""Of the budget, that delivered messages may fill; the rest is for days without a broker, so a fuller outbox is a sign of those."""
PRUNED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message that waits for the broker. Numbers rise in the order of `put`."""

    number: int
    station: str
    sequence: int
    payload: bytes


class DiskOutbox:
    """At most `max_mb` on disk, oldest go first, delivered before waiting (`DetectionsLost`); counts what waits (`OutboxChanged`).

    May be called from any thread.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float,
        tell: Tell,
        max_mb: float = 4096.0,
        utc_s: Callable[[], float] = time.time,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or make the file.

        Raises:
            OutboxError: The file is not an outbox, is damaged, may not be written, or is in use by another monitor.
            OutboxUnwritable: The disk is full; a later attempt may work.
        """
        self._path = path
        self._keep_s = keep_days * 86400.0
        self._budget_bytes = round(max_mb * 1e6)
        self._tell = tell
        self._utc_s, self._now_s = utc_s, now_s
        self._pruned_s = now_s()
        self._guard = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._claim = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise OutboxUnwritable(f"outbox {path}: the disk is full; it works as soon as there is room") from error
            raise OutboxError(f"outbox {path}: {error.strerror}; make its folder writable or change [outbox] path") from error
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._claim)
            self._database = self._open()
            undo.callback(self._database.close)
            with self._mapped():
                self._id = str(self._database.execute("SELECT id FROM store").fetchone()[0])
                counted = self._database.execute("SELECT count(*) FROM message WHERE delivered_utc_s IS NULL").fetchone()
                self._depth = int(counted[0])
                self._tell(self._state())
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
                lost = self._make_room()
                state = self._state(more=len(detections) - lost)
            self._depth = state.depth
            self._tell(state)
            if lost:
                self._tell(DetectionsLost(count=lost, reason="[outbox] max_mb is full of events the broker has not taken"))

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
                state = self._state(more=len(left))
            self._depth = state.depth
            self._tell(state)
        return len(left)

    def stations(self) -> list[str]:
        """Return the stations that ever had a message.

        Raises:
            OutboxUnwritable: The disk did not answer.
            OutboxError: The file is damaged.
        """
        with self._guard, self._mapped():
            return [row[0] for row in self._database.execute("SELECT name FROM station ORDER BY name")]

    def pending(self, limit: int, *, without: Sequence[str] = (), beside: Sequence[int] = ()) -> list[Stored]:
        """Return the oldest messages that wait, in the order they were put, so in order of sequence for each station.

        Args:
            limit: How many at most.
            without: Stations whose messages are left out.
            beside: Numbers of single messages that are left out; a few hundred at most.

        Raises:
            OutboxUnwritable: The disk did not answer.
            OutboxError: The file is damaged.
        """
        query = (
            "SELECT number, station, sequence, payload FROM message WHERE delivered_utc_s IS NULL"
            f" AND station NOT IN ({', '.join('?' * len(without))}) AND number NOT IN ({', '.join('?' * len(beside))})"
            " ORDER BY number LIMIT ?"
        )
        with self._guard, self._mapped():
            rows = self._database.execute(query, (*without, *beside, limit)).fetchall()
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
                state = self._state(more=-done)
            self._depth = state.depth
            self._tell(state)

    def prune(self) -> int:
        """Forget messages delivered longer ago than `keep_days`; return how many.

        A clock that was set ahead makes nothing old at once (`core/retention.py`).

        Raises:
            OutboxUnwritable: The disk did not take it.
            OutboxError: The file is damaged.
        """
        before_s, total = self._reckon() - self._keep_s, 0
        while True:
            with self._guard, self._transaction():
                gone = self._forget("delivered_utc_s < ?", before_s)
            total += gone
            if gone < PRUNED_AT_ONCE:
                return total

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._guard:
            self._database.close()
            os.close(self._claim)

    def _reckon(self) -> float:
        """Return from when age is counted, and note it for those who come after us."""
        now_s = self._now_s()
        with self._guard, self._transaction():
            last_s = float(self._database.execute("SELECT reckoned_utc_s FROM store").fetchone()[0])
            moment_s = reckoned_s(last_s, now_s - self._pruned_s, self._utc_s())
            self._database.execute("UPDATE store SET reckoned_utc_s = ?", (moment_s,))
        self._pruned_s = now_s
        return moment_s

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
        content = describe(sequence=row[0], store=self._id)
        text = payload.encode(content)
        self._database.execute(
            "INSERT INTO message (station, sequence, stored_utc_s, payload, play, start_utc_s, end_utc_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (station, row[0], self._utc_s(), text, *schema.place(content)),
        )
        return text

    def _make_room(self) -> int:
        """Keep to the budget; return how many messages that wait had to go."""
        lost = 0
        for _ in range(4):  # a few at a time: after a long outage much becomes history at once, and `put` must not take seconds
            if self._used_bytes() <= HISTORY_SHARE * self._budget_bytes or not self._forget("delivered_utc_s IS NOT NULL"):
                break
        while self._used_bytes() > self._budget_bytes:
            if not self._forget("delivered_utc_s IS NOT NULL"):
                gone = self._forget("delivered_utc_s IS NULL")
                lost += gone
                if not gone:
                    break
        return lost

    def _forget(self, which: str, *values: float) -> int:
        """Delete the oldest messages of a kind; return how many."""
        query = f"DELETE FROM message WHERE number IN (SELECT number FROM message WHERE {which} ORDER BY number LIMIT ?)"
        return self._database.execute(query, (*values, PRUNED_AT_ONCE)).rowcount

    def _used_bytes(self) -> int:
        """What the file holds; pages that are free again are used before it grows."""
        pages, free, size = self._database.execute(
            "SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count),"
            " (SELECT page_size FROM pragma_page_size)"
        ).fetchone()
        return int((pages - free) * size)

    def _state(self, *, more: int = 0) -> OutboxChanged:
        return OutboxChanged(
            depth=self._depth + more,
            oldest_utc_s=self._oldest(),
            used_bytes=self._used_bytes(),
            budget_bytes=self._budget_bytes,
        )

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
            if error.sqlite_errorcode & 0xFF in schema.DAMAGED:
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
            schema.prepare(self._path, database, utc_s=self._utc_s())
        except sqlite3.Error as error:
            database.close()
            raise self._unusable(error) from error
        except OutboxError:
            database.close()
            raise
        return database

    def _unusable(self, error: sqlite3.Error) -> OutboxError | OutboxUnwritable:
        if error.sqlite_errorcode & 0xFF in schema.DAMAGED:
            return OutboxError(_damaged(self._path, error))
        if error.sqlite_errorcode & 0xFF in schema.PASSING:
            return OutboxUnwritable(f"outbox {self._path}: {error}; is the disk full? It works as soon as there is room")
        return OutboxError(f"outbox {self._path}: {error}; make it and its folder writable or change [outbox] path")


def _damaged(path: Path, why: object) -> str:
    return f"outbox {path}: damaged or not an outbox ({str(why).splitlines()[-1]}); move it away, it holds undelivered detections"
