"""How far unknown audio gets by chance: the best evidence of streams whose recordings the catalogue does not have.

Knows lookups and alignments as the tracker makes them, and the tail they leave. Knows nothing of encoders or audio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN
from monitor.core.evidence import Evidence
from monitor.core.hits import Findings, Hits
from monitor.core.kinship import LEAST_HOPS, SAME_SOUND
from monitor.core.play import Line, along
from monitor.core.ring import Ring
from monitor.core.scoring import score
from monitor.evaluate.memory import MemoryLibrary
from monitor.pipeline.matching import NEIGHBOURS

BATCH = 512
TAIL_SHARE = 0.02
"""Blocks that count as tail."""


def best_evidence(
    vectors: NDArray[np.float32], library: MemoryLibrary, evidence: Evidence, bins: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Look a stream [n, dim] up.

    Returns:
        The evidence of each hop's best alignment: 0 where there is none, NaN where it is the same sound, which is then no other
        recording but a version, a stem or a sample of this one. And the histogram of distinct similarities along these.
    """
    ring, hits = Ring(SPAN, vectors.shape[1]), Hits(single=0.6 * evidence.highest)
    best = np.zeros(len(vectors))
    along_best = np.zeros(len(bins) - 1, np.int64)
    for start in range(0, len(vectors), BATCH):
        similarity, rows = library.search(vectors[start : start + BATCH], NEIGHBOURS)
        context = evidence.context(vectors[start : start + BATCH])
        owners, positions = library.locate(rows)
        findings = Findings.of(np.where(rows >= 0, owners, -1), positions, similarity, evidence).one_by_one()
        for row, hop in enumerate(range(start, min(start + BATCH, len(vectors)))):
            ring.put(hop, vectors[hop], context[row])
            hits.put(hop, findings[row].references, findings[row].positions, findings[row].nats)
            proposals = hits.proposals(hop)
            if proposals:
                heard = ring.last(SPAN)
                rival = max(score(heard, proposals, library, evidence), key=lambda found: found.evidence)
                best[hop] = math.nan if rival.similarity >= SAME_SOUND and rival.hops >= LEAST_HOPS else rival.evidence
                part = heard.tail(rival.hops)
                line = Line(rival.hop, rival.position, rival.speed)
                distinct = part.distinct(along(library, rival.reference_id, line, part.hops))
                along_best += np.histogram(distinct[part.present], bins)[0]
    return best, along_best


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """P(one hop begins a chance alignment of more than e nats) = fingerprints * exp(-(offset + slope * e))."""

    offset: float
    slope: float
    level: float
    """Nats from which on it was fitted."""
    beyond: int
    """Blocks there."""
    blocks: int
    farthest: float


def tail(streams: Sequence[NDArray[np.float64]], fingerprints: int) -> Tail:
    """Fit the tail of the best evidence of streams of hops, as `best_evidence` gives it.

    One chance alignment is seen by many hops in a row, so what counts is the highest of each block of SPAN hops (block maxima:
    Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, chapter 3). The slope follows from the median excess
    and not from the mean, because a catalogue holds a few versions and stems of what is called unknown here.

    Args:
        streams: Evidence [hops] each.
        fingerprints: Size of the catalogue they were looked up in.
    """
    highest = np.concatenate([best[: len(best) // SPAN * SPAN].reshape(-1, SPAN).max(axis=1) for best in streams])
    highest = highest[~np.isnan(highest)]
    level = float(np.quantile(highest, 1 - TAIL_SHARE))
    excess = highest[highest > level] - level
    slope = math.log(2.0) / float(np.median(excess))
    per_hop = len(excess) / (len(highest) * SPAN)
    return Tail(
        offset=math.log(fingerprints) - math.log(per_hop) - slope * level,
        slope=slope,
        level=level,
        beyond=len(excess),
        blocks=len(highest),
        farthest=float(highest.max()),
    )
