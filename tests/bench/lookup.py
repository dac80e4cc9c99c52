"""Lookups per second in the index: exact and compressed, by catalogue size and batch, beside a plain matrix product in torch."""

from __future__ import annotations

import ctypes
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from monitor.index import faiss_store
from monitor.messages import Table
from monitor.pipeline.matching import NEIGHBOURS
from tests.bench import made
from tests.bench.material import Material
from tests.bench.stopwatch import in_turns
from tests.bench.table import Section, number

SIMILARITY = 0.75
"""Of a query to the stored fingerprint it comes from."""
BATCHES = (1, 64)
QUERIES = 512


def measure(material: Material) -> list[Section]:
    """Measure every size with both kinds of index."""
    rows: list[tuple[str, ...]] = []
    for size in (10_000, 100_000) if material.quick else (100_000, 1_000_000):
        table = made.table(material.folder, size, material.engine.recipe.dim)
        rows += _size(table, for_s=0.3 if material.quick else 3.0)
        for path in material.folder.glob(f"*-{size}.*"):
            path.unlink()
    return [
        Section(
            title=f"Lookups, the {NEIGHBOURS} nearest",
            columns=(
                "rows",
                "index",
                "ready in s",
                "memory MB",
                "batch",
                "lookups/s",
                "ms a batch",
                "torch lookups/s",
                "time : torch's",
                "right row first",
                "streams a core",
            ),
            rows=rows,
            notes=(
                f"Threads as in the daemon ({faiss_store.THREADS}). Made fingerprints that cluster as real ones do; a query has a "
                f"similarity of {SIMILARITY} to the row it comes from. Beside it: all rows compared in torch (float32 matrix "
                "product and topk), one thread. `ready in`: loading, for IVF-PQ also training and filling, on all cores. Memory is "
                "what the process grew by. A stream asks twice a second.",
            ),
        )
    ]


def _size(table: Table, for_s: float) -> list[tuple[str, ...]]:
    stored = np.memmap(table.path, np.float16, "r", shape=(table.rows, table.dim))
    chosen = np.random.default_rng(1).choice(table.rows, QUERIES, replace=False)
    queries = made.heard(stored[np.sort(chosen)].astype(np.float32), SIMILARITY)
    rows = []
    for name, exact_rows in (("exact", table.rows), ("IVF-PQ", 0)):
        before_mb, started_s = _resident_mb(), time.perf_counter()
        library = faiss_store.load(table, exact_rows=exact_rows)
        ready_s, grown_mb = time.perf_counter() - started_s, _resident_mb() - before_mb
        found = library.search(queries, NEIGHBOURS)[1][:, 0]
        right = f"{100 * np.mean(found == np.sort(chosen)):.1f} %"
        everything = torch.from_numpy(stored[:].astype(np.float32)).T.contiguous()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for batch in BATCHES:
            some = np.ascontiguousarray(queries[:batch])
            took_s = in_turns(
                {"index": partial(library.search, some, NEIGHBOURS), "torch": partial(_plain, torch.from_numpy(some), everything)},
                for_s=for_s,
            )
            a_second = batch / took_s["index"]
            rows.append(
                (
                    f"{table.rows:,}",
                    name,
                    f"{ready_s:.1f}",
                    number(grown_mb),
                    str(batch),
                    number(a_second),
                    f"{1e3 * took_s['index']:.2f}",
                    number(batch / took_s["torch"]),
                    f"{took_s['index'] / took_s['torch']:.2f}",
                    right,
                    number(a_second / 2),
                )
            )
        torch.set_num_threads(threads)
        del library, everything
    return rows


def _plain(queries: torch.Tensor, everything: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.topk(queries @ everything, NEIGHBOURS, dim=1).indices


def _resident_mb() -> float:
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6
