"""A library that keeps its answers: for streams that are matched again and again, asking for more or less evidence.

Knows another library, which it is in every other respect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Kinship, Reference
from monitor.pipeline.ports import Library


class Remembering:
    """A library and the answers it gave: fits `pipeline.ports.Library`."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.generation, self.rows = library.generation, library.rows
        self._answers: dict[tuple[int, bytes], tuple[NDArray[np.float32], NDArray[np.int64]]] = {}

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows of each vector, [n, k] each."""
        keys = [(k, row.tobytes()) for row in vectors]
        new = [at for at, key in enumerate(keys) if key not in self._answers]
        if new:
            for at, near, rows in zip(new, *self._library.search(vectors[new], k), strict=True):
                self._answers[keys[at]] = near, rows
        found = [self._answers[key] for key in keys]
        return np.stack([near for near, _ in found]), np.stack([rows for _, rows in found])

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return reference id and hop of each row."""
        return self._library.locate(rows)

    def hops(self, reference_id: int) -> int:
        """Return the number of fingerprints of a reference."""
        return self._library.hops(reference_id)

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return stored vectors of a reference."""
        return self._library.fingerprints(reference_id, start, stop)

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Return stored vectors of stretches; zero outside their references."""
        return self._library.stretches(reference_ids, starts, count)

    def shorter(self, hops: int) -> int:
        """Return the number of references with at most so many fingerprints."""
        return self._library.shorter(hops)

    def kin(self, reference_id: int, /) -> Sequence[Kinship]:
        """Return what a reference shares with others."""
        return self._library.kin(reference_id)

    def reference(self, reference_id: int) -> Reference:
        """Return who it is."""
        return self._library.reference(reference_id)
