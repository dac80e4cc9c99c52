"""Which recordings of a catalogue share sound: every new one is compared with all, once.

Knows which recordings are new, and how much is done at a time; `core/kinship.py` knows how it is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.catalog.writer import Writer
from monitor.core.kinship import STEP, Stored, kin

QUERIES = 1024
"""Windows looked for between two commits."""


def compare(store: Writer) -> int:
    """Compare the recordings that never were with the whole catalogue, and keep what they share.

    Interrupted, it goes on with the rest when called again.

    Returns:
        How many recordings were compared.

    Raises:
        CatalogError: No space, or the folder cannot be written.
    """
    entries = sorted((entry for entry in store.entries() if entry.hops), key=lambda entry: entry.row_start)
    everyone = [Stored(id=entry.reference.id, row_start=entry.row_start, hops=entry.hops) for entry in entries]
    pending = set(store.uncompared())
    new = [one for one in everyone if one.id in pending]
    if new:
        table = store.rows()
        for some in _portions(new):
            store.keep_kin(kin(some, everyone, table))
    return len(new)


def _portions(recordings: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Cut the new recordings into portions of about QUERIES windows."""
    portion: list[Stored] = []
    size = 0
    for one in recordings:
        portion.append(one)
        size += -(-one.hops // STEP)
        if size >= QUERIES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
