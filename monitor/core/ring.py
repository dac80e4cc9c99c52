"""The last fingerprints of one stream, by hop.

Keeps its newest and drops its oldest. Knows hops and vectors; a hop that was never heard (a gap, shed windows) is marked as
missing. Knows nothing of recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.evidence import NEAREST
from monitor.core.halves import single

RECENT = 24
"""Hops kept at hand as they are scored together: 12 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Consecutive hops of a stream, oldest first."""

    newest: int
    """Hop of the last."""
    vectors: NDArray[np.float32]
    """[n, dim]; zero where nothing was heard."""
    context: NDArray[np.float32]
    """What common sounds account for, [n, NEAREST, dim], see `Evidence.context`."""
    present: NDArray[np.bool_]
    """[n]: what was heard."""

    def __len__(self) -> int:
        return len(self.present)

    @property
    def hops(self) -> NDArray[np.int64]:
        """[n], rising by one."""
        return np.arange(self.newest - len(self) + 1, self.newest + 1)

    def tail(self, count: int) -> Heard:
        """Return the last `count` hops."""
        first = len(self) - count
        return Heard(
            newest=self.newest,
            vectors=self.vectors[first:],
            context=self.context[first:],
            present=self.present[first:],
        )

    def head(self, count: int) -> Heard:
        """Return the first `count` hops."""
        return Heard(
            newest=self.newest - len(self) + count,
            vectors=self.vectors[:count],
            context=self.context[:count],
            present=self.present[:count],
        )

    def similarity(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner product [n] of what was heard and stored fingerprints [n, dim]."""
        plain: NDArray[np.float32] = np.einsum("nd,nd->n", self.vectors, stored)
        return plain

    def distinct(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the similarity [n] to stored fingerprints [n, dim] beyond what common sounds account for."""
        return self.similarity(stored) - self.common(stored)

    def common(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much of the similarity [n] to stored fingerprints [n, dim] common sounds account for."""
        common: NDArray[np.float32] = np.einsum("nkd,nd->nk", self.context, stored).max(axis=1).clip(0.0)
        return common


class Ring:
    """Fingerprints of consecutive hops, the newest at `newest`; holds `capacity` of them."""

    def __init__(self, capacity: int, dim: int) -> None:
        self._vectors = np.zeros((capacity, dim), np.float32)
        self._context = np.zeros((capacity, NEAREST, dim), np.float16)
        self._held = np.full(capacity, -1, np.int64)
        # Each is written twice, RECENT apart, so that the last RECENT always stand in a row.
        self._recent = np.zeros((2 * RECENT, 1 + NEAREST, dim), np.float32)
        self._fresh = np.zeros(2 * RECENT, np.bool_)
        self.now = np.zeros((1 + NEAREST, dim), np.float32)
        """The newest vector, and its context in the rows below: what is kept of contexts is a little coarser."""
        self.newest = -1

    def __repr__(self) -> str:
        return f"Ring({len(self._held)} hops, newest {self.newest})"

    def put(self, hop: int, vector: NDArray[np.float32], context: NDArray[np.float32]) -> None:
        """Keep the vector [dim] of a hop and its context [NEAREST, dim].

        Raises:
            ValueError: The hop is not newer than the newest.
        """
        if hop <= self.newest:
            raise ValueError(f"hop {hop} is not newer than {self.newest}")
        at = hop % len(self._held)
        self._vectors[at] = vector
        self._context[at] = context
        self._held[at] = hop
        for missing in range(max(self.newest + 1, hop - RECENT + 1), hop):
            self._recent[missing % RECENT :: RECENT] = 0.0
            self._fresh[missing % RECENT :: RECENT] = False
        here = hop % RECENT
        self._recent[here, 0] = vector
        self._recent[here, 1:] = self._context[at]
        self._recent[here + RECENT] = self._recent[here]
        self._fresh[here] = self._fresh[here + RECENT] = True
        self.now = np.concatenate((vector[None], context))
        self.newest = hop

    def last(self, count: int) -> Heard:
        """Return the newest `count` hops; those not heard, or no longer kept, are not present."""
        hops = np.arange(self.newest - count + 1, self.newest + 1)
        at = hops % len(self._held)
        present = (self._held[at] == hops) & (hops >= 0)
        vectors, context = self._vectors[at], single(self._context[at])
        if not present.all():
            vectors[~present] = 0.0
            context[~present] = 0.0
        return Heard(newest=self.newest, vectors=vectors, context=context, present=present)

    def recent(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the last RECENT vectors and contexts together, [RECENT, 1 + NEAREST, dim], and which of them were heard.

        They are views, and hold until the next `put`.
        """
        first = (self.newest + 1) % RECENT
        return self._recent[first : first + RECENT], self._fresh[first : first + RECENT]

    @property
    def capacity(self) -> int:
        """Hops that can be kept."""
        return len(self._held)
