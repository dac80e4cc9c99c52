"""The compressed index of a large catalogue: when, how it is trained, and how it is kept on disk.

Knows Faiss and one file format: a line of JSON that says which rows are in it, then what Faiss writes. Knows rows, not references.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
import structlog

from monitor.index.rows import Rows
from monitor.messages import Table

SUB_QUANTISERS = 64
BITS = 4
"""Codes of 32 bytes whose distance tables stay in the processor's registers: Faiss's fast scan (André, Kermarrec and Le Scouarnec,
VLDB 2015). They are coarse; what they bring up is compared again with the stored rows."""
PROBES = 32
"""Lists that are scanned. Of queries that were on air (430,000 and a million rows, 1024 and 2048 lists), the true nearest row is
found for 96 % where it has a similarity above 0.6, for 80 % below; with 128 for 99 and 92 %, in twice the time. A recording is
asked for twice a second, so what is told is the same (see *Decisions*)."""
ROOT_LISTS = 1.5
"""Lists, in square roots of the rows; the nearest power of two is taken."""
FEWEST_LISTS = 256
TRAINING_ROWS_PER_LIST = 64
TRAINING_ROWS = 65_536
FORMAT = 2
CHECKED_ROWS = 64

log = structlog.get_logger()


def lists_for(rows: int) -> int:
    """Return the number of inverted lists for a number of rows."""
    return max(1 << round(math.log2(ROOT_LISTS * math.sqrt(max(rows, 1)))), FEWEST_LISTS)


def cache_path(table: Table) -> Path:
    """Return where the compressed index of a fingerprint file is kept: index-N.faiss beside fingerprints-N.f16."""
    return table.path.with_name(table.path.name.replace("fingerprints-", "index-")).with_suffix(".faiss")


def train(rows: Rows, *, seed: int = 0) -> Any:
    """Make a compressed index of all live rows; ids are row numbers.

    A million rows take half a minute on two cores, 47 million half an hour on one.
    """
    table = rows.table
    numbers = rows.numbers(0, table.rows)
    lists = lists_for(len(numbers))
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(table.dim), table.dim, lists, SUB_QUANTISERS, BITS, metric)
    wanted = min(len(numbers), max(TRAINING_ROWS, lists * TRAINING_ROWS_PER_LIST))
    sample = np.random.default_rng(seed).choice(numbers, wanted, replace=False)
    index.train(rows.vectors(np.sort(sample)))
    for some, vectors in rows.blocks(numbers):
        index.add_with_ids(vectors, some)
    index.nprobe = PROBES
    return index


def save(index: Any, table: Table) -> None:
    """Keep an index beside its fingerprints, whole or not at all.

    Raises:
        OSError: The folder cannot be written or is full.
    """
    path = cache_path(table)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    header = {"format": FORMAT, "rows": table.rows, "dim": table.dim, "check": _check(table, table.rows)}
    try:
        with draft.open("wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except RuntimeError as error:  # how Faiss hands on what the file's `write` raised
        draft.unlink(missing_ok=True)
        raise OSError(f"{draft}: {error}") from error
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def covered(table: Table) -> int:
    """Return how many rows the kept index covers; 0 when there is none for this fingerprint file."""
    return _opened(table, lambda _file: None)[0]


def restore(table: Table) -> tuple[int, Any]:
    """Return how many rows the kept index covers, and the index; 0 and nothing when there is none, or it cannot be used."""
    stop, index = _opened(table, _read)
    if index is not None:
        index.nprobe = PROBES  # not as many as when it was written
    return stop, index


def _read(file: BinaryIO) -> Any:
    return faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]


def _opened(table: Table, then: Callable[[Any], Any]) -> tuple[int, Any]:
    try:
        with cache_path(table).open("rb") as file:
            header = json.loads(file.readline(4096))
            if header["format"] != FORMAT or header["dim"] != table.dim or not 0 < header["rows"] <= table.rows:
                return 0, None
            if header["check"] != _check(table, header["rows"]):
                return 0, None
            return int(header["rows"]), then(file)
    except FileNotFoundError:
        return 0, None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("index_unusable", path=str(cache_path(table)), reason=str(error))
        return 0, None


def _check(table: Table, rows: int) -> str:
    """Hash some rows, so that an index left beside fingerprints that were put back from a backup is not taken for theirs."""
    some = np.linspace(0, rows - 1, CHECKED_ROWS).astype(np.int64)
    vectors = np.memmap(table.path, np.float16, "r", shape=(rows, table.dim))[some]
    return hashlib.sha256(vectors.tobytes()).hexdigest()
