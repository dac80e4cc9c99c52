"""The one process that changes a catalogue: append, describe, remove, move to a new file.

Order is everything here. Rows go to the end of the fingerprint file and to the disk first, the database row that makes them count
comes after; a crash between the two leaves rows that no one refers to, and the next writer cuts them off. A row number is never
used twice within a file, so what readers have mapped never changes under them. Knows nothing of audio.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from monitor.catalog import moving, schema
from monitor.catalog.store import Entry, Store
from monitor.core.recipe import Recipe
from monitor.errors import CatalogError
from monitor.messages import Kinship, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What tells a file from others without listening to it."""

    path: str
    bytes: int
    mtime_ns: int
    sha256: str
    reference_id: int


class Writer(Store):
    """A catalogue folder, opened for changing. One thread uses it; one at a time exists, by a lock on the folder."""

    def __init__(self, folder: Path, recipe: Recipe | None = None, *, create: bool = False) -> None:
        """Open a catalogue for changing, mend what a crash left, and lock others out.

        Args:
            folder: Where it is.
            recipe: The encoder's; needed for `create`, none skips the comparison.
            create: Make an empty catalogue when there is none.

        Raises:
            CatalogError: Another writer is at work, the folder cannot be written, no catalogue there, or a damaged one.
            ForeignFingerprints: It was made with another recipe.
        """
        if not create and not (folder / schema.DATABASE).is_file():
            raise CatalogError(f"no catalogue in {folder}: make one with `monitor catalog add PATH… --catalog {folder}`")
        with schema.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = moving.lock(folder)
        try:
            with schema.explained(folder):
                if create and recipe is not None and not (folder / schema.DATABASE).is_file():
                    schema.create(folder, recipe)
                self._connection = schema.connect_writing(folder)
                meta = schema.read_meta(self._connection, folder)
                schema.bring_up(self._connection)
            self._number, self._rows = int(meta["number"]), int(meta["rows"])
            super().__init__(folder, recipe)
            self._mend()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Writer:
        """Give itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let the next writer in."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
        os.close(self._lock)

    @property
    def rows_path(self) -> Path:
        """The fingerprint file in use."""
        return self.folder / schema.fingerprints_name(self._number)

    def _mend(self) -> None:
        """Cut off rows that were never committed; delete the files of a move that never happened or was not swept up."""
        with schema.explained(self.folder):
            length = self._rows * self.recipe.dim * 2
            if self.rows_path.exists() and self.rows_path.stat().st_size > length:
                os.truncate(self.rows_path, length)
            self._sweep()
        if self._wanted is not None:
            self._require_rows()

    def _require_rows(self) -> None:
        needed = self._rows * self.recipe.dim * 2
        size = self.rows_path.stat().st_size if self.rows_path.exists() else -1
        if size < needed:
            raise CatalogError(
                f"catalogue {self.folder} is damaged ({self.rows_path.name} holds {max(0, size)} bytes of {needed}): "
                f"make its fingerprints anew with `monitor catalog rebuild --fingerprint --catalog {self.folder}`"
            )

    def _sweep(self) -> None:
        rows, index = schema.fingerprints_name(self._number), schema.index_name(self._number)
        for path in (
            *self.folder.glob("fingerprints-*.f16"),
            *self.folder.glob("index-*.faiss*"),
            *self.folder.glob(f"{schema.DATABASE}.new"),
        ):
            if path.name != rows and not path.name.startswith(index):
                path.unlink(missing_ok=True)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction that makes a new generation, or none."""
        with schema.explained(self.folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'")
                self._connection.execute("UPDATE meta SET value = ? WHERE key = 'rows'", (str(self._rows),))
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add(self, reference: Reference, pcm_sha256: str, vectors: NDArray[np.float16], mark: FileMark) -> int:
        """Keep a recording; when this returns it is on disk.

        Args:
            reference: Who it is; its id is not looked at.
            pcm_sha256: Hash of its sound.
            vectors: Its fingerprints, shape [hops, dim].
            mark: Its file; the mark's reference id is not looked at.

        Returns:
            The id given to it.

        Raises:
            CatalogError: No space, or the folder cannot be written; what was there before is untouched.
        """
        row_start = self._append(vectors)
        with self._rows_kept_only_if_committed(row_start + len(vectors)), self._change() as connection:
            cursor = connection.execute(
                "INSERT INTO reference "
                "(path, pcm_sha256, title, artist, album, isrc, custom, duration_s, row_start, hops, added_utc) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (reference.path, pcm_sha256, *_names(reference), reference.duration_s, row_start, len(vectors), _now()),
            )
            reference_id = int(cursor.lastrowid or 0)
            _put_mark(connection, mark, reference_id)
        return reference_id

    def refill(self, entry: Entry, pcm_sha256: str, vectors: NDArray[np.float16], mark: FileMark) -> None:
        """Give a reference whose file had been gone its fingerprints back.

        Raises:
            CatalogError: As for `add`.
        """
        row_start = self._append(vectors)
        with self._rows_kept_only_if_committed(row_start + len(vectors)), self._change() as connection:
            connection.execute(
                "UPDATE reference SET path = ?, pcm_sha256 = ?, row_start = ?, hops = ?, compared = 0 WHERE id = ?",
                (mark.path, pcm_sha256, row_start, len(vectors), entry.reference.id),
            )
            _put_mark(connection, mark, entry.reference.id)

    def _append(self, vectors: NDArray[np.float16]) -> int:
        if vectors.ndim != 2 or vectors.shape[1] != self.recipe.dim or vectors.dtype != np.float16 or not len(vectors):
            raise ValueError(f"fingerprints {vectors.dtype}{list(vectors.shape)}, expected float16[n > 0, {self.recipe.dim}]")
        with schema.explained(self.folder):
            self._rows = int(
                schema.read_meta(self._connection, self.folder)["rows"]
            )  # an interrupt may have come just after a commit
            end = self._rows * self.recipe.dim * 2
            try:
                with self.rows_path.open("r+b") as file:
                    file.seek(end)
                    file.write(np.ascontiguousarray(vectors).tobytes())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                os.truncate(self.rows_path, end)
                raise
        return self._rows

    @contextmanager
    def _rows_kept_only_if_committed(self, rows: int) -> Iterator[None]:
        before, self._rows = self._rows, rows
        try:
            yield
        except BaseException:
            self._rows = before
            raise

    def describe(self, reference: Reference) -> None:
        """Replace the names of a reference by those given."""
        with self._change() as connection:
            connection.execute(
                "UPDATE reference SET title = ?, artist = ?, album = ?, isrc = ?, custom = ? WHERE id = ?",
                (*_names(reference), reference.id),
            )

    def note_file(self, mark: FileMark) -> None:
        """Remember that a file holds the sound of a reference, so that the next `add` need not listen to it. No new generation."""
        with schema.explained(self.folder):
            _put_mark(self._connection, mark, mark.reference_id)

    def rows(self) -> NDArray[np.float16]:
        """Map the fingerprints of all references, [rows, dim], and those of removed ones."""
        if not self._rows:
            return np.zeros((0, self.recipe.dim), np.float16)
        return np.asarray(np.memmap(self.rows_path, np.float16, "r", shape=(self._rows, self.recipe.dim)))

    def keep_kin(self, found: Mapping[int, Sequence[Kinship]]) -> None:
        """Keep what references share with others, from both sides; each counts as compared from now on."""
        with self._change() as connection:
            for number, kin in found.items():
                connection.execute("UPDATE reference SET compared = 1 WHERE id = ?", (number,))
                for other in {one.other_id for one in kin}:
                    connection.executemany(
                        "DELETE FROM kin WHERE reference_id = ? AND other_id = ?", [(number, other), (other, number)]
                    )
                for one in kin:
                    length = one.stop - one.start
                    here, there = (number, one.start, one.other_id), (one.other_id, one.other_start, number)
                    for (mine, start, other), other_start in ((here, one.other_start), (there, one.start)):
                        connection.execute(
                            "INSERT OR REPLACE INTO kin (reference_id, start, stop, other_id, other_start) VALUES (?, ?, ?, ?, ?)",
                            (mine, start, start + length, other, other_start),
                        )

    def remove(self, reference_ids: list[int]) -> None:
        """Forget references; their rows become holes until the next `rebuild`."""
        with self._change() as connection:
            connection.executemany("DELETE FROM reference WHERE id = ?", [(number,) for number in reference_ids])

    def marks(self) -> list[FileMark]:
        """Return all files known to hold a reference's sound."""
        with schema.explained(self.folder):
            rows = self._connection.execute("SELECT path, bytes, mtime_ns, sha256, reference_id FROM file").fetchall()
        return [FileMark(path=p, bytes=b, mtime_ns=m, sha256=s, reference_id=r) for p, b, m, s, r in rows]

    def compact(self) -> None:
        """Copy the rows that count into a new file, without the holes, and switch to it.

        Raises:
            CatalogError: No space for the copy; the old file stays in use.
        """
        self._require_rows()
        entries = sorted((entry for entry in self.entries() if entry.hops), key=lambda entry: entry.row_start)
        with self.moving(self.recipe) as move:
            if self._rows:
                old = np.memmap(self.rows_path, np.float16, "r", shape=(self._rows, self.recipe.dim))
                for entry in entries:
                    move.put(entry, entry.pcm_sha256, old[entry.row_start : entry.row_start + entry.hops])

    @contextmanager
    def moving(self, recipe: Recipe) -> Iterator[moving.Move]:
        """Write a new fingerprint file; at the end of the block one transaction switches to it and the old one is deleted.

        References not put into the new file stay, without fingerprints. What was known of their kinship is forgotten. An exception
        leaves everything as it was.
        """
        number = self._number + 1
        path = self.folder / schema.fingerprints_name(number)
        with schema.explained(self.folder):
            try:
                move = moving.Move(path, recipe.dim)
                try:
                    yield move
                    move.finish()
                finally:
                    move.close()
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        schema.sync_folder(self.folder)
        with self._rows_kept_only_if_committed(move.rows), self._change() as connection:
            connection.execute("UPDATE reference SET row_start = 0, hops = 0, compared = 0")
            connection.execute("DELETE FROM kin")
            connection.executemany(
                "UPDATE reference SET row_start = ?, hops = ?, pcm_sha256 = ?, duration_s = ? WHERE id = ?", move.placed
            )
            connection.execute("UPDATE meta SET value = ? WHERE key = 'number'", (str(number),))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'recipe'", (recipe.to_json(),))
        self._number, self.recipe = number, recipe
        with schema.explained(self.folder):
            self._sweep()


def _names(reference: Reference) -> tuple[str, str, str, str, str]:
    custom = json.dumps(reference.custom, ensure_ascii=False, sort_keys=True)
    return reference.title, reference.artist, reference.album, reference.isrc, custom


def _put_mark(connection: sqlite3.Connection, mark: FileMark, reference_id: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)", (mark.path, mark.bytes, mark.mtime_ns, mark.sha256, reference_id)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
