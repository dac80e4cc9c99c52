"""The fitted confidence says as often right as it was."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.sure import logistic, plays
from tests.unit.core.stories import DIM, EVIDENCE, Air, fingerprints, recording


def test_the_curve_outcomes_were_drawn_from_is_found_again() -> None:
    random = np.random.default_rng(1)
    surprise = random.uniform(0.0, 12.0, 20_000)
    right = random.random(20_000) < 1 / (1 + np.exp(-(0.9 * surprise - 5.0)))
    offset, slope = logistic(surprise.tolist(), right.tolist(), [1.0] * 20_000)
    assert (offset, slope) == (pytest.approx(-5.0, abs=0.25), pytest.approx(0.9, abs=0.05))


def test_what_counts_twice_is_there_twice() -> None:
    surprise, right = [1.0, 2.0, 3.0, 4.0, 2.5], [False, True, False, True, False]
    twice = logistic([*surprise, 2.5], [*right, False], [1.0] * 6)
    assert logistic(surprise, right, [1.0] * 4 + [2.0]) == pytest.approx(twice, abs=1e-6)


def test_all_right_and_all_wrong_have_an_answer() -> None:
    assert all(np.isfinite(logistic([5.0, 6.0], [True, True], [1.0, 1.0])))
    assert all(np.isfinite(logistic([], [], [])))


def test_plays_are_those_of_the_matcher() -> None:
    songs = [recording(seed, 30) for seed in (1, 2)]
    library = MemoryLibrary(["a", "b"], [fingerprints(song) for song in songs])
    air = Air(60)
    air.play(songs[1], 20.0, to_s=20.0)
    told = plays(air.heard(), library, EVIDENCE, Recipe(name="small", dim=DIM))
    assert [play.reference_id for play in told] == [2]
    assert plays(air.heard(), library.without([2]), EVIDENCE, Recipe(name="small", dim=DIM)) == []
