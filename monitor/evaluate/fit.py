"""Fits what a similarity says (`core/evidence.py`) to an encoder, on the validation split and some of the train split.

The cohort: fingerprints of music, voices and noise of the train split. A curve: log of two histograms of distinct similarities,
smoothed and made to rise: those of heard windows with the stored window at the true place (every condition of `conditions.py`
counts the same), and those with others. For following, the others are windows of any other recording. For finding, recordings
whose package is not in the catalogue, speech and noise are looked up as a stream would be, and the others are the windows along the
best alignments that turn up: the rivals that a true one has to beat. They are chosen window by window and would make a long weak
alignment count for too little, so the curve for finding is the mean of the two. The tail (`unknown.py`) is that of the plays told
by chance of the same recordings, every half minute of them under another of the conditions, of others of the train split alike, and
of speech and noise as they are: few recordings hold a chord for long, those make the tail, and the validation split is too
small to have its share of them. The confidence (`sure.py`) is fitted to what is then told of known and unknown recordings at a
loose budget. Unknown means that neither the package nor anything that sounds like the recording is in the catalogue: some packages
share music.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import between
from monitor.core.evidence import Evidence
from monitor.core.framing import windows
from monitor.core.recipe import Recipe
from monitor.encoder.engine import Engine
from monitor.evaluate.conditions import CONDITIONS, Condition, Studio
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.strangers import cast
from monitor.evaluate.sure import Outcome, logistic, plays
from monitor.evaluate.unknown import Tail, along_rivals, tail, told
from monitor.messages import Play
from monitor.pipeline.ports import Encoder
from monitor.train.data import open_split

AS_LOUD, UNDER, FASTER = "voice 0 dB", "voice -6 dB", ("speed +5 %", "speed -5 %")
"""Conditions between which the border of the foreground lies, and those that show what speed takes away."""
QUERY_S = 12.0
COHORT = {"music": 1200, "speech": 400, "noise": 400}
"""Windows drawn from each kind of the train split."""
BINS = np.linspace(-0.6, 1.0, 81)
STRANGERS = 3000
"""Windows of other recordings that the windows of a recording are compared with."""
LOWEST_NATS, HIGHEST_NATS = -1.5, 18.0
"""One window never says more: what is rarer than this in the histograms was not measured."""
AIRED_S = 30.0
"""So long the unknown is heard under one condition, until the next."""
FOREIGN_S = 1800
"""So much speech, and so much noise, is looked up."""
NEEDED = (9.0, 12.0, 15.0, 18.0, 22.0, 27.0, 33.0, 40.0)
"""Nats that are asked for to see how often the unknown is told: from some hundred times a day to once."""
EXCERPTS_S = (3.0, 5.0, 10.0, 30.0)
"""Lengths of the plays that the confidence is fitted to."""
RIVALS_EVERY = 3
"""Of so many recordings one is looked up for the rivals' curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The result and what it rests on."""

    evidence: Evidence
    same: int
    other: int
    tail: Tail
    told_right: int
    told_wrong: int


