"""A library in memory, searched exactly: catalogues that are made for one measurement.

Fits `pipeline.ports.Library`; `index/` serves catalogues that stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Kinship, Reference


class MemoryLibrary:
    """Fingerprints of a few hundred recordings; ids count from 1."""

    generation = 1

    def __init__(self, names: Sequence[str], vectors: Sequence[NDArray[np.float32]]) -> None:
        self._names = names
        self._starts = np.cumsum([0, *(len(rows) for rows in vectors)])
        self._table = np.concatenate(vectors).astype(np.float16).astype(np.float32)
        self.rows = len(self._table)

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows of each vector; -inf and -1 where there are fewer."""
        similarity = vectors @ self._table.T
        rows = np.argpartition(-similarity, k, axis=1)[:, :k] if k < self.rows else np.tile(np.arange(self.rows), (len(vectors), 1))
        near = np.take_along_axis(similarity, rows, 1)
        order = np.argsort(-near, axis=1)
        missing = ((0, 0), (0, k - rows.shape[1]))
        near, rows = np.take_along_axis(near, order, 1), np.take_along_axis(rows, order, 1)
        return np.pad(near, missing, constant_values=-np.inf), np.pad(rows, missing, constant_values=-1)

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return reference id and hop of each row."""
        owner = np.searchsorted(self._starts, rows, side="right").clip(1)
        return np.where(rows >= 0, owner, -1), rows - self._starts[owner - 1]

    def hops(self, reference_id: int) -> int:
        """Return the number of fingerprints of a reference."""
        return int(self._starts[reference_id] - self._starts[reference_id - 1])

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return stored vectors of a reference."""
        first = int(self._starts[reference_id - 1])
        return self._table[first + start : first + stop]

    def shorter(self, hops: int) -> int:
        """Return the number of references with at most so many fingerprints."""
        return int(np.count_nonzero(np.diff(self._starts) <= hops))

    def kin(self, _reference_id: int) -> tuple[Kinship, ...]:
        """Return nothing: only catalogues that stay are compared with themselves."""
        return ()

    def reference(self, reference_id: int) -> Reference:
        """Return who it is."""
        return Reference(id=reference_id, path=self._names[reference_id - 1])
