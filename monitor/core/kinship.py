"""Stretches that two recordings share: re-issues, edits, versions, the same bed under two voices.

Knows fingerprints and straight lines through them; recordings of a catalogue are stored at the same speed, so the lines are
diagonals. Knows nothing of files or searches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Kinship

SAME_SOUND = 0.7
"""Mean similarity of two stored stretches from which on they count as the same sound, however they were cut into windows: cut half
a hop apart, the same sound has 0.86 in the median (demo's recordings, encoder of November 2026)."""
SMOOTHED = 4
"""Hops over which the similarity is averaged: two seconds."""
LEAST_HOPS = 4
"""Shorter stretches are no kinship: two and a half seconds of sound, a jingle."""
STEP = 2
"""Every second window of a recording is looked for: a shared stretch of LEAST_HOPS holds two of them."""
VOTES = 2
"""Windows that must agree on a place before it is looked at closely."""
DIAGONALS = 64
"""Places in one other recording that are looked at closely, at most: two drones fit each other everywhere."""
AT_A_TIME = 1 << 24
"""Pairs of windows compared at a time: 64 MB of similarities."""
_DIAGONALS = 1 << 24
"""More than there are diagonals between two recordings: 48 days of sound."""
COVERED = 0.5
"""Share of a stretch that longer ones may cover before it says nothing new."""


def shared(mine: NDArray[np.float32], theirs: NDArray[np.float32], diagonal: int) -> list[tuple[int, int]]:
    """Find where one recording [n, dim] is the same sound as another [m, dim] whose position is higher by `diagonal`.

    Returns:
        Start and stop hop in the first recording, of each stretch, by start.
    """
    first, last = max(0, -diagonal), min(len(mine), len(theirs) - diagonal)
    if last - first < LEAST_HOPS:
        return []
    alike = np.einsum("nd,nd->n", mine[first:last], theirs[first + diagonal : last + diagonal])
    total = np.concatenate([[0.0], alike.cumsum()])
    mean = (total[SMOOTHED:] - total[:-SMOOTHED]) / SMOOTHED
    same = np.zeros(len(alike), np.bool_)
    for at in np.nonzero(mean >= SAME_SOUND)[0]:
        same[at : at + SMOOTHED] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    found = []
    for start, stop in edges.reshape(-1, 2):
        inside = start + np.flatnonzero(alike[start:stop] >= SAME_SOUND)  # smoothing has reached beyond the ends
        if len(inside) and inside[-1] + 1 - inside[0] >= LEAST_HOPS:
            found.append((first + int(inside[0]), first + int(inside[-1]) + 1))
    return found


def longest(stretches: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Choose from (start, stop, diagonal) those not mostly covered by longer ones: a loop fits itself at every turn.

    Returns:
        The chosen, by start.
    """
    if not stretches:
        return []
    covered = np.zeros(max(stop for _, stop, _ in stretches), np.bool_)
    chosen = []
    for start, stop, diagonal in sorted(stretches, key=lambda one: (one[0] - one[1], one)):
        if covered[start:stop].mean() <= COVERED:
            covered[start:stop] = True
            chosen.append((start, stop, diagonal))
    return sorted(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where the fingerprints of a recording stand in a table."""

    id: int
    row_start: int
    hops: int

    def vectors(self, table: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return them, [hops, dim]."""
        return table[self.row_start : self.row_start + self.hops].astype(np.float32)


def kin(some: Sequence[Stored], everyone: Sequence[Stored], table: NDArray[np.float16]) -> dict[int, list[Kinship]]:
    """Find what some recordings share with all.

    The comparison is exact: the nearest neighbours of an index would be filled by a recording that repeats itself. Every second
    window of the some is compared with every row.

    Args:
        some: Whose kin is asked for; the work is done for all of them at once.
        everyone: All recordings, by row.
        table: Their fingerprints, float16 [rows, dim].

    Returns:
        What each of the some shares, by id.
    """
    at = {one.id: one for one in everyone}
    found: dict[int, list[Kinship]] = {}
    for one, places in zip(some, _places(some, everyone, table), strict=True):
        mine = one.vectors(table)
        stretches: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for other in {other for other, _ in places}:
            theirs = at[other].vectors(table)
            for diagonal in (diagonal for owner, diagonal in places if owner == other):
                stretches[other] += [(start, stop, diagonal) for start, stop in shared(mine, theirs, diagonal)]
        found[one.id] = [
            Kinship(start=start, stop=stop, other_id=other, other_start=start + diagonal)
            for other, parts in sorted(stretches.items())
            for start, stop, diagonal in longest(parts)
        ]
    return found


def _places(some: Sequence[Stored], everyone: Sequence[Stored], table: NDArray[np.float16]) -> list[set[tuple[int, int]]]:
    """Return for each of some recordings the (id, diagonal) that several of its windows point at."""
    owner = np.concatenate([np.full(-(-one.hops // STEP), at) for at, one in enumerate(some)])
    place = np.concatenate([np.arange(0, one.hops, STEP) for one in some])
    rows = np.concatenate([np.arange(one.row_start, one.row_start + one.hops, STEP) for one in some])
    asked = table[rows].astype(np.float32)
    starts = np.array([one.row_start for one in everyone])
    lengths = np.array([one.hops for one in everyone])
    numbers = np.array([one.id for one in everyone])
    own = np.array([one.id for one in some])
    votes: defaultdict[int, int] = defaultdict(int)
    block = max(AT_A_TIME // max(len(asked), 1), 1)
    for first in range(0, len(table), block):
        query, row = np.nonzero(asked @ table[first : first + block].astype(np.float32).T >= SAME_SOUND)
        at = np.searchsorted(starts, row + first, side="right") - 1
        hop = row + first - starts[at]
        good = (at >= 0) & (hop < lengths[at]) & (numbers[at] != own[owner[query]])
        keys = (owner[query[good]] * len(everyone) + at[good]) * _DIAGONALS + hop[good] - place[query[good]] + _DIAGONALS // 2
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
        number = int(numbers[pair % len(everyone)])
        places[pair // len(everyone)] |= {(number, diagonal) for _, diagonal in sorted(found)[:DIAGONALS]}
    return places
