"""What the pipeline asks of its neighbours, one or two verbs each.

Knows shapes only. The real parts live in `capture/`, `encoder/`, `index/` and `publish/`; mypy checks in `app.py` that they fit.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.messages import Chunk, Detection, Hint, Kinship, Reference


class Source(Protocol):
    """A stream of sound. `chunks` mends itself: it reconnects with backoff and ends only when the source is over for good."""

    @property
    def name(self) -> str:
        """Name of the station."""
        ...

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield sound as it comes, positions strictly rising, jumps where sound is missing."""
        ...

    def utc_s(self, position: int) -> tuple[float, float]:
        """UTC seconds at which media time `position` (samples) was received, and the half width of its uncertainty in seconds."""
        ...

    def hint(self, position: int) -> Hint | None:
        """What the station last said of itself up to media time `position` (samples)."""
        ...


class Encoder(Protocol):
    """Equal-length windows in [batch, samples], unit vectors out [batch, dim], same order. Called in a worker thread."""

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fingerprint the windows."""
        ...


class Listener(Encoder, Protocol):
    """An encoder that also says what it hears. Called in a worker thread."""

    def listen(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fingerprint the windows, and return beside it the probability [batch] that each is music rather than speech or noise."""
        ...


class Library(Protocol):
    """One generation of the catalogue, immutable. Called in a worker thread.

    Fingerprints of all references stand in one table; those of a reference stand in consecutive rows, one per hop.
    """

    @property
    def generation(self) -> int:
        """Counts the catalogue's changes."""
        ...

    @property
    def rows(self) -> int:
        """Fingerprints in the table that belong to a reference."""
        ...

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest rows of each vector: similarities [n, k] (inner product, falling) and rows [n, k] (-1: none)."""
        ...

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Reference id and hop within the reference of each row, both in the shape of `rows`."""
        ...

    def hops(self, reference_id: int) -> int:
        """Number of fingerprints of a reference; 0 when it is not in this generation."""
        ...

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Stored vectors [stop - start, dim] of hops start to stop of a reference; the range lies within the reference."""
        ...

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Stored vectors [n, count, dim] of n stretches of as many hops; zero outside their references."""
        ...

    def shorter(self, hops: int) -> int:
        """Number of references with at most so many fingerprints."""
        ...

    def kin(self, reference_id: int, /) -> Sequence[Kinship]:
        """What it shares with other references; nothing when it is not in this generation."""
        ...

    def reference(self, reference_id: int) -> Reference:
        """Who it is."""
        ...


class Outbox(Protocol):
    """A store that survives a crash. Called in a worker thread."""

    def put(self, detections: Sequence[Detection]) -> None:
        """Keep the detections; when this returns they are on disk."""
        ...
