"""One generation of the catalogue, ready to be searched: exactly while it is small, compressed when it is large.

Knows which rows to search how, and what of the generation before can be used again. Knows neither the database nor audio.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.index import ivfpq
from monitor.index.parts import Compressed, Exact, Part, best, gpus
from monitor.index.rows import Rows
from monitor.messages import Kinship, Reference, Table

EXACT_ROWS = 50_000
"""Up to here (7 hours of recordings) every row is compared: 0.15 ms a lookup, and the answer is exact."""
GPU_EXACT_ROWS = 10_000_000
"""On a GPU every row is compared up to here: 5 GB of its memory."""
TAIL_SHARE = 0.1
"""Rows added since the main part was made are searched beside it until they are more than this share of it."""
TAIL_ROWS = 8192
"""A tail shorter than this is never worth a new main part."""

THREADS = 1
"""CPU threads of a search. Two on two idle cores find 1.5 times as much, but they wait for each other spinning: with another
process on the cores a lookup was measured ten to thirty times slower than with one."""

log = structlog.get_logger()


class Snapshot:
    """One generation, immutable: fits `pipeline.ports.Library`. Called from one thread at a time."""

    def __init__(self, rows: Rows, parts: tuple[Part, ...], threads: int) -> None:
        self._rows = rows
        self._threads = threads
        self.parts = parts
        self.generation = rows.table.generation
        self.rows = rows.live
        self.references = len(rows.table.reference_ids)

    def __repr__(self) -> str:
        """Say what is in it."""
        return f"Snapshot(generation {self.generation}, {self.references} references, {self.rows} rows, {self.kind})"

    @property
    def table(self) -> Table:
        """What it was loaded from."""
        return self._rows.table

    @property
    def kind(self) -> str:
        """How it is searched, in a word: a metric's label."""
        return self.parts[0].kind if self.parts else "empty"

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows of each vector: similarities [n, k] (inner product, falling), rows [n, k]; -inf, -1: none."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if self._threads:
            faiss.omp_set_num_threads(self._threads)  # OpenMP keeps it per calling thread, and who calls may change
        found = [part.search(vectors, k) for part in self.parts if part.live]
        if len(found) == 1:
            return found[0]
        nothing = (np.zeros((len(vectors), 0), np.float32), np.zeros((len(vectors), 0), np.int64))
        similarities, rows = zip(nothing, *found, strict=True)
        return best(np.concatenate(similarities, axis=1), np.concatenate(rows, axis=1), k)

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return reference id and hop of each row, in the shape of `rows`; -1 and -1 for a row that is no one's."""
        return self._rows.locate(rows)

    def hops(self, reference_id: int) -> int:
        """Return the number of fingerprints of a reference; 0 when it is not in this generation."""
        return self._rows.hops(reference_id)

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return stored vectors [stop - start, dim] of a reference."""
        return self._rows.fingerprints(reference_id, start, stop)

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Return stored vectors [n, count, dim] of n stretches; zero outside their references."""
        return self._rows.stretches(reference_ids, starts, count)

    def shorter(self, hops: int) -> int:
        """Return the number of references with at most so many fingerprints."""
        return int(np.count_nonzero(self._rows.table.hops <= hops))

    def kin(self, reference_id: int) -> tuple[Kinship, ...]:
        """Return what a reference shares with others."""
        return self._rows.table.kin.get(reference_id, ())

    def reference(self, reference_id: int) -> Reference:
        """Return who it is."""
        return self._rows.reference(reference_id)


def load(table: Table, previous: Snapshot | None = None, *, threads: int = THREADS, exact_rows: int | None = None) -> Snapshot:
    """Make a generation searchable. Called in a worker thread; quick when `previous` is the generation just before.

    A large catalogue's compressed index is read from disk. It is only trained here when there is none at all; when its tail has
    grown too long the tail is searched nevertheless, and `stale` says that it is time for `build`.

    Args:
        table: What is to be loaded.
        previous: The generation in service, whose parts are used again where nothing in them was removed.
        threads: CPU threads of a search; 0 leaves it to OpenMP (all cores).
        exact_rows: Beyond so many rows the compressed index is used; by default, `exact_limit`.

    Raises:
        Transient: The catalogue was rebuilt since the table was read; read the table again.
    """
    rows = Rows(table)
    on_gpu = gpus() > 0
    large = _is_large(rows, exact_rows)
    main = _reusable(previous, rows, large=large)
    if main is None and large:
        main = _compressed(rows)
    if main is None:
        main = Exact(rows, 0, table.rows, gpu=on_gpu)
    tail = rows.live_in(main.stop, table.rows)
    parts = (main, Exact(rows, main.stop, table.rows, gpu=on_gpu)) if tail else (main,)
    return Snapshot(rows, parts, threads)


def _reusable(previous: Snapshot | None, rows: Rows, *, large: bool) -> Part | None:
    """Return the main part of the generation before, if it still tells the truth and is worth keeping."""
    if previous is None or previous.table.path != rows.table.path or previous.rows == 0:
        return None
    main = previous.parts[0]
    if isinstance(main, Exact) == large or rows.live_in(0, main.stop) != main.live:
        return None  # rows are never used twice, so the same number of live ones means the same ones
    tail = rows.live_in(main.stop, rows.table.rows)
    if too_long(tail, main.live) and (not large or ivfpq.covered(rows.table) > main.stop):
        return None
    return main


def _compressed(rows: Rows) -> Compressed:
    stop, index = ivfpq.restore(rows.table)
    if index is None:
        stop, index = rows.table.rows, build(rows.table)
    return Compressed(index, rows, stop)


def too_long(tail: int, main: int) -> bool:
    """Say whether a tail of rows is worth a new main part."""
    return tail > max(TAIL_ROWS, TAIL_SHARE * main)


def exact_limit() -> int:
    """Return the number of rows up to which this machine compares with every one."""
    return GPU_EXACT_ROWS if gpus() else EXACT_ROWS


def _is_large(rows: Rows, exact_rows: int | None) -> bool:
    return rows.live > (exact_limit() if exact_rows is None else exact_rows)


def stale(table: Table, *, exact_rows: int | None = None) -> bool:
    """Say whether the compressed index of a large catalogue is missing or has too long a tail: time for `build`."""
    rows = Rows(table)
    stop = ivfpq.covered(table)
    return _is_large(rows, exact_rows) and too_long(rows.live_in(stop, table.rows), rows.live_in(0, stop))


def build(table: Table) -> object:
    """Train the compressed index of all live rows and return it; it is kept beside them where the folder can be written.

    Raises:
        Transient: The catalogue was rebuilt since the table was read.
    """
    index = ivfpq.train(Rows(table))
    try:
        ivfpq.save(index, table)
    except OSError as error:
        log.warning(
            "index_not_kept",
            path=str(ivfpq.cache_path(table)),
            reason=str(error),
            consequence="it is trained again at the next start",
        )
    return index
