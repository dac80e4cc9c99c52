"""How often what was said is right: the confidence, fitted to plays of known and of unknown recordings.

Knows plays, their evidence and their similarity. The matcher is run with a budget so loose that it is often wrong; a logistic curve
through right and wrong (Platt scaling: Platt, Advances in Large Margin Classifiers, 1999) gives the probability. On the validation
split, at equal numbers of wrong plays (5, parted by recording), the total evidence alone keeps 354 of 542 right ones, with the mean
similarity beside it 507; the number of hops, the share of hops that speak for the recording and the speed add nothing. Known and
unknown airtime count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.messages import Embeddings, EventKind, Play
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Library
from monitor.settings import MatcherSettings

LOOSE_PER_DAY = 3000.0
BATCH = 512
HELD = 1e-2
"""Weight of the wish for small coefficients, of unit-variance features: against none where right and wrong are apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One play that was told, and whether it was one."""

    evidence: float
    similarity: float
    fingerprints: int
    """How many it was found among."""
    right: bool
    weight: float = 1.0


def plays(
    vectors: NDArray[np.float32], library: Library, evidence: Evidence, recipe: Recipe, *, per_day: float = LOOSE_PER_DAY
) -> list[Play]:
    """Return what the matcher tells of a stream [n, dim] at a budget and does not take back."""
    matcher = Matcher(library, evidence, recipe, MatcherSettings(false_alarms_per_day=per_day), lambda _: None)
    events = []
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        hops = np.arange(start, start + len(part))
        events += matcher.match(
            Embeddings(streams=("",) * len(part), hops=hops, vectors=part, arrived_s=np.zeros(len(part), np.float64))
        )
    events += matcher.close_all()
    return [event.play for event in events if event.kind is EventKind.ENDED]


def logistic(outcomes: Sequence[Outcome]) -> tuple[float, float, float, float, float]:
    """Fit `Evidence.confidence`: return sure_offset, sure_nats, sure_log, sure_similarity and sure_most, by maximum likelihood."""
    nats = np.array([one.evidence for one in outcomes])
    features = np.stack([nats, np.log(nats.clip(1.0)), [one.similarity for one in outcomes]], axis=1)
    known = -np.log([float(max(one.fingerprints, 1)) for one in outcomes])
    sign = np.where([one.right for one in outcomes], 1.0, -1.0)
    weight = np.array([one.weight for one in outcomes])
    unit = features.std(axis=0).clip(1e-6)

    def cost(found: NDArray[np.float64]) -> float:
        odds = found[0] + (features / unit) @ found[1:4] + known
        claimed = 1.0 / (1.0 + np.exp(-odds.clip(-50, 50))) / (1.0 + np.exp(-found[4]))
        likelihood = np.log(np.where(sign > 0, claimed, 1.0 - claimed).clip(1e-12))
        return float(-(weight * likelihood).sum() + HELD * np.square(found[1:4]).sum() + HELD * (found[4] - 6.0) ** 2)

    start = np.array([-float(known.mean()), 0.0, 1.0, 1.0, 6.0])
    limits = [(None, None), (0.0, None), (0.0, None), (0.0, None), (2.0, 9.0)]
    found = scipy.optimize.minimize(cost, start, method="L-BFGS-B", bounds=limits).x
    most = 1.0 / (1.0 + np.exp(-found[4]))
    per_nat, per_log, per_similarity = found[1:4] / unit
    return float(found[0]), float(per_nat), float(per_log), float(per_similarity), float(most)
