"""A stretch of rows that can be searched: exactly, or in a compressed index.

Knows Faiss. Knows row numbers, not references.
"""

from __future__ import annotations

from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from monitor.index.rows import Rows

faiss.cvar.distance_compute_blas_threshold = 256
"""Queries times dimensions from which Faiss compares by one matrix product: two of ours. Its default since 1.15 (128000: a
thousand of ours) is tuned for many cores; measured on one core, 1e5 rows: 500 lookups/s with it at any batch size, and with this
1000 in batches of 4, 2100 in 16, 3400 in 64."""

GPU_SCRATCH_BYTES = 64 << 20
"""Faiss would take 1.5 GB a part; a batch of 256 lookups needs a fraction of this."""
REFETCH = 4
"""A compressed index is asked for so many times k rows, which are then compared exactly."""


class Part(Protocol):
    """The rows of a reference from `start` to `stop` of the table that were live when it was made."""

    start: int
    stop: int
    live: int
    kind: str

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows: similarities [n, k], falling, and rows [n, k]; -inf and -1 where there are fewer."""
        ...


class Exact:
    """All rows as float32, every one compared.

    Twice the memory of float16 (IndexScalarQuantizer, QT_fp16), for batches of 64 nearly twice the lookups per second (3400 against
    2000 on one core, 1e5 rows); for single ones it is a quarter, but those come only when there is little to do.
    """

    def __init__(self, rows: Rows, start: int, stop: int, *, gpu: bool) -> None:
        numbers = rows.numbers(start, stop)
        index = faiss.IndexFlatIP(rows.table.dim)
        for _some, vectors in rows.blocks(numbers):
            index.add(vectors)
        self.start, self.stop, self.live = start, stop, len(numbers)
        self.kind = "exact"
        self._numbers = numbers
        self._index = to_gpu(index) if gpu else index

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows."""
        similarities, places = self._index.search(vectors, k)
        return _cleaned(similarities, np.where(places >= 0, self._numbers[np.maximum(places, 0)], -1))


class Compressed:
    """IVF-PQ codes; what they bring up is compared again with the rows as they are stored. On the CPU, on any machine."""

    def __init__(self, index: Any, rows: Rows, stop: int) -> None:
        """Take an index whose ids are row numbers, and leave out the rows that are no one's any more."""
        if index.ntotal != rows.live_in(0, stop):
            holes = np.setdiff1d(np.arange(stop, dtype=np.int64), rows.numbers(0, stop), assume_unique=True)
            index.remove_ids(faiss.IDSelectorArray(holes))
        self.start, self.stop, self.live = 0, stop, int(index.ntotal)
        self.kind = f"ivf{index.nlist}-pq{index.pq.M}x{index.pq.nbits}"
        self._rows = rows
        self._index = index

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows, nearly always."""
        _rough, found = self._index.search(vectors, min(k * REFETCH, max(self.live, 1)))
        stored = self._rows.vectors(np.maximum(found, 0).ravel()).reshape(*found.shape, -1)
        exact = np.where(found >= 0, np.einsum("nkd,nd->nk", stored, vectors), -np.inf).astype(np.float32)
        return best(exact, found, k)


def best(similarities: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the k best of [n, m] candidates, falling; -inf and -1 where there are fewer."""
    short = k - similarities.shape[1]
    if short > 0:
        similarities = np.pad(similarities, ((0, 0), (0, short)), constant_values=-np.inf)
        rows = np.pad(rows, ((0, 0), (0, short)), constant_values=-1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)


def _cleaned(similarities: NDArray[np.float32], rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.where(rows >= 0, similarities, np.float32(-np.inf)), rows


def gpus() -> int:
    """Count the GPUs Faiss can use."""
    return int(faiss.get_num_gpus())


def to_gpu(index: Any) -> Any:
    """Copy an index to the first GPU. The scratch memory belongs to the copy, so that two threads may use two copies."""
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(GPU_SCRATCH_BYTES)
    return faiss.index_cpu_to_gpu(resources, 0, index)  # the copy holds on to its resources
