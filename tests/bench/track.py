"""Tracker steps per second: what following one stream costs a hop, on known and on unknown sound."""

from __future__ import annotations

import time
from pathlib import Path

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
            hops = sum(len(one.hops) for recording in recordings for one in recording)
            track_s, search_s, told = min(_follow(material, library, recordings) for _ in range(1 if material.quick else ROUNDS))
            rows.append(
                (
                    f"{library.rows:,}",
                    what,
                    number(hops / track_s),
                    f"{1e3 * track_s / hops:.3f}",
                    f"{track_s / hops / encode_s:.2f}",
                    f"{1e3 * search_s / hops:.3f}",
                    number(hops * material.engine.recipe.hop_s / track_s),
                    str(told),
                )
            )
    return [
        Section(
            title="Tracking",
            columns=(
                "rows",
                "sound",
                "steps/s",
                "ms a step",
                "time : encoding a window",
                "ms a lookup",
                "streams a core",
                "plays told",
            ),
            rows=rows,
            notes=(
                f"One thread; the demo's recordings, batches of one stream of up to {replay.BATCH} hops; encoding a window here: "
                f"{1e3 * encode_s:.3f} ms. The larger catalogue is the demo's, filled up to {LARGE_ROWS:,} rows with made ones.",
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


def _follow(material: Material, library: faiss_store.Snapshot, recordings: list[list[Embeddings]]) -> tuple[float, float, int]:
    """Return the seconds of tracking and of lookups, and the number of plays told."""
    facts: list[Fact] = []
    plays = 0
    for recording in recordings:
        matcher = Matcher(library, material.evidence, material.engine.recipe, MatcherSettings(), facts.append)
        numbers = {event.number for embeddings in recording for event in matcher.match(embeddings)}
        plays += len(numbers)
    matched = [fact for fact in facts if isinstance(fact, BatchMatched)]
    return sum(fact.track_s for fact in matched), sum(fact.search_s for fact in matched), plays
