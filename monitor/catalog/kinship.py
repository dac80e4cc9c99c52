"""Which recordings of a catalogue share sound: every new one is compared with all, once.

Knows the fingerprint file and the database. The comparison is exact and in blocks, whatever index the daemon will search: a
recording that repeats itself would fill the nearest neighbours of an index with itself. Every second window of a new recording is
compared with every row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.catalog.store import Entry
from monitor.catalog.writer import Writer
from monitor.core.kinship import SAME_SOUND, longest, shared
from monitor.messages import Kinship

STEP = 2
"""Every second window of a new recording is looked for: a shared stretch of LEAST_HOPS holds two of them."""
BLOCK_ROWS = 16_384
QUERIES = 1024
"""Windows looked for at a time: with a block, 64 MB of similarities."""
VOTES = 2
"""Windows that must agree on a place before it is looked at closely."""

DIAGONALS = 64
"""Places in one other recording that are looked at closely, at most: two drones fit each other everywhere."""
_DIAGONALS = 1 << 24
"""More than there are diagonals between two recordings: 24 days of sound."""

Vectors = NDArray[np.float32]


def compare(store: Writer) -> int:
    """Compare the recordings that never were with the whole catalogue, and keep what they share.

    Interrupted, it goes on with the rest when called again.

    Args:
        store: The catalogue.

    Returns:
        How many recordings were compared.

    Raises:
        CatalogError: No space, or the folder cannot be written.
    """
    everyone = {entry.reference.id: entry for entry in store.entries() if entry.hops}
    pending = [everyone[number] for number in store.uncompared() if number in everyone]
    if not pending:
        return 0
    table = store.rows()
    order = sorted(everyone.values(), key=lambda entry: entry.row_start)
    for some in _portions(pending):
        found = {entry.reference.id: _kin(entry, places, everyone, table) for entry, places in _near(some, order, table)}
        store.keep_kin(found)
    return len(pending)


def _portions(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut the new recordings into portions of about QUERIES windows."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        portion.append(entry)
        size += -(-entry.hops // STEP)
        if size >= QUERIES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _near(some: Sequence[Entry], order: Sequence[Entry], table: NDArray[np.float16]) -> list[tuple[Entry, set[tuple[int, int]]]]:
    """Return for each new recording the (reference id, diagonal) that several of its windows point at."""
    owner = np.concatenate([np.full(-(-one.hops // STEP), at) for at, one in enumerate(some)])
    place = np.concatenate([np.arange(0, one.hops, STEP) for one in some])
    rows = np.concatenate([np.arange(one.row_start, one.row_start + one.hops, STEP) for one in some])
    asked = table[rows].astype(np.float32)
    starts = np.array([one.row_start for one in order])
    lengths = np.array([one.hops for one in order])
    numbers = np.array([one.reference.id for one in order])
    own = np.array([one.reference.id for one in some])
    votes: defaultdict[int, int] = defaultdict(int)
    for first in range(0, len(table), BLOCK_ROWS):
        query, row = np.nonzero(asked @ table[first : first + BLOCK_ROWS].astype(np.float32).T >= SAME_SOUND)
        at = np.searchsorted(starts, row + first, side="right") - 1
        hop = row + first - starts[at]
        good = (at >= 0) & (hop < lengths[at]) & (numbers[at] != own[owner[query]])
        keys = (owner[query[good]] * len(order) + at[good]) * _DIAGONALS + hop[good] - place[query[good]] + _DIAGONALS // 2
        for key, count in zip(*(found.tolist() for found in np.unique(keys, return_counts=True)), strict=True):
            votes[key] += count
    agreed: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for key, count in votes.items():
        company = count + votes.get(key - 1, 0) + votes.get(key + 1, 0)
        if company >= VOTES:
            pair, diagonal = divmod(key, _DIAGONALS)
            agreed[pair].append((-company, diagonal - _DIAGONALS // 2))
    places: list[set[tuple[int, int]]] = [set() for _ in some]
    for pair, found in agreed.items():
        number = int(numbers[pair % len(order)])
        places[pair // len(order)] |= {(number, diagonal) for _, diagonal in sorted(found)[:DIAGONALS]}
    return list(zip(some, places, strict=True))


def _kin(entry: Entry, places: set[tuple[int, int]], everyone: dict[int, Entry], table: NDArray[np.float16]) -> list[Kinship]:
    """Look closely at the places, and say what is shared."""
    mine = _vectors(entry, table)
    stretches: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number in {number for number, _ in places}:
        theirs = _vectors(everyone[number], table)
        for diagonal in (one for other, one in places if other == number):
            stretches[number] += [(start, stop, diagonal) for start, stop in shared(mine, theirs, diagonal)]
    return [
        Kinship(start=start, stop=stop, other_id=number, other_start=start + diagonal)
        for number, found in sorted(stretches.items())
        for start, stop, diagonal in longest(found)
    ]


def _vectors(entry: Entry, table: NDArray[np.float16]) -> Vectors:
    return table[entry.row_start : entry.row_start + entry.hops].astype(np.float32)