def fit(cache: Path, encoder: Engine, storing: Engine, say: Callable[[str], None], seed: int = 7) -> Fit:
    """Fit the curve, then the tail that goes with it.

    Args:
        cache: Where the packed clips are.
        encoder: Hears the air.
        storing: Makes what is stored; the same encoder.
        say: Told a line of progress now and then.
        seed: Of all draws.

    Raises:
        DataMissing: The splits are not packed, or hold too little that is told by chance.
    """
    recipe = storing.recipe
    music, voices, noises = (open_split(cache, "validation", kind) for kind in ("music", "speech", "noise"))
    random = np.random.default_rng(seed)
    tracks = [number for number in range(len(music)) if music.length[number] > 40 * recipe.sample_rate_hz]
    sounds = {number: music.recording(number) for number in tracks}
    stored = {number: storing.encode(windows(sound, recipe)) for number, sound in sounds.items()}
    say(f"{len(tracks)} recordings, {sum(len(rows) for rows in stored.values())} fingerprints")
    blank = np.zeros(1, np.float32)
    cohort = Evidence(
        knots=blank,
        nats=blank,
        followed=blank,
        cohort=_cohort(cache, encoder, recipe, random),
        shared=0.0,
        tail_offset=0.0,
        tail_slope=1.0,
        sure_offset=0.0,
        sure_nats=1.0,
        sure_log=0.0,
        sure_similarity=0.0,
        recipe=recipe.hash,
        query=encoder.query,
    )
    studio = Studio(voices, noises, rate_hz=recipe.sample_rate_hz, seed=seed)
    same, other, shared, levels = _similarities(sounds, stored, music.packages, encoder, recipe, cohort, studio, random)
    knots, nats = _curve(same, other)
    evidence = _told_by_level(replace(cohort, knots=knots, nats=nats, followed=nats, shared=shared), levels, say)
    say(f"curve from {len(same)} true and {int(other.sum())} other pairs; the cohort accounts for {shared:.2f} of a true one")
    aired = cast(cache, music, stored, storing, recipe, random)
    library = MemoryLibrary(list(aired.paths.values()), list(aired.catalogued.values()))
    foreign = [encoder.encode(windows(clips.sound(0, FOREIGN_S * recipe.sample_rate_hz), recipe)) for clips in (voices, noises)]
    strange = [
        (encoder.encode(windows(sounds[number], recipe)), library.without(aired.kin(("validation", number))))
        for number in tracks[::RIVALS_EVERY]
    ]
    strange += [(vectors, library) for vectors in foreign]
    rivals = sum((along_rivals(*one, evidence, BINS) for one in strange), np.zeros(len(BINS) - 1, np.int64))
    _, against_rivals = _curve(same, rivals)
    evidence = replace(evidence, nats=np.mean([evidence.nats, against_rivals], axis=0, dtype=np.float32))
    say(f"curve for finding: {int(rivals.sum())} windows of rivals, {library.rows} fingerprints in the catalogue")
    heard = [
        (encoder.encode(windows(_aired(sound, recipe, studio, random), recipe)), rows, library.without(aired.kin(one)))
        for one, sound, rows in [
            *((("validation", number), sounds[number], stored[number]) for number in tracks),
            *((one, sound, aired.of_elsewhere[one]) for one, sound in aired.elsewhere.items()),
        ]
    ]
    unknown: list[tuple[NDArray[np.float32], NDArray[np.float32] | None, MemoryLibrary]] = [
        *heard,
        *((vectors, None, library) for vectors in foreign),
    ]
    rungs = [rung for vectors, rows, view in unknown for rung in told(vectors, rows, view, evidence, recipe, NEEDED)]
    found = tail(rungs)
    evidence = replace(evidence, tail_offset=found.offset, tail_slope=found.slope)
    hours = sum(len(vectors) for vectors, *_ in unknown) * recipe.hop_s / 3600
    say(f"tail: {found.offset:.2f} + {found.slope:.3f} e, {hours:.1f} h, {library.rows} fingerprints")
    for rung in found.rungs:
        model = rung.chances * math.exp(-found.offset - found.slope * rung.needed)
        say(f"  {rung.needed:g} nats asked for: told {rung.told}, the curve says {model:.1f}; {rung.same} the same sound")
    known = [
        (encoder.encode(windows(_excerpt(sound, length_s, condition, recipe, studio, random), recipe)), number)
        for number, sound in sounds.items()
        for condition in CONDITIONS.values()
        for length_s in [float(random.choice(EXCERPTS_S))]
    ]
    outcomes = _outcomes(
        [(vectors, aired.right(("validation", number))) for vectors, number in known],
        [(vectors, view) for vectors, _, view in unknown],
        library,
        evidence,
        recipe,
    )
    right = [one.right for one in outcomes]
    offset, per_nat, per_log, per_similarity, most = logistic(outcomes)
    evidence = replace(
        evidence, sure_offset=offset, sure_nats=per_nat, sure_log=per_log, sure_similarity=per_similarity, sure_most=most
    )
    say(
        f"confidence: {sum(right)} right, {len(right) - sum(right)} wrong; {offset:.2f} + {per_nat:.4f} e + {per_log:.2f} ln e"
        f" + {per_similarity:.1f} similarity, at most {most:.4f}"
    )
    return Fit(
        evidence=evidence,
        same=len(same),
        other=int(other.sum()),
        tail=found,
        told_right=sum(right),
        told_wrong=len(right) - sum(right),
    )


def _cohort(cache: Path, encoder: Encoder, recipe: Recipe, random: np.random.Generator) -> NDArray[np.float32]:
    """Fingerprint random windows of the train split; silent ones are left out."""
    drawn = []
    for kind, count in COHORT.items():
        clips = open_split(cache, "train", kind)
        for at in random.integers(0, len(clips.pcm) - recipe.window_samples, count):
            drawn.append(clips.sound(at, recipe.window_samples))
    vectors = encoder.encode(np.stack(drawn)).astype(np.float16).astype(np.float32)
    return vectors[np.any(vectors != 0, axis=1)]


