"""Stretches that two recordings share: re-issues, edits, versions, the same bed under two voices.

Knows fingerprints and straight lines through them; recordings of a catalogue are stored at the same speed, so the lines are
diagonals. Knows nothing of files or searches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAME_SOUND = 0.7
"""Mean similarity of two stored stretches from which on they count as the same sound, however they were cut into windows: cut half
a hop apart, the same sound has 0.86 in the median (demo's recordings, encoder of November 2026)."""
SMOOTHED = 4
"""Hops over which the similarity is averaged: two seconds."""
LEAST_HOPS = 4
"""Shorter stretches are no kinship: two and a half seconds of sound, a jingle."""
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
