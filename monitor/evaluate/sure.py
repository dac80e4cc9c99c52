"""How often what was said is right: the confidence, fitted to plays of known and of unknown recordings.

Knows plays and their evidence. The matcher is run with a budget so loose that it is often wrong; a logistic curve through right
and wrong (Platt scaling: Platt, Advances in Large Margin Classifiers, 1999) over the surprise, -log of how many chance alignments
would reach as far, gives the probability. Known and unknown airtime count the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.evaluate.memory import MemoryLibrary
from monitor.messages import Embeddings, EventKind, Play
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings

LOOSE_PER_DAY = 3000.0
BATCH = 512
STEPS = 50


def plays(vectors: NDArray[np.float32], library: MemoryLibrary, evidence: Evidence, recipe: Recipe) -> list[Play]:
    """Return what the matcher tells of a stream [n, dim] at a loose budget."""
    matcher = Matcher(library, evidence, recipe, MatcherSettings(false_alarms_per_day=LOOSE_PER_DAY), lambda _: None)
    events = []
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        hops = np.arange(start, start + len(part))
        events += matcher.match(
            Embeddings(streams=("",) * len(part), hops=hops, vectors=part, arrived_s=np.zeros(len(part), np.float64))
        )
    events += matcher.close_all()
    return [event.play for event in events if event.kind is EventKind.ENDED]


def logistic(surprise: Sequence[float], right: Sequence[bool], weight: Sequence[float]) -> tuple[float, float]:
    """Return offset and slope of the likeliest logistic curve through weighted outcomes (Newton's method, held to 0 and 1)."""
    x, y, w = np.asarray(surprise), np.asarray(right, float), np.asarray(weight)
    design = np.stack([np.ones_like(x), x], axis=1)
    prior, strength = np.array([0.0, 1.0]), 1e-2
    found = prior.copy()
    for _ in range(STEPS):
        claimed = 1.0 / (1.0 + np.exp(-(design @ found).clip(-50, 50)))
        slope = design.T @ (w * (claimed - y)) + strength * (found - prior)
        bend = (design * (w * claimed * (1 - claimed))[:, None]).T @ design + strength * np.eye(2)
        step = np.linalg.solve(bend, slope)
        found = found - step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
    return float(found[0]), float(found[1])
