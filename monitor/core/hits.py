"""Which places in the catalogue the last seconds of a stream keep pointing at.

Collects what the searches returned and proposes alignments worth scoring. Knows reference ids, positions and evidence; a hit
votes for its
diagonal (position - hop) and the two beside it, since speed and the hop grid move it about. Knows nothing of vectors.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN

PROPOSALS = 8
"""Alignments scored a hop: as many as one search returns."""
_STRIDE = 1 << 40
"""Between the diagonals of neighbouring references in one integer key."""


class Hits:
    """Search results of the last SPAN hops; the oldest are dropped."""

    def __init__(self, *, single: float) -> None:
        """Start empty.

        Args:
            single: Evidence in nats that makes one hit alone worth scoring; weaker ones need company.
        """
        self._hops: deque[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = deque()
        self._single = single

    def put(self, hop: int, references: NDArray[np.int64], positions: NDArray[np.int64], nats: NDArray[np.float32]) -> None:
        """Keep the hits of one hop that speak for their recording; all arrays [k]."""
        while self._hops and self._hops[0][0] <= hop - SPAN:
            self._hops.popleft()
        good = nats > 0.0
        if good.any():
            self._hops.append((hop, references[good] * _STRIDE + positions[good] - hop, nats[good]))

    def proposals(self, hop: int) -> list[tuple[int, int]]:
        """Return the (reference id, position at `hop`) that gathered most evidence, best first."""
        if not self._hops:
            return []
        every = np.concatenate([keys for _, keys, _ in self._hops])
        keys, which = np.unique(every, return_inverse=True)
        weight = np.bincount(which, np.concatenate([nats for _, _, nats in self._hops]))
        total = weight.copy()
        votes = np.bincount(which)
        count = votes.copy()
        beside = np.nonzero(np.diff(keys) == 1)[0]
        for to, source in ((beside, beside + 1), (beside + 1, beside)):
            total[to] += weight[source]
            count[to] += votes[source]
        worth = np.nonzero((count > 1) | (total > self._single))[0]
        best = worth[np.argsort(-total[worth], kind="stable")]
        taken: list[tuple[int, int]] = []
        seen: set[int] = set()
        for index in best:
            key = int(keys[index])
            if key - 1 in seen or key + 1 in seen:
                continue
            seen.add(key)
            reference, diagonal = divmod(key + _STRIDE // 2, _STRIDE)
            taken.append((reference, diagonal - _STRIDE // 2 + hop))
            if len(taken) == PROPOSALS:
                break
        return taken
