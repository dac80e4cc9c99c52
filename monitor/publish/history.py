"""What an outbox holds, read beside a running monitor without disturbing it.

Hides SQLite. Takes no lock that a writer waits for, reads in short steps so that its log can be folded in between, makes no file
and changes none. A play is what its last event says of it.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from monitor.errors import OutboxError
from monitor.publish.schema import APPLICATION_ID, VERSION

STEP = 500
"""Messages read at once."""
LONGEST_S = 86400.0
"""No play lasts longer: so far back it may have begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One stored event."""

    number: int
    station: str
    sequence: int
    stored_utc_s: float
    delivered_utc_s: float | None
    """When the broker had it; None: it waits."""
    content: dict[str, Any]
    """The payload, as it was or will be published."""


class History:
    """The events of an outbox file, oldest first. For one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, read only.

        Raises:
            OutboxError: It is not there, not readable, or no outbox of this version.
        """
        self._path = path
        if not path.is_file():
            raise OutboxError(f"outbox {path}: no such file; name one with --outbox, or the configuration with -c")
        self._database = self._open()

    def __enter__(self) -> History:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._database.close()

    def stations(self) -> list[str]:
        """Return the stations that ever had an event."""
        with self._mapped():
            return [row[0] for row in self._database.execute("SELECT name FROM station ORDER BY name")]

    def events(self, stations: Sequence[str], from_utc_s: float, to_utc_s: float) -> Iterator[Event]:
        """Yield the events of plays that were on air between these times, in the order they were stored.

        An event is found by what it says itself: of a play of which only the end lies within, only the last events are.
        """
        where = f"station IN ({_marks(stations)}) AND start_utc_s >= ? AND start_utc_s < ? AND end_utc_s >= ?"
        yield from self._select(where, (*stations, from_utc_s - LONGEST_S, to_utc_s, from_utc_s))

    def sequence(self, station: str, first: int, last: int) -> Iterator[Event]:
        """Yield what is stored of a station's events `first` to `last`, both included."""
        yield from self._select("station = ? AND sequence BETWEEN ? AND ?", (station, first, last))

    def plays(self, stations: Sequence[str], from_utc_s: float, to_utc_s: float) -> list[dict[str, Any]]:
        """Return the last event of every play that was on air between these times, by start; retracted ones too."""
        where = (
            f"station IN ({_marks(stations)}) AND start_utc_s >= ? AND start_utc_s < ? AND end_utc_s > ?"
            " AND NOT EXISTS (SELECT 1 FROM message AS later WHERE later.play = message.play AND later.number > message.number)"
        )
        found = [event.content for event in self._select(where, (*stations, from_utc_s - LONGEST_S, to_utc_s, from_utc_s))]
        return sorted(found, key=lambda content: (content["start"], content["station"], content["sequence"]))

    def whole_since(self) -> float | None:
        """Return since when nothing is gone of what was stored, in seconds of UTC; None: nothing ever went; infinite: all may have.

        Of what was delivered the oldest goes first, so what went was stored before the oldest that is left was delivered.
        """
        query = (
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'message'), 0) - (SELECT count(*) FROM message),"
            " (SELECT min(delivered_utc_s) FROM message WHERE delivered_utc_s IS NOT NULL),"
            " (SELECT min(number) FROM message), (SELECT stored_utc_s FROM message ORDER BY number LIMIT 1)"
        )
        with self._mapped():
            gone, delivered_utc_s, first, stored_utc_s = self._database.execute(query).fetchone()
        if not gone:
            return None
        if delivered_utc_s is not None:
            return float(delivered_utc_s)
        return float(stored_utc_s) if first == gone + 1 else math.inf  # only what waits is left: nothing may be missing between

    def _select(self, where: str, values: Sequence[object]) -> Iterator[Event]:
        """Find the events once, by indexes alone, then read them step by step; what is pruned meanwhile is left out."""
        with self._mapped():
            numbers = [
                row[0] for row in self._database.execute(f"SELECT number FROM message WHERE {where} ORDER BY number", values)
            ]
        for at in range(0, len(numbers), STEP):
            some = numbers[at : at + STEP]
            query = (
                "SELECT number, station, sequence, stored_utc_s, delivered_utc_s, payload FROM message"
                f" WHERE number IN ({_marks(some)}) ORDER BY number"
            )
            with self._mapped():
                rows = self._database.execute(query, some).fetchall()
            for number, station, sequence, stored_utc_s, delivered_utc_s, text in rows:
                yield Event(
                    number=number,
                    station=station,
                    sequence=sequence,
                    stored_utc_s=stored_utc_s,
                    delivered_utc_s=delivered_utc_s,
                    content=json.loads(text),
                )

    def _open(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        if not self._path.with_name(self._path.name + "-wal").exists():
            # No monitor has it open. Without write access to the folder SQLite could not make the log it would look into.
            address += "&immutable=1"
        with self._mapped():
            database = sqlite3.connect(address, uri=True, timeout=5.0, isolation_level=None)
            with contextlib.ExitStack() as undo:
                undo.callback(database.close)
                application, version = database.execute(
                    "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version)"
                ).fetchone()
                if application != APPLICATION_ID:
                    raise OutboxError(f"outbox {self._path}: is no outbox; name the right file with --outbox")
                if version != VERSION:
                    what = "start the new monitor once, it brings it up to date" if version < VERSION else "use the newer monitor"
                    raise OutboxError(f"outbox {self._path}: of another version (format {version}, not {VERSION}); {what}")
                undo.pop_all()
            return database

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxError(f"outbox {self._path}: cannot be read ({error}); run this as the user of the monitor") from error


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
