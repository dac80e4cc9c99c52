"""A fingerprint file in the making, and the lock that keeps a second writer out.

Knows bytes and file locks. When the file comes into use is `writer`'s business.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.catalog import schema
from monitor.catalog.store import Entry
from monitor.errors import CatalogError


class Move:
    """A fingerprint file in the making."""

    def __init__(self, path: Path, dim: int) -> None:
        self._file = path.open("wb")
        self._dim = dim
        self.rows = 0
        self.placed: list[tuple[int, int, str, float, int]] = []

    def put(self, entry: Entry, pcm_sha256: str, vectors: NDArray[np.float16], duration_s: float | None = None) -> None:
        """Write the fingerprints [hops, dim] of a reference, at least one."""
        if vectors.shape[1] != self._dim or vectors.dtype != np.float16:
            raise ValueError(f"fingerprints {vectors.dtype}{list(vectors.shape)}, expected float16[n, {self._dim}]")
        self._file.write(np.ascontiguousarray(vectors).tobytes())
        duration_s = entry.reference.duration_s if duration_s is None else duration_s
        self.placed.append((self.rows, len(vectors), pcm_sha256, duration_s, entry.reference.id))
        self.rows += len(vectors)

    def finish(self) -> None:
        """Bring it to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; what is still in its buffer does not matter any more."""
        self._file.close()


def lock(folder: Path) -> int:
    """Take the folder's lock, which goes with the process; return its descriptor.

    Raises:
        CatalogError: Another process has it.
    """
    descriptor = os.open(folder / schema.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise CatalogError(
            f"catalogue {folder} is being changed by another process (pid {holder}): try again when it is done"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
