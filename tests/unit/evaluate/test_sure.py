"""The fitted confidence says as often right as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.sure import Outcome, logistic, plays
from tests.unit.core.stories import DIM, EVIDENCE, Air, fingerprints, recording

TRUE = replace(EVIDENCE, sure_offset=-2.0, sure_nats=0.02, sure_log=1.0, sure_similarity=15.0, sure_most=0.98)


def drawn(count: int) -> list[Outcome]:
    random = np.random.default_rng(1)
    outcomes = []
    for _ in range(count):
        nats, similarity = float(random.uniform(15.0, 120.0)), float(random.uniform(0.4, 0.9))
        right = bool(random.random() < TRUE.confidence(nats, similarity, 60_000))
        outcomes.append(Outcome(evidence=nats, similarity=similarity, fingerprints=60_000, right=right))
    return outcomes


def test_the_curve_outcomes_were_drawn_from_is_found_again() -> None:
    names = ("sure_offset", "sure_nats", "sure_log", "sure_similarity", "sure_most")
    found = replace(EVIDENCE, **dict(zip(names, logistic(drawn(20_000)), strict=True)))
    for nats in (20.0, 50.0, 100.0):
        for similarity in (0.45, 0.6, 0.8):
            assert found.confidence(nats, similarity, 60_000) == pytest.approx(TRUE.confidence(nats, similarity, 60_000), abs=0.03)


def test_what_counts_twice_is_there_twice() -> None:
    outcomes = drawn(60)
    assert logistic([*outcomes[:-1], replace(outcomes[-1], weight=2.0)]) == pytest.approx(
        logistic([*outcomes, outcomes[-1]]), rel=0.05
    )


def test_all_right_has_an_answer() -> None:
    right = [replace(one, right=True) for one in drawn(5)]
    assert all(np.isfinite(logistic(right)))


def test_plays_are_those_of_the_matcher() -> None:
    songs = [recording(seed, 30) for seed in (1, 2)]
    library = MemoryLibrary(["a", "b"], [fingerprints(song) for song in songs])
    air = Air(60)
    air.play(songs[1], 20.0, to_s=20.0)
    told = plays(air.heard(), library, EVIDENCE, Recipe(name="small", dim=DIM))
    assert [play.reference_id for play in told] == [2]
    assert plays(air.heard(), library.without([2]), EVIDENCE, Recipe(name="small", dim=DIM)) == []
