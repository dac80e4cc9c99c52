"""The ring keeps the newest hops, and says which of them were never heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.evidence import NEAREST
from monitor.core.ring import RECENT, Ring


def vector(hop: int) -> np.ndarray:
    return np.array([hop + 0.5, -hop], np.float32)


def context(hop: int) -> np.ndarray:
    return np.array([[hop, 0.25], [0.5, 1.0], [hop, hop]], np.float32)


def put(ring: Ring, hop: int) -> None:
    ring.put(hop, vector(hop), context(hop))


@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.integers(1, 5), max_size=40),
    count=st.integers(1, 20),
)
def test_what_is_kept_is_what_was_put(capacity: int, steps: list[int], count: int) -> None:
    ring = Ring(capacity, 2)
    kept: dict[int, np.ndarray] = {}
    hop = -1
    for step in steps:
        hop += step
        put(ring, hop)
        kept[hop] = vector(hop)
    heard = ring.last(count)
    assert (heard.vectors.shape, heard.vectors.dtype, heard.context.shape) == ((count, 2), np.float32, (count, NEAREST, 2))
    assert heard.hops.tolist() == list(range(hop - count + 1, hop + 1))
    for at, wanted in enumerate(heard.hops):
        # A hop that is older than the capacity may still be there where newer ones were never heard: then it is the right one.
        if wanted > hop - capacity:
            assert heard.present[at] == (wanted in kept)
        if heard.present[at]:
            np.testing.assert_array_equal(heard.vectors[at], kept[wanted])
            np.testing.assert_allclose(heard.context[at], context(wanted), rtol=1e-3)
        else:
            assert not heard.vectors[at].any()
            assert not heard.context[at].any()


@given(st.lists(st.integers(1, 5) | st.just(3 * RECENT), min_size=1, max_size=60))
def test_what_is_at_hand_is_what_was_put_last(steps: list[int]) -> None:
    ring, hop = Ring(100, 2), -1
    for step in steps:
        hop += step
        put(ring, hop)
    heard, (together, present) = ring.last(RECENT), ring.recent()
    np.testing.assert_array_equal(present, heard.present)
    np.testing.assert_array_equal(together[:, 0], heard.vectors)
    np.testing.assert_array_equal(together[:, 1:], heard.context)
    np.testing.assert_array_equal(ring.now, [vector(hop), *context(hop)])


def test_the_newest_is_last() -> None:
    ring = Ring(3, 2)
    for hop in range(5):
        put(ring, hop)
    heard = ring.last(4)
    assert (ring.newest, ring.capacity, heard.newest, len(heard)) == (4, 3, 4, 4)
    assert heard.present.tolist() == [False, True, True, True]
    np.testing.assert_array_equal(heard.vectors, [[0, 0], vector(2), vector(3), vector(4)])


def test_the_tail_is_what_was_asked_for_in_the_first_place() -> None:
    ring = Ring(8, 2)
    for hop in (1, 2, 4, 5):
        put(ring, hop)
    tail, asked = ring.last(6).tail(3), ring.last(3)
    assert tail.hops.tolist() == asked.hops.tolist() == [3, 4, 5]
    assert tail.present.tolist() == asked.present.tolist() == [False, True, True]
    np.testing.assert_array_equal(tail.vectors, asked.vectors)
    np.testing.assert_array_equal(tail.context, asked.context)


def test_what_common_sounds_account_for_is_taken_off() -> None:
    """x = q.r - max(c.r, 0) over the context rows c."""
    ring, random = Ring(8, 5), np.random.default_rng(1)
    heard_vectors, contexts, stored = random.normal(size=(6, 5)), random.normal(size=(6, NEAREST, 5)), random.normal(size=(6, 5))
    contexts[2] = -np.abs(contexts[2])
    stored[2] = np.abs(stored[2])
    for hop in range(6):
        ring.put(hop, heard_vectors[hop], contexts[hop])
    heard = ring.last(6)
    for at in range(6):
        plain = float(heard_vectors[at] @ stored[at])
        common = max(0.0, *(float(row @ stored[at]) for row in contexts[at]))
        assert heard.similarity(stored)[at] == pytest.approx(plain, abs=1e-5)
        assert heard.distinct(stored)[at] == pytest.approx(plain - common, abs=0.02)  # the context is kept in half precision


def test_before_anything_was_heard() -> None:
    heard = Ring(3, 2).last(3)
    assert not heard.present.any()
    assert not heard.vectors.any()


def test_it_keeps_a_copy() -> None:
    ring = Ring(3, 2)
    mine = vector(1)
    ring.put(1, mine, context(1))
    mine[:] = 9
    ring.last(1).vectors[:] = 9
    np.testing.assert_array_equal(ring.last(1).vectors, [vector(1)])


@pytest.mark.parametrize("hop", [7, 3])
def test_hops_must_rise(hop: int) -> None:
    ring = Ring(3, 2)
    put(ring, 7)
    with pytest.raises(ValueError, match=f"hop {hop} is not newer than 7"):
        put(ring, hop)
