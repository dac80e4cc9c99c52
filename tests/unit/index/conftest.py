"""Tables of the catalogue on disk, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.messages import Reference, Table

DIM = 128


@pytest.fixture
def table_of(tmp_path: Path) -> Callable[..., Table]:
    """Return a function that writes references of these lengths one after the other, some of them removed again."""

    def make(hops: Sequence[int], removed: Sequence[int] = (), number: int = 1, generation: int = 1) -> Table:
        path = tmp_path / f"fingerprints-{number}.f16"
        rows = int(sum(hops))
        vectors = np.random.default_rng(number).standard_normal((rows, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        path.write_bytes(vectors.astype(np.float16).tobytes() + b"orphan tail")
        starts = np.cumsum([0, *hops])[:-1]
        kept = [at for at in range(len(hops)) if at not in removed]
        return Table(
            path=path,
            dim=DIM,
            generation=generation,
            rows=rows,
            reference_ids=np.array([at + 1 for at in kept], np.int64),
            row_starts=np.array([starts[at] for at in kept], np.int64),
            hops=np.array([hops[at] for at in kept], np.int64),
            references={at + 1: Reference(id=at + 1, path=f"/{at + 1}", title=f"T{at + 1}") for at in kept},
        )

    return make
