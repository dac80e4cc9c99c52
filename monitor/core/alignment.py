"""How well the last seconds of a stream fit a place in a recording, whatever the speed.

Knows fingerprints and straight lines through them. An alignment is a line: at hop h of the stream the recording is at position
`position + speed * (h - hop)` hops. Lines are scored on the stored vectors, window by window, not on what a search happened to
return. Knows nothing of streams, plays or thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.core.ring import RECENT
from monitor.messages import Kinship

SPEEDS = (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)
"""Half a step off, a line is half a hop wrong after 25 hops: as far as a fingerprint can tell."""
INTERCEPTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Hops by which the newest position may be off: what a search hit leaves open."""
SPAN = RECENT
"""Hops scored together."""
NEW_AFTER = 2
"""Hops after which windows no longer overlap."""
USUALLY_ALIKE = 0.4
"""Similarity of windows NEW_AFTER apart that is no sign of a drone."""
LEAST_NEWS = 0.4
"""Share of the evidence that is left in a drone: over half a minute even a drone is its own."""
AS_STEADY = 0.02
"""What is held to be as steady as can be, on either side: an exact loop is no steadier than its recording."""
SILENT = 1e-3
"""Length below which a sum of fingerprints is that of silence."""


class References(Protocol):
    """Stored fingerprints."""

    def hops(self, reference_id: int) -> int:
        """Number of fingerprints of a reference; 0 when unknown."""
        ...

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Vectors [stop - start, dim] of consecutive hops of a reference."""
        ...

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Vectors [n, count, dim] of n stretches of as many hops, see `stored`."""
        ...

    def kin(self, reference_id: int, /) -> Sequence[Kinship]:
        """What a reference shares with others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A line through a recording and what speaks for it."""

    reference_id: int
    hop: int
    """Newest hop of the stream that was looked at."""
    position: float
    """Hops into the recording at `hop`."""
    speed: float
    evidence: float
    """Nats, from the hop where it began to speak for the recording."""
    hops: int
    """Hops since then."""
    similarity: float
    """Mean over those hops."""

    def at(self, hop: float) -> float:
        """Return the position in the recording at a hop of the stream."""
        return self.position + self.speed * (hop - self.hop)


def stored(references: References, reference_id: int, start: int, count: int) -> NDArray[np.float32]:
    """Return vectors [count, dim] from `start` on; those before the recording's beginning or after its end are zero."""
    first, last = max(start, 0), min(start + count, references.hops(reference_id))
    if first >= last:
        dim = references.fingerprints(reference_id, 0, 0).shape[1]
        return np.zeros((count, dim), np.float32)
    inside = references.fingerprints(reference_id, first, last)
    if len(inside) == count:
        return inside
    table = np.zeros((count, inside.shape[1]), np.float32)
    table[first - start : last - start] = inside
    return table


def between(vectors: NDArray[np.float32], positions: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return fingerprints [n, dim] at positions [n] in rows of vectors, to half a row.

    Half way between two rows their sum stands for what lies there: where both have a similarity s to it, and c to each other, the
    sum has 2 s / sqrt(2 + 2 c). Of sound cut half a hop off the grid that is 0.87 in the median where the nearest row has 0.77.
    """
    halves = np.rint(2 * positions).astype(np.int64)
    low = halves >> 1
    at: NDArray[np.float32] = np.take(vectors, low, axis=0)
    odd = np.flatnonzero(halves & 1)
    if len(odd):
        mixed = at[odd] + vectors[low[odd] + 1]
        at[odd] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), SILENT)
    return at


def before(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how alike each fingerprint of some stretches [count, n, dim] is to the last that does not overlap it, [count, n].

    Where that is not at hand it is 0.
    """
    alike = np.zeros(vectors.shape[:2], np.float32)
    alike[:, NEW_AFTER:] = np.einsum("ctd,ctd->ct", vectors[:, NEW_AFTER:], vectors[:, :-NEW_AFTER])
    return alike


def steadiness(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the same of what was heard; where one of the two was not, or is silent, as at the nearest hop before, or the first.

    A gap does not make a steady noise any newer.
    """
    there = np.any(vectors != 0, axis=2)
    both = np.zeros_like(there)
    both[:, NEW_AFTER:] = there[:, NEW_AFTER:] & there[:, :-NEW_AFTER]
    last = np.maximum.accumulate(np.where(both, np.arange(both.shape[1]), -1), axis=1)
    nearest = np.where(last < 0, both.argmax(axis=1)[:, None], last)
    return np.take_along_axis(before(vectors), nearest, axis=1)


def novelty(recording: NDArray[np.float32], sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of its evidence a window may claim, 0 to 1.

    It is little in a drone, where each second says the same again. And the steadier what is heard is than the recording is here,
    the less it is: it is something else, for a steady noise that resembles one second of a recording resembles the next as well.
    What lies on top of a recording on air makes what is heard less steady, not more, unless it is steady itself.

    Args:
        recording: How alike the stored window is to the one `before`, any shape.
        sound: The `steadiness` of the heard one, to be broadcast to it.
    """
    own = ((1.0 - recording) / (1.0 - USUALLY_ALIKE)).clip(LEAST_NEWS, 1.0)
    moving = (1.0 + AS_STEADY - sound) / (1.0 + AS_STEADY - np.maximum(recording, USUALLY_ALIKE))
    share: NDArray[np.float32] = own * moving.clip(0.0, 1.0)
    return share
