"""Made fingerprints, in any number, that lie on the unit sphere as real ones do.

Real ones of the demo's recordings (12 pieces of music by five artists, encoder `compact` of November 2026): neighbouring hops have
a mean similarity of 0.58, hops two apart 0.48, hops of one recording far apart 0.24, those of two recordings 0.01 with a deviation
of 0.14. A made recording is a place of its own plus a walk around it, x(h) = STAYS x(h-1) + sqrt(1 - STAYS^2) noise, with fewer
axes that matter than there are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Reference, Table

HOPS = 480
"""Length of a made recording: four minutes."""
STAYS = 0.45
PLACE = 0.56
AXES = 22.0
"""Variance falls by e every so many of the 128 axes."""


def recordings(count: int, dim: int, *, seed: int = 0) -> NDArray[np.float16]:
    """Return fingerprints [count, HOPS, dim]."""
    random = np.random.default_rng(seed)
    spread = np.exp(-np.arange(dim) / AXES / 2).astype(np.float32)
    turned = spread[:, None] * np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0].astype(np.float32)
    place = PLACE * random.standard_normal((count, dim), np.float32)
    walk = random.standard_normal((count, dim), np.float32)
    made = np.empty((count, HOPS, dim), np.float16)
    for hop in range(HOPS):
        walk = STAYS * walk + np.sqrt(1 - STAYS**2) * random.standard_normal((count, dim), np.float32)
        vectors = (place + walk) @ turned
        made[:, hop] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def heard(vectors: NDArray[np.float32], similarity: float, *, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors of a given similarity to those given: the same sound after a broadcast chain."""
    noise = np.random.default_rng(seed).standard_normal(vectors.shape).astype(np.float32)
    noise -= np.einsum("nd,nd->n", noise, vectors)[:, None] * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    mixed: NDArray[np.float32] = similarity * vectors + np.float32(np.sqrt(1 - similarity**2)) * noise
    return mixed


def table(folder: Path, rows: int, dim: int) -> Table:
    """Write at least so many rows into a file and describe it as a catalogue would."""
    count = -(-rows // HOPS)
    path = folder / f"fingerprints-{rows}.f16"
    with path.open("wb") as file:
        for start in range(0, count, 200):
            file.write(recordings(min(200, count - start), dim, seed=start + 1).tobytes())
    numbers = np.arange(1, count + 1, dtype=np.int64)
    return Table(
        path=path,
        dim=dim,
        generation=1,
        rows=count * HOPS,
        reference_ids=numbers,
        row_starts=(numbers - 1) * HOPS,
        hops=np.full(count, HOPS, np.int64),
        references={int(number): Reference(id=int(number), path=f"/made/{number}") for number in numbers},
    )
