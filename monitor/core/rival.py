"""Another recording that what is heard fits as well: a version, a re-issue, the same bed in another spot.

Knows a place beside that of the play's own recording and what was heard since. Windows in which the two recordings are the same
sound tell nothing about which of them it is; those in which they differ do. Knows nothing of catalogues or of when a play is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import NEW_AFTER
from monitor.core.evidence import Evidence
from monitor.core.ring import Heard

APART = 0.65
"""Similarity of two stored windows below which they are not the same sound. The same sound cut half a hop apart has 0.86 in the
median and 0.65 to 0.8 in its worst tenth (demo's recordings, encoder of November 2026)."""
ONE_WINDOW = 5.0
"""Nats that one window may count at most: neighbours overlap, and one alone never decides."""
SEPARATE_NATS = 8.0
"""By so much another recording must be behind, or ahead, to be out, or to take over."""


@dataclass(slots=True)
class Rival:
    """A recording that may be the one on air instead."""

    reference_id: int
    offset: float
    """Its position less that of the play's own recording, in hops."""
    behind: float = 0.0
    """Nats by which what was heard speaks more for the play's own recording."""

    @property
    def out(self) -> bool:
        """Whether a part was heard that rules it out."""
        return self.behind >= SEPARATE_NATS


def lead(heard: Heard, mine: NDArray[np.float32], theirs: NDArray[np.float32], evidence: Evidence) -> NDArray[np.float32]:
    """Return how much more each window speaks for one recording than for another, [n] nats.

    Args:
        heard: What was heard, n hops.
        mine: Stored fingerprints [n, dim] of the one; zero outside it.
        theirs: Those of the other.
        evidence: What a similarity says.
    """
    differ = np.einsum("nd,nd->n", mine, theirs) < APART
    more = evidence.of_followed(heard.distinct(mine)) - evidence.of_followed(heard.distinct(theirs))
    told: NDArray[np.float32] = np.where(differ & heard.present, more, np.float32(0.0)).clip(-ONE_WINDOW, ONE_WINDOW)
    return told


def partly_filled(halves: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Say which windows have some of a recording in them but are not stored.

    They begin before it does, or up to a hop behind its last stored one, which is half full at least: the next has nothing.

    Args:
        halves: Where they begin in the recording, in half hops, [n].
        length: Of the recording, in stored fingerprints.
    """
    return ((halves > -2 * NEW_AFTER) & (halves <= -2)) | ((halves >= 2 * length) & (halves < 2 * (length + 1)))
