"""The ring keeps the newest hops, and says which of them were never heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.ring import Ring


def vector(hop: int) -> np.ndarray:
    return np.array([hop + 0.5, -hop], np.float32)


@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.integers(1, 5), max_size=40),
    count=st.integers(1, 20),
    back=st.integers(0, 15),
)
def test_what_is_kept_is_what_was_put(capacity: int, steps: list[int], count: int, back: int) -> None:
    ring = Ring(capacity, 2)
    kept: dict[int, np.ndarray] = {}
    hop = -1
    for step in steps:
        hop += step
        ring.put(hop, vector(hop))
        kept[hop] = vector(hop)
    until = hop - back
    vectors, heard = ring.last(count, until=until)
    assert (vectors.shape, vectors.dtype, heard.shape) == ((count, 2), np.float32, (count,))
    for at, wanted in enumerate(range(until - count + 1, until + 1)):
        # A hop that is older than the capacity may still be there where newer ones were never heard: then it is the right one.
        if wanted > hop - capacity:
            assert heard[at] == (wanted in kept)
        if heard[at]:
            np.testing.assert_array_equal(vectors[at], kept[wanted])
        else:
            assert not vectors[at].any()


def test_the_newest_is_last() -> None:
    ring = Ring(3, 2)
    for hop in range(5):
        ring.put(hop, vector(hop))
    vectors, heard = ring.last(4)
    assert (ring.newest, ring.capacity) == (4, 3)
    assert heard.tolist() == [False, True, True, True]
    np.testing.assert_array_equal(vectors, [[0, 0], vector(2), vector(3), vector(4)])


def test_before_anything_was_heard() -> None:
    vectors, heard = Ring(3, 2).last(3)
    assert not heard.any()
    assert not vectors.any()


def test_it_keeps_a_copy() -> None:
    ring = Ring(3, 2)
    put = vector(1)
    ring.put(1, put)
    put[:] = 9
    got, _ = ring.last(1)
    got[:] = 9
    np.testing.assert_array_equal(ring.last(1)[0], [vector(1)])


@pytest.mark.parametrize("hop", [7, 3])
def test_hops_must_rise(hop: int) -> None:
    ring = Ring(3, 2)
    ring.put(7, vector(7))
    with pytest.raises(ValueError, match=f"hop {hop} is not newer than 7"):
        ring.put(hop, vector(hop))
