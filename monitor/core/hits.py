"""Which places in the catalogue the last seconds of a stream keep pointing at.

Collects what the searches returned and proposes alignments worth scoring. Knows reference ids, positions and evidence; a hit votes
for its diagonal (position - hop) and the two beside it, since speed and the hop grid move it about. Only places that were pointed
at just now are proposed: nothing has changed about the others. Knows nothing of vectors.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN

PROPOSALS = 8
"""Alignments scored a hop: as many as one search returns."""
FRESH = 2
"""Hops after a hit during which its place is proposed."""
_STRIDE = 1 << 40
"""Between the diagonals of neighbouring references in one integer key."""


class Hits:
    """Search results of the last SPAN hops; the oldest are dropped."""

    def __init__(self, *, single: float) -> None:
        """Start empty.

        Args:
            single: Evidence in nats that makes one hit alone worth scoring; weaker ones need company.
        """
        self._hops: deque[tuple[int, list[int], list[float]]] = deque()
        self._weight: dict[int, float] = {}
        self._votes: dict[int, int] = {}
        self._single = single

    def put(self, hop: int, references: NDArray[np.int64], positions: NDArray[np.int64], nats: NDArray[np.float32]) -> None:
        """Keep the hits of one hop that speak for their recording; all arrays [k]."""
        while self._hops and self._hops[0][0] <= hop - SPAN:
            self._forget(*self._hops.popleft()[1:])
        good = nats > 0.0
        if good.any():
            keys: list[int] = (references[good] * _STRIDE + positions[good] - hop).tolist()
            worth: list[float] = nats[good].tolist()
            self._hops.append((hop, keys, worth))
            for key, one in zip(keys, worth, strict=True):
                self._weight[key] = self._weight.get(key, 0.0) + one
                self._votes[key] = self._votes.get(key, 0) + 1

    def _forget(self, keys: list[int], worth: list[float]) -> None:
        for key, one in zip(keys, worth, strict=True):
            self._weight[key] -= one
            self._votes[key] -= 1
            if not self._votes[key]:
                del self._weight[key], self._votes[key]

    def proposals(self, hop: int) -> list[tuple[int, int]]:
        """Return the (reference id, position at `hop`) that gathered most evidence, best first."""
        fresh = {key for at, keys, _ in reversed(self._hops) if at > hop - FRESH for key in keys}
        worth = []
        for key in fresh:
            beside = (key - 1, key, key + 1)
            total = sum(self._weight.get(one, 0.0) for one in beside)
            if total > self._single or sum(self._votes.get(one, 0) for one in beside) > 1:
                worth.append((-total, key))
        taken: list[tuple[int, int]] = []
        seen: set[int] = set()
        for _, key in sorted(worth):
            if key - 1 in seen or key + 1 in seen:
                continue
            seen.add(key)
            reference, diagonal = divmod(key + _STRIDE // 2, _STRIDE)
            taken.append((reference, diagonal - _STRIDE // 2 + hop))
            if len(taken) == PROPOSALS:
                break
        return taken
