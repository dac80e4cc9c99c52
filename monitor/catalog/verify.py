"""Is a catalogue whole? Every claim of the database held against the files.

Knows what must be true of a catalogue. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.catalog import schema
from monitor.catalog.store import Entry, Store
from monitor.core.recipe import Recipe
from monitor.messages import Table

BLOCK_ROWS = 65536
NORM_TOLERANCE = 0.01
"""float16 keeps a component to 1 part in 2048; a length further off than this was never a fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be."""

    text: str
    harmless: bool = False
    """True: it goes away by itself, nothing is lost."""


def verify(store: Store, recipe: Recipe | None = None) -> Iterator[Finding]:
    """Yield what is wrong with a catalogue, and what to do about it.

    Args:
        store: The catalogue, opened without a recipe.
        recipe: The installed encoder's; none skips this comparison.

    Raises:
        CatalogError: It cannot even be read.
    """
    with schema.reading(store.folder) as connection:
        for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
            if line != "ok":
                yield Finding(text=f"{schema.DATABASE}: {line}; restore it from a backup")
    if recipe is not None and store.recipe.hash != recipe.hash:
        differences = "; ".join(store.recipe.differences(recipe))
        yield Finding(text=f"made with another encoder ({differences}); `monitor catalog rebuild --fingerprint`")
    table, entries = store.table(), store.entries()
    yield from _ranges(table)
    yield from _rows(table)
    yield from _strays(store.folder, table)
    yield from _files(store, entries)


def _ranges(table: Table) -> Iterator[Finding]:
    ends = table.row_starts + table.hops
    for number, start, end in zip(table.reference_ids, table.row_starts, ends, strict=True):
        if start < 0 or end > table.rows:
            yield Finding(
                text=f"reference {number}: rows {start} to {end} are beyond the {table.rows} committed; remove and add it again"
            )
    for at in np.nonzero(ends[:-1] > table.row_starts[1:])[0]:
        first, second = table.reference_ids[at], table.reference_ids[at + 1]
        yield Finding(text=f"references {first} and {second} claim the same rows; remove both and add them again")


def _rows(table: Table) -> Iterator[Finding]:
    size = table.path.stat().st_size if table.path.exists() else 0
    needed = table.rows * table.dim * 2
    if size < needed:
        yield Finding(text=f"{table.path.name} holds {size} bytes of {needed}; `monitor catalog rebuild --fingerprint`")
        return
    if size > needed:
        yield Finding(
            text=f"{table.path.name}: {size - needed} bytes of an interrupted `add`; the next one cuts them off", harmless=True
        )
    if not table.rows:
        return
    rows = np.memmap(table.path, np.float16, "r", shape=(table.rows, table.dim))
    for number, start, hops in zip(table.reference_ids, table.row_starts, table.hops, strict=True):
        for at in range(start, min(start + hops, table.rows), BLOCK_ROWS):
            lengths = np.linalg.norm(rows[at : min(at + BLOCK_ROWS, start + hops)].astype(np.float32), axis=1)
            whole = (np.abs(lengths - 1) < NORM_TOLERANCE) | (lengths == 0)  # silence has the fingerprint zero
            bad = int(np.count_nonzero(~whole))
            if bad:
                yield Finding(text=f"reference {number}: {bad} fingerprints are damaged; remove and add it again")


def _strays(folder: Path, table: Table) -> Iterator[Finding]:
    for path in sorted(folder.glob("fingerprints-*.f16")):
        if path != table.path:
            yield Finding(text=f"{path.name}: left by an interrupted `rebuild`; the next change deletes it", harmless=True)


def _files(store: Store, entries: list[Entry]) -> Iterator[Finding]:
    for entry in entries:
        number, path = entry.reference.id, entry.reference.path
        if not entry.hops:
            yield Finding(text=f"reference {number} has no fingerprints: {path} was gone or broken; add it again, or remove it")
        elif not Path(path).is_file() and not any(Path(copy).is_file() for copy in store.files(number)):
            yield Finding(text=f"reference {number}: {path} is gone; detection goes on, a `rebuild --fingerprint` would lose it")
