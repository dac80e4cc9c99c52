"""The catalogue's files and the tables of its database, and how a connection is opened.

Knows SQLite, file names and what SQLite's complaints mean to a person. Knows nothing of fingerprints, tags or audio.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.core.recipe import Recipe
from monitor.errors import CatalogError, ForeignFingerprints

DATABASE = "catalog.db"
LOCK = "catalog.lock"
SCHEMA_VERSION = 2
READABLE = ("1", "2")
"""Layouts that can be read. Whoever opens a catalogue of layout 1 for changing brings it to 2; until then it knows no kinship."""
BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process's commit, which takes milliseconds; a disk may be slow."""

KIN = """
ALTER TABLE reference ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
CREATE TABLE kin (
    reference_id INTEGER NOT NULL REFERENCES reference (id) ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES reference (id) ON DELETE CASCADE,
    start INTEGER NOT NULL, other_start INTEGER NOT NULL, stop INTEGER NOT NULL,
    PRIMARY KEY (reference_id, other_id, start, other_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX kin_other ON kin (other_id);
"""
"""What layout 2 has beyond 1: stretches of references that are the same sound, each from both sides, and whether a reference was
compared with the others yet. `stop` stands last because the integrity check of SQLite 3.40 finds faults where a column that is not
of the key stands among those of the key."""
TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE reference (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    pcm_sha256 TEXT NOT NULL,
    title TEXT NOT NULL, artist TEXT NOT NULL, album TEXT NOT NULL, isrc TEXT NOT NULL, custom TEXT NOT NULL,
    duration_s REAL NOT NULL,
    row_start INTEGER NOT NULL, hops INTEGER NOT NULL,
    added_utc TEXT NOT NULL
) STRICT;
CREATE INDEX reference_pcm ON reference (pcm_sha256);
CREATE TABLE file (
    path TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    reference_id INTEGER NOT NULL REFERENCES reference (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX file_reference ON file (reference_id);
{KIN}"""
"""`file` holds every file whose sound is that of a reference: the one it was added from and copies met later, so that a second
`add` passes over all of them with a look at size and time."""


def fingerprints_name(number: int) -> str:
    """Return the name of the n-th file of fingerprints."""
    return f"fingerprints-{number}.f16"


def index_name(number: int) -> str:
    """Return the name under which `index/` keeps what it built for the n-th file of fingerprints."""
    return f"index-{number}.faiss"


def create(folder: Path, recipe: Recipe) -> None:
    """Make an empty catalogue: complete or not there at all, whatever happens in between."""
    draft = folder / f"{DATABASE}.new"
    draft.unlink(missing_ok=True)
    for stale in (*folder.glob("fingerprints-*.f16"), *folder.glob("index-*.faiss")):
        stale.unlink()
    (folder / fingerprints_name(1)).touch()
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.executescript(f"PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; BEGIN; {TABLES}")
        meta = {"schema": str(SCHEMA_VERSION), "recipe": recipe.to_json(), "generation": "1", "number": "1", "rows": "0"}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
    finally:
        connection.close()
    draft.rename(folder / DATABASE)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make new, renamed and deleted names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect_writing(folder: Path) -> sqlite3.Connection:
    """Open the database for the one writer; SQLite undoes what a crashed one left half done."""
    connection = sqlite3.connect(f"{_uri(folder)}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    connection.executescript("PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON")
    return connection


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the database read-only for one consistent look.

    Every look opens anew: that costs a fraction of a millisecond and never clings to a folder that was replaced.

    Raises:
        CatalogError: There is no catalogue, or it is damaged.
    """
    if not os.path.isfile(folder / DATABASE):  # noqa: PTH113 - Path.is_file raises where a name is too long
        raise CatalogError(f"no catalogue in {folder}: make one with `monitor catalog add PATH… --catalog {folder}`")
    with explained(folder):
        connection = _connect_reading(folder)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()


def _connect_reading(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{_uri(folder)}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("SELECT value FROM meta LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        # A writer was killed in the middle of a commit: its journal must be played back once, by a connection that may write.
        mender = connect_writing(folder)
        mender.execute("SELECT value FROM meta LIMIT 1").fetchone()
        mender.close()
        return sqlite3.connect(f"{_uri(folder)}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    return connection


def _uri(folder: Path) -> str:
    return (folder.absolute() / DATABASE).as_uri()


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn SQLite's and the disk's complaints into one line that says what to do.

    Raises:
        CatalogError: In place of `sqlite3.Error` and of the OSErrors of a full or read-only disk.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise CatalogError(_full(folder)) from error
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
            raise CatalogError(
                f"catalogue {folder} cannot be opened or written ({error}): check the folder's owner and permissions"
            ) from error
        if code == sqlite3.SQLITE_BUSY:
            raise CatalogError(f"catalogue {folder} is locked by another process ({error}): try again when it is done") from error
        raise CatalogError(
            f"catalogue {folder} is damaged ({error}): restore it from a backup or make it anew from the audio files"
        ) from error
    except OSError as error:
        raise CatalogError(_of_disk(folder, error)) from error


def _full(folder: Path) -> str:
    return (
        f"no space left for catalogue {folder}: all that was added before is kept; free some space and run the same command again"
    )


def _of_disk(folder: Path, error: OSError) -> str:
    import errno

    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return _full(folder)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"catalogue {folder} is not writable ({error.strerror}): check the folder's owner and permissions, or run as its owner"
        )
    return f"catalogue {folder}: {error}"


def read_meta(connection: sqlite3.Connection, folder: Path) -> dict[str, str]:
    """Return the catalogue's own facts: `recipe`, `generation`, `number` of the fingerprint file, its committed `rows`.

    Raises:
        CatalogError: Another version of the monitor made it.
    """
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if meta.get("schema") not in READABLE:
        raise CatalogError(
            f"catalogue {folder} has layout {meta.get('schema', 'unknown')}, this monitor reads {' and '.join(READABLE)}: "
            "use the monitor it was made with"
        )
    return meta


def bring_up(connection: sqlite3.Connection) -> None:
    """Bring a catalogue of an older layout to the present one, wholly or not at all. Monitors from before then refuse it."""
    (layout,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if layout == "1":
        connection.executescript(f"BEGIN IMMEDIATE; {KIN} UPDATE meta SET value = '{SCHEMA_VERSION}' WHERE key = 'schema'; COMMIT")


def compare(folder: Path, stored: Recipe, wanted: Recipe) -> None:
    """Refuse a catalogue whose fingerprints mean something else.

    Raises:
        ForeignFingerprints: The recipes differ.
    """
    if stored.hash != wanted.hash:
        raise ForeignFingerprints(
            f"catalogue {folder} was made with another encoder ({'; '.join(stored.differences(wanted))}): "
            f"make its fingerprints anew with `monitor catalog rebuild --fingerprint --catalog {folder}`"
        )
