"""The library in memory finds what an exact search finds, and knows what it holds."""

from __future__ import annotations

import numpy as np

from monitor.evaluate.memory import MemoryLibrary
from monitor.messages import Reference
from tests.unit.core.stories import DIM, fingerprints, recording

ROWS = [fingerprints(recording(seed, seconds)) for seed, seconds in ((1, 10), (2, 7), (3, 12))]
LIBRARY = MemoryLibrary(["a", "b", "c"], ROWS)


def test_a_fingerprint_finds_itself_first() -> None:
    for number, rows in enumerate(ROWS, start=1):
        similarity, found = LIBRARY.search(rows, 4)
        owner, hop = LIBRARY.locate(found)
        assert (owner[:, 0] == number).all()
        assert hop[:, 0].tolist() == list(range(len(rows)))
        assert (np.diff(similarity, axis=1) <= 0).all()
        np.testing.assert_allclose(similarity[:, 0], 1.0, atol=2e-3)


def test_neighbours_are_the_nearest_of_all() -> None:
    query = np.random.default_rng(1).standard_normal((5, DIM)).astype(np.float32)
    similarity, _ = LIBRARY.search(query, 8)
    every = np.concatenate(ROWS) @ query.T
    np.testing.assert_allclose(similarity, -np.sort(-every.T, axis=1)[:, :8], atol=0.02)


def test_a_hidden_reference_is_not_found_and_where_nothing_is_left_there_is_no_row() -> None:
    similarity, found = LIBRARY.without([2]).search(ROWS[1], 4)
    assert set(LIBRARY.locate(found)[0].ravel().tolist()) <= {1, 3}
    assert (similarity < 0.99).all()
    small = MemoryLibrary(["a"], [ROWS[0][:3]])
    assert (small.search(ROWS[0], 8)[1] >= 0).sum(axis=1).tolist() == [3] * len(ROWS[0])
    assert (small.without([1]).search(ROWS[0], 2)[1] == -1).all()


def test_blocks_give_what_the_whole_gives() -> None:
    blocks = MemoryLibrary(["a", "b", "c"], ROWS, columns=7).without([1])
    for one, other in zip(LIBRARY.without([1]).search(ROWS[2], 5), blocks.search(ROWS[2], 5), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_is_stored() -> None:
    assert [LIBRARY.hops(number) for number in (1, 2, 3)] == [len(rows) for rows in ROWS]
    assert LIBRARY.rows == sum(len(rows) for rows in ROWS)
    np.testing.assert_allclose(LIBRARY.fingerprints(2, 3, 6), ROWS[1][3:6], atol=1e-3)
    assert LIBRARY.reference(3) == Reference(id=3, path="c")
