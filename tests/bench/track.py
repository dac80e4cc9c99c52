"""Tracker steps per second: what following a stream costs a hop, alone and among many, on known and on unknown sound."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from monitor import replay
from monitor.facts import BatchMatched, Fact
from monitor.index import faiss_store
from monitor.messages import Embeddings
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings
from tests.bench.material import LARGE_ROWS, Material
from tests.bench.table import Section, number

ROUNDS = 3
STREAMS = 200
HOPS = 60
"""Of each of so many streams that are followed together, a hop of all in a batch, as on air."""


def measure(material: Material) -> list[Section]:
    """Let the matcher follow the demo's recordings, in a small and in a large catalogue."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    encode_s, known = _fingerprints(material, material.listed[:3] if material.quick else material.listed)
    _, unknown = _fingerprints(material, material.unlisted)
    torch.set_num_threads(before)
    rows = []
    for folder in (material.catalog, material.large_catalog):
        library = material.library(folder)
        for what, recordings in (("known", known), ("unknown", unknown)):
            together = _together(recordings, 8 if material.quick else STREAMS)
            for streams, batches in ((1, recordings), (STREAMS, [together])):
                hops = sum(len(one.hops) for recording in batches for one in recording)
                rounds = 1 if material.quick else ROUNDS
                track_s, search_s, told = min(_follow(material, library, batches) for _ in range(rounds))
                rows.append(
                    (
                        *(f"{library.rows:,}", library.kind, what, str(streams), number(hops / track_s)),
                        *(f"{1e3 * track_s / hops:.3f}", f"{1e3 * search_s / hops:.3f}"),
                        f"{(track_s + search_s) / hops / encode_s:.2f}",
                        number(hops * material.engine.recipe.hop_s / (track_s + search_s)),
                        str(told),
                    )
                )
    return [
        Section(
            title="Tracking",
            columns=(
                *("rows", "index", "sound", "streams a batch", "steps/s", "ms a step", "ms a lookup"),
                *("both : encoding a window", "streams a core", "plays told"),
            ),
            rows=rows,
            notes=(
                f"One thread; the demo's recordings. One stream a batch: up to {replay.BATCH} of its hops; {STREAMS}: a hop of "
                f"each, every one elsewhere in the recordings. Encoding a window here: {1e3 * encode_s:.3f} ms. The larger "
                f"catalogue is the demo's, filled up to {LARGE_ROWS:,} rows with made ones.",
            ),
        )
    ]


def _fingerprints(material: Material, paths: list[Path]) -> tuple[float, list[list[Embeddings]]]:
    """Return the seconds a window took to encode, and the fingerprints of each recording."""
    engine = material.engine
    sounds = [(path.stem, material.sound(path)) for path in paths]
    started_s = time.perf_counter()
    found = [list(replay.fingerprints(name, [sound], engine, engine.recipe)) for name, sound in sounds]
    return (time.perf_counter() - started_s) / sum(len(one.hops) for each in found for one in each), found


def _together(recordings: list[list[Embeddings]], streams: int) -> list[Embeddings]:
    """Return batches of a hop of each stream; the streams begin evenly spread over all recordings, one after the other."""
    course = np.concatenate([one.vectors for recording in recordings for one in recording])
    begins = np.arange(streams) * len(course) // streams
    names = tuple(f"s{number}" for number in range(streams))
    return [
        Embeddings(
            streams=names,
            hops=np.full(streams, hop, np.int64),
            vectors=course[(begins + hop) % len(course)],
            arrived_s=np.zeros(streams),
        )
        for hop in range(HOPS)
    ]


def _follow(material: Material, library: faiss_store.Snapshot, recordings: list[list[Embeddings]]) -> tuple[float, float, int]:
    """Return the seconds of tracking and of lookups, and the number of plays told."""
    facts: list[Fact] = []
    plays = 0
    for recording in recordings:
        matcher = Matcher(library, material.evidence, material.engine.recipe, MatcherSettings(), facts.append)
        numbers = {(event.play.stream, event.number) for embeddings in recording for event in matcher.match(embeddings)}
        plays += len(numbers)
    matched = [fact for fact in facts if isinstance(fact, BatchMatched)]
    return sum(fact.track_s for fact in matched), sum(fact.search_s for fact in matched), plays
