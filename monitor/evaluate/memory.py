"""A library in memory, searched exactly: catalogues that are made for one measurement.

Fits `pipeline.ports.Library`; `index/` serves catalogues that stay.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.alignment import stored
from monitor.messages import Kinship, Reference

COLUMNS = 32768
"""Rows compared at a time: what is compared stays small."""


class MemoryLibrary:
    """Fingerprints of a few hundred recordings; ids count from 1."""

    generation = 1

    def __init__(self, names: Sequence[str], vectors: Sequence[NDArray[np.float32]], columns: int = COLUMNS) -> None:
        self._names, self._columns = names, columns
        self._hidden: list[tuple[int, int]] = []
        self._starts = np.cumsum([0, *(len(rows) for rows in vectors)])
        self._table = np.concatenate(vectors).astype(np.float16).astype(np.float32)
        self.rows = len(self._table)

    def without(self, references: Collection[int]) -> MemoryLibrary:
        """Return the same library, in which a search does not find these references."""
        view = copy.copy(self)
        view._hidden = [(int(self._starts[one - 1]), int(self._starts[one])) for one in references]
        return view

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows of each vector; -inf and -1 where there are fewer."""
        asked, table = torch.from_numpy(np.ascontiguousarray(vectors)), torch.from_numpy(self._table)
        near = torch.full((len(vectors), k), -torch.inf)
        rows = torch.full((len(vectors), k), -1)
        for first in range(0, self.rows, self._columns):
            similarity = asked @ table[first : first + self._columns].T
            for start, stop in self._hidden:
                similarity[:, max(start - first, 0) : max(stop - first, 0)] = -torch.inf
            block, found = similarity.topk(min(k, similarity.shape[1]), dim=1)
            near, kept = torch.cat([near, block], dim=1).topk(k, dim=1)
            rows = torch.cat([rows, found + first], dim=1).gather(1, kept)
        return near.numpy(), torch.where(near == -torch.inf, -1, rows).numpy()

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

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Return stored vectors of stretches; zero outside their references."""
        return np.stack([stored(self, who, start, count) for who, start in zip(reference_ids, starts, strict=True)])

    def shorter(self, hops: int) -> int:
        """Return the number of references with at most so many fingerprints."""
        return int(np.count_nonzero(np.diff(self._starts) <= hops))

    def kin(self, _reference_id: int) -> tuple[Kinship, ...]:
        """Return nothing: only catalogues that stay are compared with themselves."""
        return ()

    def reference(self, reference_id: int) -> Reference:
        """Return who it is."""
        return Reference(id=reference_id, path=self._names[reference_id - 1])
