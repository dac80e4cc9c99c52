"""The tail that was drawn is the tail that is found, and a few versions of a catalogued recording do not bend it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.core.alignment import SPAN
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.remembering import Remembering
from monitor.evaluate.unknown import tail
from tests.unit.core.stories import fingerprints, recording

FINGERPRINTS, OFFSET, SLOPE = 5000, 12.0, 0.35


def drawn(blocks: int, seed: int = 1) -> np.ndarray:
    """Draw evidence of hops: in each block one alignment, seen by several hops, highest as the tail says."""
    random = np.random.default_rng(seed)
    per_block = SPAN * FINGERPRINTS * math.exp(-OFFSET)
    highest = (random.exponential(1.0, blocks) + math.log(per_block)) / SLOPE
    rows = np.repeat(highest[:, None], SPAN, axis=1) - random.uniform(0.0, 5.0, (blocks, SPAN))
    rows[:, 7] = highest
    return rows.ravel()


def test_the_tail_is_found_again() -> None:
    found = tail([drawn(40_000), drawn(40_000, 2)], FINGERPRINTS)
    assert found.slope == pytest.approx(SLOPE, rel=0.08)
    needed = found.level + 10.0
    measured = found.offset + found.slope * needed
    assert measured == pytest.approx(OFFSET + SLOPE * needed, abs=0.3)


def test_a_few_versions_of_what_is_catalogued_do_not_bend_it() -> None:
    clean = drawn(40_000)
    with_versions = np.concatenate([clean, np.full(10 * SPAN, 400.0)])
    assert tail([with_versions], FINGERPRINTS).slope == pytest.approx(tail([clean], FINGERPRINTS).slope, rel=0.1)


class Counted(MemoryLibrary):
    """Counts what it is asked."""

    asked = 0

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked += len(vectors)
        return super().search(vectors, k)


def test_a_library_that_remembers_answers_alike_and_is_asked_once() -> None:
    songs = [fingerprints(recording(seed, 30)) for seed in (1, 2)]
    counted, plain = Counted(["a", "b"], songs), MemoryLibrary(["a", "b"], songs)
    remembering = Remembering(counted)
    first = remembering.search(songs[0][:12], 4)
    again = remembering.search(songs[0][:20], 4)
    assert counted.asked == 20
    for one, other, every in zip(first, again, plain.search(songs[0][:20], 4), strict=True):
        np.testing.assert_array_equal(one, other[:12])
        np.testing.assert_allclose(other, every, atol=1e-6)
