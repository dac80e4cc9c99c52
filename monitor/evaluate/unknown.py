"""How far unknown audio gets by chance: streams whose recordings the catalogue does not have.

Knows lookups and alignments as the tracker makes them, the plays that the matcher tells, and how their number falls with the
evidence that is asked for. Where the recording that is told holds the same sound as the one on air, in a version or a sample, that
is no chance, and is left out; where two recordings hold a chord alike, it is chance. Knows nothing of encoders or audio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from monitor.core.alignment import SPAN
from monitor.core.evidence import Evidence
from monitor.core.hits import Findings, Hits
from monitor.core.kinship import LEAST_HOPS
from monitor.core.line import Line, along
from monitor.core.recipe import Recipe
from monitor.core.ring import Ring
from monitor.core.scoring import score
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.remembering import Remembering
from monitor.evaluate.sure import plays
from monitor.messages import Play
from monitor.pipeline.matching import DAY_S, NEIGHBOURS
from monitor.train.data import DataMissing

BATCH = 512
LEAST_RUNGS = 3
"""Levels at which something must be told before it can be said how that falls."""
SAME = 0.8
"""Mean similarity along a diagonal from which on two recordings are the same sound there: a version, a loop, a sample. Chords that
are held in two pieces of music have 0.6 to 0.75."""


def along_rivals(
    vectors: NDArray[np.float32], library: MemoryLibrary, evidence: Evidence, bins: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Look a stream [n, dim] up; return the histogram of distinct similarities along the best alignment of each hop."""
    ring, hits = Ring(SPAN, vectors.shape[1]), Hits(single=0.6 * evidence.highest)
    counted = np.zeros(len(bins) - 1, np.int64)
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
                part = heard.tail(rival.hops)
                line = Line(rival.hop, rival.position, rival.speed)
                distinct = part.distinct(along(library, rival.reference_id, line, part.hops))
                counted += np.histogram(distinct[part.present], bins)[0]
    return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What was told of unknown audio where so much evidence was asked for."""

    needed: float
    """Nats."""
    told: int
    same: int
    """Plays left out, because what was told is the same sound as what was on air."""
    chances: float
    """Hops that were heard, times the fingerprints they were compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """P(one hop begins a play that is told, where e nats are asked for) = fingerprints * exp(-(offset + slope * e))."""

    offset: float
    slope: float
    rungs: tuple[Rung, ...]


def told(
    vectors: NDArray[np.float32],
    own: NDArray[np.float32] | None,
    library: MemoryLibrary,
    evidence: Evidence,
    recipe: Recipe,
    needed: Sequence[float],
) -> list[Rung]:
    """Match a stream [n, dim] of unknown audio, asking for this much evidence; all the matcher's own rules hold.

    Args:
        vectors: As it was heard.
        own: Of the recording on air, as they would be stored, if it is one.
        library: What is looked in.
        evidence: What a similarity says.
        recipe: Of the encoder.
        needed: Nats, one rung each.
    """
    remembering = Remembering(library)
    plain = replace(evidence, tail_offset=0.0, tail_slope=1.0)
    chances = float(len(vectors)) * library.rows
    rungs = []
    for level in needed:
        per_day = math.exp(-level) * library.rows * DAY_S / recipe.hop_s
        every = plays(vectors, remembering, plain, recipe, per_day=per_day)
        same = sum(own is not None and same_sound(play, own, library, recipe) for play in every)
        rungs.append(Rung(needed=level, told=len(every) - same, same=same, chances=chances))
    return rungs


def same_sound(play: Play, own: NDArray[np.float32], library: MemoryLibrary, recipe: Recipe) -> bool:
    """Say whether the stretch of a recording that was told is somewhere in another one [n, dim] too, all of it."""
    first = min(int(play.reference_start_s / recipe.hop_s), library.hops(play.reference_id) - 1)
    last = max(round(play.reference_end_s / recipe.hop_s), first + LEAST_HOPS)
    rows = library.fingerprints(play.reference_id, first, min(last, library.hops(play.reference_id)))
    if len(rows) > len(own):
        rows, own = own, rows
    alike = rows @ own.T
    diagonals = np.lib.stride_tricks.sliding_window_view(alike, len(rows), axis=1).diagonal(axis1=0, axis2=2)
    return float(diagonals.mean(axis=-1).max()) >= SAME


def tail(rungs: Sequence[Rung]) -> Tail:
    """Fit how often unknown audio is told by chance to how much evidence is asked for: Poisson counts, by maximum likelihood.

    What is counted is what the budget is about, plays that are told and not taken back. Block maxima of the evidence, which were
    counted before, are told three times as often as plays: a chance likeness is mostly broken off within seconds, and then it must
    be surer (`core/tracker.py`).

    Raises:
        DataMissing: Too little was told to see how it falls.
    """
    levels = sorted({rung.needed for rung in rungs})
    counts = np.array([sum(rung.told for rung in rungs if rung.needed == level) for level in levels], float)
    chances = np.array([sum(rung.chances for rung in rungs if rung.needed == level) for level in levels])
    same = [sum(rung.same for rung in rungs if rung.needed == level) for level in levels]
    if np.count_nonzero(counts) < LEAST_RUNGS:
        raise DataMissing(
            f"unknown audio was told by chance at {np.count_nonzero(counts)} of {len(levels)} levels of evidence, fewer than "
            f"{LEAST_RUNGS}: too little to see how that falls; see that all audio is packed (`monitor train --fetch-only`)"
        )
    needed = np.array(levels)

    def cost(found: NDArray[np.float64]) -> float:
        log_mean = np.log(chances) - found[0] - found[1] * needed
        return float((np.exp(log_mean) - counts * log_mean).sum())

    rate = np.log(chances / counts.clip(0.5))
    slope, offset = np.polyfit(needed, rate, 1)
    found = scipy.optimize.minimize(cost, np.array([offset, slope]), method="Nelder-Mead").x
    return Tail(
        offset=float(found[0]),
        slope=float(found[1]),
        rungs=tuple(
            Rung(needed=level, told=int(count), same=left_out, chances=float(chance))
            for level, count, left_out, chance in zip(levels, counts, same, chances, strict=True)
        ),
    )
