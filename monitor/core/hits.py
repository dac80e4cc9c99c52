"""Which places in the catalogue the last seconds of a stream keep pointing at.

Collects what the searches returned and proposes alignments worth scoring. Knows reference ids, positions and evidence; a hit votes
for its diagonal (position - hop) and the two beside it, since speed and the hop grid move it about. Only places that were pointed
at just now are proposed: nothing has changed about the others. Knows nothing of vectors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN
from monitor.core.evidence import Evidence

PROPOSALS = 8
"""Alignments scored a hop: as many as one search returns."""
FRESH = 2
"""Hops after a hit during which its place is proposed."""
_STRIDE = 1 << 40
"""Between the diagonals of neighbouring references in one integer key."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one search found that speaks for its recording, [k] each."""

    references: Sequence[int]
    positions: Sequence[int]
    """Hops into the recording."""
    similarity: Sequence[float]
    nats: Sequence[float]


NOTHING = Found((), (), (), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What many searches found that speaks for its recording, by search; all arrays [hits]."""

    searches: int
    search: NDArray[np.int64]
    """Which of them found it, rising."""
    references: NDArray[np.int64]
    positions: NDArray[np.int64]
    similarity: NDArray[np.float32]
    nats: NDArray[np.float32]

    @staticmethod
    def of(
        references: NDArray[np.int64], positions: NDArray[np.int64], similarity: NDArray[np.float32], evidence: Evidence
    ) -> Findings:
        """Take what was found, [searches, k] each; an id of -1 is no hit."""
        nats = evidence.of_hit(similarity)
        good = (references >= 0) & (nats > 0.0)
        return Findings(
            searches=len(good),
            search=np.nonzero(good)[0],
            references=references[good],
            positions=positions[good],
            similarity=similarity[good],
            nats=nats[good],
        )

    def where(self, good: NDArray[np.bool_]) -> Findings:
        """Return some of them."""
        return Findings(
            searches=self.searches,
            search=self.search[good],
            references=self.references[good],
            positions=self.positions[good],
            similarity=self.similarity[good],
            nats=self.nats[good],
        )

    def one_by_one(self) -> list[Found]:
        """Return what each search found, [searches]."""
        found = [NOTHING] * self.searches
        firsts = np.flatnonzero(np.diff(self.search, prepend=-1)).tolist()
        who, where = self.references.tolist(), self.positions.tolist()
        alike, worth = self.similarity.tolist(), self.nats.tolist()
        for first, last in pairwise([*firsts, len(who)]):
            part = slice(first, last)
            found[self.search[first]] = Found(who[part], where[part], alike[part], worth[part])
        return found


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

    def put(self, hop: int, references: Sequence[int], positions: Sequence[int], nats: Sequence[float]) -> None:
        """Keep the hits of one hop that speak for their recording, [k] each."""
        while self._hops and self._hops[0][0] <= hop - SPAN:
            self._forget(*self._hops.popleft()[1:])
        good = [(who * _STRIDE + at - hop, one) for who, at, one in zip(references, positions, nats, strict=True) if one > 0.0]
        if good:
            keys, worth = [key for key, _ in good], [one for _, one in good]
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

    def fresh(self, hop: int) -> bool:
        """Say whether anything was pointed at that would still be proposed."""
        return bool(self._hops) and self._hops[-1][0] > hop - FRESH

    def proposals(self, hop: int) -> list[tuple[int, int]]:
        """Return the (reference id, position at `hop`) that gathered most evidence, best first."""
        if not self.fresh(hop):
            return []
        fresh: set[int] = set()
        for at, keys, _ in reversed(self._hops):
            if at <= hop - FRESH:
                break
            fresh.update(keys)
        worth = []
        weight, votes = self._weight.get, self._votes.get
        for key in fresh:
            total = weight(key - 1, 0.0) + weight(key, 0.0) + weight(key + 1, 0.0)
            if total > self._single or votes(key - 1, 0) + votes(key, 0) + votes(key + 1, 0) > 1:
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