def _similarities(
    sounds: dict[int, NDArray[np.float32]],
    stored: dict[int, NDArray[np.float32]],
    packages: Sequence[str],
    encoder: Encoder,
    recipe: Recipe,
    evidence: Evidence,
    studio: Studio,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64], float, dict[str, list[float]]]:
    """Return distinct similarities at the true place, those with strangers as a histogram, the cohort's share, and medians.

    The medians are of the plain similarity at the true place, of each query, by condition.
    """
    levels: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    same: list[NDArray[np.float64]] = []
    common: list[NDArray[np.float32]] = []
    other = np.zeros(len(BINS) - 1, np.int64)
    for number, sound in sounds.items():
        strangers = np.concatenate([rows for one, rows in stored.items() if packages[one] != packages[number]])
        strangers = strangers[random.choice(len(strangers), STRANGERS)]
        for name, condition in CONDITIONS.items():
            length_s = len(sound) / recipe.sample_rate_hz
            at_s = float(random.uniform(2.0, length_s - QUERY_S * condition.speed - 2.0))
            heard = encoder.encode(windows(studio.query(sound, at_s, QUERY_S, condition), recipe))
            context = evidence.context(heard)
            position = (at_s / recipe.hop_s) + np.arange(len(heard)) * condition.speed
            true = between(stored[number], position.clip(0, len(stored[number]) - 2))
            audible = np.any(heard != 0, axis=1) & np.any(true != 0, axis=1)
            accounted = np.einsum("nkd,nd->nk", context, true).max(axis=1).clip(0.0)[audible]
            plain = (heard * true).sum(1)[audible]
            same.append((plain - accounted).astype(float))
            levels[name].append(float(np.median(plain)) if len(plain) else 0.0)
            common.append(accounted)
            explained = (context.reshape(-1, recipe.dim) @ strangers.T).reshape(*context.shape[:2], -1).max(axis=1).clip(0.0)
            other += np.histogram((heard @ strangers.T - explained)[audible], BINS)[0]
    return np.concatenate(same), other, float(np.median(np.concatenate(common))), levels


def _told_by_level(evidence: Evidence, levels: Mapping[str, Sequence[float]], say: Callable[[str], None]) -> Evidence:
    """Fit from which similarity on a recording is in the foreground: half way between a voice as loud as it and one 6 dB louder."""
    middle = {name: float(np.median(found)) for name, found in levels.items()}
    level = (middle[AS_LOUD] + middle[UNDER]) / 2
    per_speed = float(np.mean([(1.0 - middle[name] / middle["clean"]) / 0.05 for name in FASTER]))
    for name, found in levels.items():
        say(f"median similarity {middle[name]:.2f} under {name}; in the foreground: {np.mean(np.array(found) >= level):.2f}")
    return replace(evidence, foreground=level, per_speed=per_speed)


def _aired(sound: NDArray[np.float32], recipe: Recipe, studio: Studio, random: np.random.Generator) -> NDArray[np.float32]:
    """Play a recording from its beginning to its end, every AIRED_S of it under another condition."""
    conditions = list(CONDITIONS.values())
    starts_s = np.arange(0.0, len(sound) / recipe.sample_rate_hz - AIRED_S / 3, AIRED_S)
    return np.concatenate(
        [studio.query(sound, float(at_s), AIRED_S, conditions[int(random.integers(len(conditions)))]) for at_s in starts_s]
    )


def _excerpt(
    sound: NDArray[np.float32],
    length_s: float,
    condition: Condition,
    recipe: Recipe,
    studio: Studio,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Play a piece from anywhere in a recording."""
    room_s = len(sound) / recipe.sample_rate_hz - length_s * condition.speed - 4.0
    return studio.query(sound, float(random.uniform(2.0, 2.0 + max(room_s, 0.0))), length_s, condition)


def _outcomes(
    known: Sequence[tuple[NDArray[np.float32], set[int]]],
    unknown: Sequence[tuple[NDArray[np.float32], MemoryLibrary]],
    library: MemoryLibrary,
    evidence: Evidence,
    recipe: Recipe,
) -> list[Outcome]:
    """Match known streams, each with the references that are right for it, and unknown ones, at a loose budget."""
    weight = sum(len(vectors) for vectors, _ in known) / max(sum(len(vectors) for vectors, _ in unknown), 1)
    outcomes = []
    for vectors, right in known:
        for play in plays(vectors, library, evidence, recipe):
            outcomes.append(_outcome(play, library, right=play.reference_id in right, weight=1.0))
    for vectors, view in unknown:
        outcomes += [_outcome(play, library, right=False, weight=weight) for play in plays(vectors, view, evidence, recipe)]
    return outcomes


def _outcome(play: Play, library: MemoryLibrary, *, right: bool, weight: float) -> Outcome:
    return Outcome(evidence=play.evidence, similarity=play.score, fingerprints=library.rows, right=right, weight=weight)


def _curve(same: NDArray[np.float64], other: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
    return middle.astype(np.float32), rising.astype(np.float32)
