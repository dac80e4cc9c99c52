"""The last fingerprints of one stream, by hop.

Keeps its newest and drops its oldest. Knows hops and vectors; a hop that was never heard (a gap, shed windows) is marked as
missing. Knows nothing of recordings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Fingerprints [capacity, dim] of consecutive hops, the newest at `newest`."""

    def __init__(self, capacity: int, dim: int) -> None:
        self._vectors = np.zeros((capacity, dim), np.float32)
        self._held = np.full(capacity, -1, np.int64)
        self.newest = -1

    def __repr__(self) -> str:
        return f"Ring({len(self._held)} hops, newest {self.newest})"

    def put(self, hop: int, vector: NDArray[np.float32]) -> None:
        """Keep the vector [dim] of a hop.

        Raises:
            ValueError: The hop is not newer than the newest.
        """
        if hop <= self.newest:
            raise ValueError(f"hop {hop} is not newer than {self.newest}")
        at = hop % len(self._held)
        self._vectors[at] = vector
        self._held[at] = hop
        self.newest = hop

    def last(self, count: int, *, until: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the vectors [count, dim] of the hops up to `until` (the newest), oldest first, and which of them were heard.

        Those not heard, or no longer kept, are zero.
        """
        end = self.newest if until is None else until
        hops = np.arange(end - count + 1, end + 1)
        at = hops % len(self._held)
        heard = (self._held[at] == hops) & (hops >= 0)
        return np.where(heard[:, None], self._vectors[at], 0.0).astype(np.float32), heard

    @property
    def capacity(self) -> int:
        """Hops that can be kept."""
        return len(self._held)
