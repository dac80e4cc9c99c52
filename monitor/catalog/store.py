"""A catalogue as its readers see it: who is in it, and where the fingerprints stand.

Knows the rows of the database and the length of the fingerprint file. Writes nothing; knows neither audio nor nearest neighbours.
"""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.catalog import schema
from monitor.core.recipe import Recipe
from monitor.errors import CatalogError
from monitor.messages import Kinship, Reference, Table

COLUMNS = "id, path, pcm_sha256, title, artist, album, isrc, custom, duration_s, row_start, hops, added_utc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A reference and what the catalogue keeps about it."""

    reference: Reference
    pcm_sha256: str
    """Hash of the decoded sound: the same for copies with other tags or names."""
    row_start: int
    hops: int
    """0 when its audio file was gone at the last `rebuild --fingerprint`."""
    added_utc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The catalogue at a glance."""

    generation: int
    references: int
    artists: int
    duration_s: float
    fingerprints: int
    holes: int
    """Rows of removed references, which `rebuild` gives back."""
    bytes_on_disk: int


def recipe_at(folder: Path) -> Recipe | None:
    """Return what the fingerprints of the catalogue in a folder were made with; none where there is no catalogue yet.

    Raises:
        CatalogError: A damaged one.
    """
    there = os.path.isfile(folder / schema.DATABASE)  # noqa: PTH113 - Path.is_file raises where a name is too long, or not to be seen
    return Store(folder).recipe if there else None


class Store:
    """A catalogue folder, opened for reading. Any thread may use it; every call is one consistent look."""

    def __init__(self, folder: Path, recipe: Recipe | None = None) -> None:
        """Open a catalogue.

        Args:
            folder: Where it is.
            recipe: The encoder's, to be compared; none reads the catalogue whatever encoder made it.

        Raises:
            CatalogError: No catalogue there, or a damaged one.
            ForeignFingerprints: It was made with another recipe.
        """
        self.folder = folder
        self._wanted = recipe
        self.recipe = self._judge()

    def __repr__(self) -> str:
        """Say which folder."""
        return f"{type(self).__name__}({self.folder}, recipe {self.recipe.hash})"

    def _judge(self) -> Recipe:
        with schema.reading(self.folder) as connection:
            meta = schema.read_meta(connection, self.folder)
        return self._stored_recipe(meta)

    def _stored_recipe(self, meta: dict[str, str]) -> Recipe:
        try:
            stored = Recipe.from_json(meta["recipe"])
        except (ValueError, KeyError) as error:
            raise CatalogError(f"catalogue {self.folder} is damaged ({error}): restore it from a backup or make it anew") from error
        if self._wanted is not None:
            schema.compare(self.folder, stored, self._wanted)
        return stored

    def generation(self) -> int:
        """Return the count of committed changes: one small read, for whoever waits for a change."""
        with schema.reading(self.folder) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        return int(row[0])

    def entries(self) -> list[Entry]:
        """Return all references in the order of their ids."""
        with schema.reading(self.folder) as connection:
            return [entry_of(row) for row in connection.execute(f"SELECT {COLUMNS} FROM reference ORDER BY id")]

    def entry(self, reference_id: int) -> Entry:
        """Return a reference that is there."""
        with schema.reading(self.folder) as connection:
            return entry_of(connection.execute(f"SELECT {COLUMNS} FROM reference WHERE id = ?", (reference_id,)).fetchone())

    def find(self, key: str) -> list[Entry]:
        """Return the references named by an id or by the path of one of their files."""
        with schema.reading(self.folder) as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM reference WHERE CAST(id AS TEXT) = ?1 OR path = ?2 OR "
                "id IN (SELECT reference_id FROM file WHERE path = ?2) ORDER BY id",
                (key, str(Path(key).absolute())),
            )
            return [entry_of(row) for row in rows]

    def files(self, reference_id: int) -> list[str]:
        """Return the paths of all files known to hold this sound, the one it was added from first."""
        with schema.reading(self.folder) as connection:
            rows = connection.execute(
                "SELECT f.path FROM file f JOIN reference r ON r.id = f.reference_id WHERE r.id = ? "
                "ORDER BY f.path != r.path, f.path",
                (reference_id,),
            )
            return [path for (path,) in rows]

    def table(self) -> Table:
        """Return the present generation for the index to load.

        Raises:
            CatalogError: The catalogue is gone or damaged.
            ForeignFingerprints: It was made anew with another recipe meanwhile.
        """
        with schema.reading(self.folder) as connection:
            meta = schema.read_meta(connection, self.folder)
            recipe = self._stored_recipe(meta)
            rows = connection.execute(f"SELECT {COLUMNS} FROM reference WHERE hops > 0 ORDER BY row_start").fetchall()
            kin = _kin(connection, meta)
        entries = [entry_of(row) for row in rows]
        return Table(
            path=self.folder / schema.fingerprints_name(int(meta["number"])),
            dim=recipe.dim,
            generation=int(meta["generation"]),
            rows=int(meta["rows"]),
            reference_ids=np.array([entry.reference.id for entry in entries], np.int64),
            row_starts=np.array([entry.row_start for entry in entries], np.int64),
            hops=np.array([entry.hops for entry in entries], np.int64),
            references={entry.reference.id: entry.reference for entry in entries},
            kin=kin,
        )

    def kin(self) -> dict[int, tuple[Kinship, ...]]:
        """Return what references share with others; those that share nothing are not in it."""
        with schema.reading(self.folder) as connection:
            return _kin(connection, schema.read_meta(connection, self.folder))

    def uncompared(self) -> list[int]:
        """Return the ids of the references of which it is not known yet what they share with others, rising."""
        with schema.reading(self.folder) as connection:
            old = schema.read_meta(connection, self.folder)["schema"] == "1"
            rows = connection.execute(f"SELECT id FROM reference WHERE hops > 0 {'' if old else 'AND NOT compared'} ORDER BY id")
            return [number for (number,) in rows]

    def numbers(self) -> Numbers:
        """Return the catalogue at a glance."""
        with schema.reading(self.folder) as connection:
            meta = schema.read_meta(connection, self.folder)
            count, artists, duration_s, hops = connection.execute(
                "SELECT COUNT(*), COUNT(DISTINCT NULLIF(artist, '')), TOTAL(duration_s), CAST(TOTAL(hops) AS INTEGER) "
                "FROM reference"
            ).fetchone()
        return Numbers(
            generation=int(meta["generation"]),
            references=count,
            artists=artists,
            duration_s=duration_s,
            fingerprints=hops,
            holes=int(meta["rows"]) - hops,
            bytes_on_disk=sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file()),
        )


def _kin(connection: sqlite3.Connection, meta: dict[str, str]) -> dict[int, tuple[Kinship, ...]]:
    if meta["schema"] == "1":
        return {}
    found: dict[int, list[Kinship]] = {}
    rows = connection.execute(
        "SELECT reference_id, start, stop, other_id, other_start FROM kin ORDER BY reference_id, start, other_id"
    )
    for number, start, stop, other_id, other_start in rows:
        found.setdefault(number, []).append(Kinship(start=start, stop=stop, other_id=other_id, other_start=other_start))
    return {number: tuple(shared) for number, shared in found.items()}


def entry_of(row: sqlite3.Row | tuple[object, ...]) -> Entry:
    """Read a row of `COLUMNS`."""
    number, path, pcm, title, artist, album, isrc, custom, duration_s, row_start, hops, added_utc = row
    reference = Reference(
        id=int(str(number)),
        path=str(path),
        title=str(title),
        artist=str(artist),
        album=str(album),
        isrc=str(isrc),
        duration_s=float(str(duration_s)),
        custom=json.loads(str(custom)),
    )
    return Entry(
        reference=reference, pcm_sha256=str(pcm), row_start=int(str(row_start)), hops=int(str(hops)), added_utc=str(added_utc)
    )
