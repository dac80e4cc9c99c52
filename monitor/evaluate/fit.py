"""Fits what a similarity says (`core/evidence.py`) to an encoder, on the validation split.

The curve: log of two histograms of similarities, smoothed and made to rise: those of heard windows with the stored window at the
true place
(every condition of `conditions.py` counts the same), and those with windows of other recordings. The tail: recordings whose
package is not in the
catalogue, speech and noise are looked up as a stream would be; beyond a high level x0, the best evidence of a hop falls off as
exp(-slope (x - x0)), with the maximum-likelihood slope 1 / mean excess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN, score
from monitor.core.evidence import Evidence
from monitor.core.hits import Hits
from monitor.core.recipe import Recipe
from monitor.core.ring import Ring
from monitor.evaluate.conditions import CONDITIONS, Studio
from monitor.evaluate.memory import MemoryLibrary
from monitor.pipeline.matching import NEIGHBOURS
from monitor.pipeline.ports import Encoder
from monitor.train.data import Clips, open_split

QUERY_S = 12.0
BINS = np.linspace(-0.6, 1.0, 81)
LOWEST_NATS, HIGHEST_NATS = -1.5, 9.0
"""One window never says more: what is rarer than this in the histograms was not measured."""
TAIL_SHARE = 0.005
"""Hops that count as tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The result and what it rests on."""

    evidence: Evidence
    same: int
    other: int
    unknown_hops: int
    tail_hops: int


def windows(sound: NDArray[np.float32], recipe: Recipe, first: int = 0) -> NDArray[np.float32]:
    """Cut sound into windows on the hop grid, beginning `first` samples in."""
    return np.lib.stride_tricks.sliding_window_view(sound[first:], recipe.window_samples)[:: recipe.hop_samples]


def fit(cache: Path, encoder: Encoder, recipe: Recipe, say: Callable[[str], None], seed: int = 7) -> Fit:
    """Fit the curve, then the tail that goes with it."""
    music, voices, noises = (open_split(cache, "validation", kind) for kind in ("music", "speech", "noise"))
    random = np.random.default_rng(seed)
    tracks = [number for number in range(len(music)) if music.length[number] > 40 * recipe.sample_rate_hz]
    sounds = {number: read(music, number) for number in tracks}
    stored = {number: encoder.encode(windows(sound, recipe)) for number, sound in sounds.items()}
    say(f"{len(tracks)} recordings, {sum(len(rows) for rows in stored.values())} fingerprints")
    same, other = _similarities(
        sounds, stored, music.packages, encoder, recipe, Studio(voices, noises, rate_hz=8000, seed=seed), random
    )
    knots, nats = _curve(same, other)
    evidence = Evidence(similarities=knots, nats=nats, tail_offset=0.0, tail_slope=1.0, recipe=recipe.hash)
    say(f"curve from {len(same)} true and {int(other.sum())} other pairs")
    unknown = {package for index, package in enumerate(sorted(set(music.packages))) if index % 3 == 0}
    known = [number for number in tracks if music.packages[number] not in unknown]
    library = MemoryLibrary([music.paths[number] for number in known], [stored[number] for number in known])
    strange = [stored[number] for number in tracks if music.packages[number] in unknown]
    strange += [encoder.encode(windows(stretch(clips), recipe)) for clips in (voices, noises)]
    best = np.concatenate([best_evidence(vectors, library, evidence) for vectors in strange])
    level = float(np.quantile(best, 1 - TAIL_SHARE))
    beyond = best[best > level] - level
    slope = 1.0 / float(beyond.mean())
    offset = math.log(library.rows) - math.log(len(beyond) / len(best)) - slope * level
    say(f"tail: {len(beyond)} of {len(best)} hops beyond {level:.1f} nats, slope {slope:.3f}, farthest {best.max():.1f}")
    fitted = Evidence(similarities=knots, nats=nats, tail_offset=offset, tail_slope=slope, recipe=recipe.hash)
    return Fit(evidence=fitted, same=len(same), other=int(other.sum()), unknown_hops=len(best), tail_hops=len(beyond))


def read(clips: Clips, number: int) -> NDArray[np.float32]:
    """Return a clip, full scale 1.0."""
    at, length = int(clips.start[number]), int(clips.length[number])
    return clips.pcm[at : at + length].astype(np.float32) / 32768.0


def stretch(clips: Clips, limit: int = 8000 * 1800) -> NDArray[np.float32]:
    """Return clips one after another, half an hour at most."""
    return clips.pcm[:limit].astype(np.float32) / 32768.0


def best_evidence(vectors: NDArray[np.float32], library: MemoryLibrary, evidence: Evidence) -> NDArray[np.float64]:
    """Return, for each hop of a stream [n, dim], the evidence of its best alignment in the library; 0 where there is none."""
    ring, hits = Ring(SPAN, vectors.shape[1]), Hits(single=0.6 * evidence.nats[-1])
    best = np.zeros(len(vectors))
    for start in range(0, len(vectors), 512):
        similarity, rows = library.search(vectors[start : start + 512], NEIGHBOURS)
        owners, positions = library.locate(rows)
        for row, hop in enumerate(range(start, min(start + 512, len(vectors)))):
            ring.put(hop, vectors[hop])
            hits.put(hop, owners[row], positions[row], evidence.of(similarity[row]))
            proposals = hits.proposals(hop)
            if proposals:
                best[hop] = max(found.evidence for found in score(*ring.last(SPAN), hop, proposals, library, evidence))
    return best


def _similarities(
    sounds: dict[int, NDArray[np.float32]],
    stored: dict[int, NDArray[np.float32]],
    packages: Sequence[str],
    encoder: Encoder,
    recipe: Recipe,
    studio: Studio,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return similarities at the true place, and the histogram of those with other packages' recordings."""
    same: list[NDArray[np.float64]] = []
    other = np.zeros(len(BINS) - 1, np.int64)
    for number, sound in sounds.items():
        strangers = [rows for one, rows in stored.items() if packages[one] != packages[number]]
        picked = np.concatenate([rows[:: max(1, len(rows) // 100)] for rows in strangers])
        for condition in CONDITIONS.values():
            length_s = len(sound) / recipe.sample_rate_hz
            at_s = float(random.uniform(2.0, length_s - QUERY_S * condition.speed - 2.0))
            heard = encoder.encode(windows(studio.query(sound, at_s, QUERY_S, condition), recipe))
            position = (at_s / recipe.hop_s) + np.arange(len(heard)) * condition.speed
            nearest = np.rint(position).astype(int).clip(0, len(stored[number]) - 1)
            same.append((heard * stored[number][nearest]).sum(1).astype(float))
            other += np.histogram((heard @ picked.T).ravel(), BINS)[0]
    return np.concatenate(same), other


def _curve(same: NDArray[np.float64], other: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return knots and nats of the smoothed log ratio of the two histograms."""
    middle = (BINS[:-1] + BINS[1:]) / 2
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    kernel /= kernel.sum()

    def density(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        smooth = np.convolve(counts, kernel, mode="same")
        result: NDArray[np.float64] = (smooth + 0.5) / (smooth.sum() + 0.5 * len(smooth))
        return result

    ratio = np.log(density(np.histogram(same, BINS)[0].astype(float)) / density(other.astype(float)))
    usual = int(np.searchsorted(middle, float(np.average(middle, weights=other))))
    ratio[:usual] = ratio[usual]
    rising = np.maximum.accumulate(ratio).clip(LOWEST_NATS, HIGHEST_NATS)
    return tuple(round(float(knot), 3) for knot in middle), tuple(round(float(value), 3) for value in rising)
