"""Which rows of the fingerprint file belong to whom.

Knows row numbers. Knows nothing of similarity; reads fingerprints only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.halves import single
from monitor.errors import Transient
from monitor.messages import Reference, Table

BLOCK_ROWS = 65536
"""Rows read at a time: 16 MB of float16, 32 MB of float32."""


class Rows:
    """The table of one generation, mapped, never copied."""

    def __init__(self, table: Table) -> None:
        """Map the file.

        Raises:
            Transient: It is gone: the catalogue was rebuilt since the table was read. Read the table again.
        """
        self.table = table
        self._at = {int(number): at for at, number in enumerate(table.reference_ids)}
        self._live_before = np.concatenate([[0], np.cumsum(table.hops)]).astype(np.int64)
        try:
            shape = (table.rows, table.dim)
            mapped = np.memmap(table.path, np.float16, "r", shape=shape) if table.rows else np.zeros(shape, np.float16)
            self._vectors = np.asarray(mapped)  # still mapped; every slice of a memmap object itself costs a few microseconds more
        except (OSError, ValueError) as error:
            raise Transient(f"{table.path} cannot be read ({error}): if it was changed meanwhile, read it again") from error

    @property
    def live(self) -> int:
        """Rows that belong to a reference."""
        return int(self._live_before[-1])

    def live_in(self, start: int, stop: int) -> int:
        """Count the rows from start to stop that belong to a reference."""
        return int(self._before(stop) - self._before(start))

    def _before(self, row: int) -> int:
        at = int(np.searchsorted(self.table.row_starts, row, side="right")) - 1
        if at < 0:
            return 0
        return int(self._live_before[at] + min(row - self.table.row_starts[at], self.table.hops[at]))

    def numbers(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the row numbers from start to stop that belong to a reference, rising, shape [live_in(start, stop)]."""
        pieces = [
            np.arange(max(first, start), min(first + count, stop), dtype=np.int64)
            for first, count in zip(self.table.row_starts.tolist(), self.table.hops.tolist(), strict=True)
            if first < stop and first + count > start
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the fingerprints [..., dim] of rows [...]."""
        return single(self._vectors[rows])

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield rows and their fingerprints, some at a time."""
        for at in range(0, len(rows), BLOCK_ROWS):
            some = rows[at : at + BLOCK_ROWS]
            yield some, self.vectors(some)

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return reference id and hop of each row, in the shape of `rows`; -1 and -1 for a row that is no one's."""
        if not len(self.table.row_starts):
            return np.full_like(rows, -1), np.full_like(rows, -1)
        at = np.maximum(np.searchsorted(self.table.row_starts, rows, side="right") - 1, 0)
        hops = rows - self.table.row_starts[at]
        owned = (hops >= 0) & (hops < self.table.hops[at])
        return np.where(owned, self.table.reference_ids[at], -1), np.where(owned, hops, -1)

    def hops(self, reference_id: int) -> int:
        """Return the number of fingerprints of a reference, 0 when it is not there."""
        at = self._at.get(reference_id)
        return 0 if at is None else int(self.table.hops[at])

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return fingerprints [stop - start, dim] of a reference.

        Raises:
            KeyError: No such reference in this generation.
            IndexError: The range is not within it.
        """
        at = self._at[reference_id]
        if not 0 <= start <= stop <= self.table.hops[at]:
            raise IndexError(f"hops {start} to {stop} of reference {reference_id}, which has {self.table.hops[at]}")
        first = int(self.table.row_starts[at])
        return self._vectors[first + start : first + stop].astype(np.float32)

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Return fingerprints [n, count, dim] of n stretches of as many hops; those outside their reference are zero.

        Raises:
            KeyError: No such reference in this generation.
        """
        at = [self._at[one] for one in reference_ids]
        hops = np.array(starts, np.int64)[:, None] + np.arange(count)
        inside = (hops >= 0) & (hops < self.table.hops[at][:, None])
        rows = hops + self.table.row_starts[at][:, None]
        if inside.all():
            return self.vectors(rows)
        found = np.zeros((*hops.shape, self.table.dim), np.float32)
        found[inside] = self.vectors(rows[inside])
        return found

    def reference(self, reference_id: int) -> Reference:
        """Return who it is.

        Raises:
            KeyError: No such reference in this generation.
        """
        return self.table.references[reference_id]
