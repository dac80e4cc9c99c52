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

from monitor.core.evidence import Evidence
from monitor.core.ring import Heard
from monitor.messages import Kinship

SPEEDS = (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)
"""Half a step off, a line is half a hop wrong after 25 hops: as far as a fingerprint can tell."""
INTERCEPTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Hops by which the newest position may be off: what a search hit leaves open."""
SPAN = 24
"""Hops scored together: 12 s."""
NEW_AFTER = 2
"""Hops after which windows no longer overlap."""
USUALLY_ALIKE = 0.4
"""Similarity of windows NEW_AFTER apart that is no sign of a drone."""
LEAST_NEWS = 0.4
"""Share of the evidence that is left in a drone: over half a minute even a drone is its own."""
SILENT = 1e-3
"""Length below which a sum of fingerprints is that of silence."""
MARGIN = 3
"""Positions beyond the straight diagonal that the steepest line reaches within the span."""


class References(Protocol):
    """Stored fingerprints."""

    def hops(self, reference_id: int) -> int:
        """Number of fingerprints of a reference; 0 when unknown."""
        ...

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Vectors [stop - start, dim] of consecutive hops of a reference."""
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


def _lines() -> NDArray[np.int64]:
    """Index [lines, SPAN] into the band [SPAN, 4 * MARGIN + 1] of half columns: for each line that at each hop, oldest first."""
    ago = np.arange(SPAN)[::-1]
    return np.stack(
        [
            np.rint(2 * (MARGIN + shift + (1.0 - speed) * ago)).clip(0, 4 * MARGIN).astype(np.int64)
            for speed in SPEEDS
            for shift in INTERCEPTS
        ]
    )


_LINES = _lines()
_BAND = np.arange(SPAN)[:, None] + np.arange(2 * MARGIN + 1)
"""Row of a candidate's table [SPAN + 2 * MARGIN] that stands at each place of the band [SPAN, 2 * MARGIN + 1]."""
_LINE_SPEED = np.repeat(SPEEDS, len(INTERCEPTS))
_LINE_SHIFT = np.tile(INTERCEPTS, len(SPEEDS))
_NEAR_STRAIGHT = (2.0 * np.abs(_LINE_SPEED - 1.0) + 0.1 * np.abs(_LINE_SHIFT)).astype(np.float32)
"""Breaks ties between lines that pass through the same windows: the straighter, the likelier."""


def score(heard: Heard, candidates: Sequence[tuple[int, int]], references: References, evidence: Evidence) -> list[Alignment]:
    """Find the best line through each candidate.

    Args:
        heard: The stream's last SPAN fingerprints.
        candidates: Reference id and position at the newest hop, each.
        references: Where the stored fingerprints are.
        evidence: What a similarity says.

    Returns:
        One alignment a candidate, in their order.
    """
    width = 2 * MARGIN + 1
    first = np.array([position - SPAN + 1 - MARGIN for _, position in candidates])
    tables = np.stack(
        [stored(references, who, start, SPAN + 2 * MARGIN) for (who, _), start in zip(candidates, first, strict=True)]
    )
    length = np.array([references.hops(who) for who, _ in candidates])
    places = first[:, None] + np.arange(SPAN + 2 * MARGIN)
    inside = np.lib.stride_tricks.sliding_window_view((places >= 0) & (places < length[:, None]), width, axis=1)
    asked = np.concatenate((heard.vectors[:, None], heard.context), axis=1)
    # One product of everything with everything, of which the band is a quarter: many small ones take longer.
    every = (tables @ asked.reshape(-1, asked.shape[2]).T).reshape(*tables.shape[:2], *asked.shape[:2])
    whole = every[:, _BAND, np.arange(SPAN)[:, None]]
    mixed = np.einsum("ctd,ctd->ct", tables[:, 1:] + tables[:, :-1], tables[:, 1:] + tables[:, :-1])
    shorten = (1.0 / np.sqrt(np.maximum(mixed, SILENT**2)))[:, _BAND[:, :-1], None]
    band = np.empty((*whole.shape[:2], 4 * MARGIN + 1, whole.shape[3]), np.float32)
    band[:, :, ::2] = whole
    band[:, :, 1::2] = (whole[:, :, 1:] + whole[:, :, :-1]) * shorten
    there = np.repeat(inside, 2, axis=2)[:, :, :-1]
    there[:, :, 1::2] &= inside[:, :, 1:]
    similarity, common = band[..., 0], band[..., 1:].max(axis=3).clip(0.0)
    nats = np.where(there, evidence.of(similarity - common), evidence.lowest)
    nats = np.where(heard.present[None, :, None], nats, 0.0)
    nats = np.where(nats > 0, nats * np.repeat(novelty(tables)[:, _BAND], 2, axis=2)[:, :, :-1], nats)
    along = nats[:, np.arange(SPAN)[None, :], _LINES]
    back = along[:, :, ::-1].cumsum(axis=2)
    best = (back.max(axis=2) - _NEAR_STRAIGHT).argmax(axis=1)
    return [
        _alignment(heard, candidate, int(line), back[number, line], similarity[number])
        for number, (candidate, line) in enumerate(zip(candidates, best, strict=True))
    ]


def novelty(tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of its evidence each window of stored fingerprints [recordings, n, dim] may claim, [recordings, n].

    It is little in a drone, where each second says the same again.
    """
    alike = np.einsum("ctd,ctd->ct", tables[:, NEW_AFTER:], tables[:, :-NEW_AFTER])
    share = ((1.0 - alike) / (1.0 - USUALLY_ALIKE)).clip(LEAST_NEWS, 1.0).astype(np.float32)
    return np.pad(share, ((0, 0), (NEW_AFTER, 0)), constant_values=1.0)


def _alignment(
    heard: Heard, candidate: tuple[int, int], line: int, back: NDArray[np.float32], similarity: NDArray[np.float32]
) -> Alignment:
    """Put one line into words; `back` is its evidence summed from the newest hop, `similarity` its band [SPAN, width]."""
    length = int(back.argmax()) + 1
    late = np.arange(SPAN - length, SPAN)
    alike = similarity[late, _LINES[line, late]][heard.present[late]]
    return Alignment(
        reference_id=candidate[0],
        hop=heard.newest,
        position=candidate[1] + float(_LINE_SHIFT[line]),
        speed=float(_LINE_SPEED[line]),
        evidence=float(back[length - 1]),
        hops=length,
        similarity=float(alike.mean()) if len(alike) else 0.0,
    )
