"""The tail that was drawn is the tail that is found, and the rungs under it are the matcher's own plays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.remembering import Remembering
from monitor.evaluate.unknown import Rung, tail, told
from monitor.train.data import DataMissing
from tests.unit.core.stories import DIM, EVIDENCE, Air, fingerprints, recording

OFFSET, SLOPE = 11.0, 0.3
RECIPE = Recipe(name="small", dim=DIM)
SONGS = [recording(seed, 30) for seed in (1, 2)]
LIBRARY = MemoryLibrary(["a", "b"], [fingerprints(song) for song in SONGS])


def test_the_tail_counts_were_drawn_from_is_found_again() -> None:
    random = np.random.default_rng(1)
    chances = 40_000.0 * 65_000.0
    rungs = []
    for needed in (9.0, 12.0, 15.0, 18.0, 22.0):
        for part in (0.25, 0.75):
            mean = part * chances * math.exp(-OFFSET - SLOPE * needed)
            rungs.append(Rung(needed=needed, told=int(random.poisson(mean)), same=1, chances=part * chances))
    found = tail(rungs)
    assert found.slope == pytest.approx(SLOPE, rel=0.05)
    for needed in (9.0, 22.0, 35.0):
        assert found.offset + found.slope * needed == pytest.approx(OFFSET + SLOPE * needed, abs=0.4)
    assert [rung.chances for rung in found.rungs] == pytest.approx([chances] * 5)
    assert [rung.same for rung in found.rungs] == [2] * 5


def test_a_tail_of_nothing_is_none() -> None:
    with pytest.raises(DataMissing, match="by chance at 1 of 3 levels of evidence, fewer than 3"):
        tail([Rung(needed=level, told=int(level == 9.0), same=0, chances=1e9) for level in (9.0, 12.0, 15.0)])


def test_rungs_count_the_plays_that_are_told_when_so_much_is_asked_for() -> None:
    """Half a minute of a recording that the catalogue has, once looked for with a sane level, once with one nothing reaches."""
    air = Air(60)
    air.play(SONGS[1], 20.0, to_s=20.0)
    rungs = told(air.heard(), None, LIBRARY, EVIDENCE, RECIPE, [40.0, 600.0])
    assert [(rung.told, rung.same) for rung in rungs] == [(1, 0), (0, 0)]
    assert {rung.chances for rung in rungs} == {120.0 * LIBRARY.rows}


def test_what_is_the_same_sound_as_what_is_on_air_is_counted_apart() -> None:
    """What is on air is another version of what the catalogue has, with another beginning; or is said to be something else."""
    air = Air(60)
    air.play(SONGS[1], 20.0, to_s=20.0)
    (version,) = told(air.heard(), fingerprints(np.concatenate([recording(4, 5), SONGS[1]])), LIBRARY, EVIDENCE, RECIPE, [40.0])
    assert (version.told, version.same) == (0, 1)
    (other,) = told(air.heard(), fingerprints(recording(3, 30)), LIBRARY, EVIDENCE, RECIPE, [40.0])
    assert (other.told, other.same) == (1, 0)


@pytest.mark.parametrize(("noise", "same"), [(0.65, True), (0.95, False)])
def test_what_is_less_alike_than_a_version_is_chance(noise: float, same: bool) -> None:
    """The recording on air is 0.84 alike to what is told, as a version half a hop off is, or 0.72, as a chord that both hold."""
    air = Air(60)
    air.play(SONGS[1], 20.0, to_s=20.0)
    (rung,) = told(air.heard(), fingerprints(SONGS[1], noise, seed=5), LIBRARY, EVIDENCE, RECIPE, [40.0])
    assert (rung.told, rung.same) == (int(not same), int(same))


class Counted(MemoryLibrary):
    """Counts what it is asked."""

    asked = 0

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked += len(vectors)
        return super().search(vectors, k)


def test_a_library_that_remembers_answers_alike_and_is_asked_once() -> None:
    counted = Counted(["a", "b"], [fingerprints(song) for song in SONGS])
    remembering = Remembering(counted)
    query = fingerprints(SONGS[0], 0.2)[:20]
    first = remembering.search(query[:12], 4)
    again = remembering.search(query, 4)
    assert counted.asked == 20
    for one, other, plain in zip(first, again, LIBRARY.search(query, 4), strict=True):
        np.testing.assert_array_equal(one, other[:12])
        np.testing.assert_allclose(other, plain, atol=1e-6)
