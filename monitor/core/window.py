"""The newest windows of many streams, each held against what is stored where a play is.

All are computed together, since most of the time for one alone goes into calling numpy. Knows fingerprints and places. Knows
nothing of what a play makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import References, between
from monitor.core.evidence import Evidence

REACH = 2
"""Stored windows looked at on either side of the one that is nearest."""
_ROWS = 2 * REACH + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a play is held to be at one hop."""

    references: References
    reference_id: int
    position: float
    """Hops into the recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """How alike a heard window is to the stored ones around a place, and these to each other."""

    near: int
    """Position of the middle one."""
    alike: Sequence[float]
    """Similarity of what was heard to those from near - REACH to near + REACH."""
    beside: Sequence[float]
    """Similarity of each of them but the last to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A heard window, held against what is stored at one place."""

    around: Around
    stored: NDArray[np.float32]
    """What is stored at the place, to half a hop, [dim]."""
    similarity: float
    """Of what was heard to it."""
    nats: float
    """What that says for the recording."""


def look(places: Sequence[Place], heard: NDArray[np.float32], evidence: Evidence) -> list[Window]:
    """Hold windows against places.

    Args:
        places: One a window.
        heard: The vectors and their contexts, [n, 1 + NEAREST, dim], see `Evidence.context`.
        evidence: What a similarity says.
    """
    if not places:
        return []
    near = [round(place.position) for place in places]
    rows = np.empty((len(places), _ROWS, heard.shape[2]), np.float32)
    for references in {id(place.references): place.references for place in places}.values():
        these = [at for at, place in enumerate(places) if place.references is references]
        rows[these] = references.stretches([places[at].reference_id for at in these], [near[at] - REACH for at in these], _ROWS)
    offsets = np.array([place.position - at + REACH for place, at in zip(places, near, strict=True)])
    stored = between(rows.reshape(-1, rows.shape[2]), offsets + _ROWS * np.arange(len(places)))
    products = np.einsum("nkd,nd->nk", heard, stored)
    similarity, common = products[:, 0], products[:, 1:].max(axis=1).clip(0.0)
    nats = evidence.of_followed(similarity - common)
    return [
        Window(around=one, stored=vector, similarity=alike, nats=worth)
        for one, vector, alike, worth in zip(
            around(near, rows, heard[:, 0]), stored, similarity.tolist(), nats.tolist(), strict=True
        )
    ]


def around(near: Sequence[int], rows: NDArray[np.float32], heard: NDArray[np.float32]) -> list[Around]:
    """Compare heard windows [n, dim] with the stored ones around places, and these with each other.

    Args:
        near: The places' positions, [n].
        rows: What is stored from REACH before to REACH after each, [n, 2 * REACH + 1, dim].
        heard: Vectors, [n, dim].
    """
    alike = np.einsum("nrd,nd->nr", rows, heard).tolist()
    beside = np.einsum("nrd,nrd->nr", rows[:, 1:], rows[:, :-1]).tolist()
    return [Around(near=at, alike=one, beside=other) for at, one, other in zip(near, alike, beside, strict=True)]
