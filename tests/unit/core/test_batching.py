"""A batch goes when it is full or when its oldest window has waited long enough; when too much waits, the oldest goes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.batching import Batcher
from monitor.messages import Window

SAMPLES = np.zeros(1, np.float32)


def window(number: int, arrived_s: float = 0.0) -> Window:
    return Window(stream="a", hop=number, samples=SAMPLES, arrived_s=arrived_s)


def test_nothing_waits_at_first() -> None:
    batcher = Batcher(size=2, max_wait_s=0.5, limit=4)
    assert (len(batcher), batcher.due_s(), batcher.take(float("inf"))) == (0, None, [])


def test_a_full_batch_goes_at_once_and_no_fuller() -> None:
    batcher = Batcher(size=2, max_wait_s=0.5, limit=4)
    for number in range(3):
        batcher.put(window(number, 10.0))
    assert [one.hop for one in batcher.take(10.0)] == [0, 1]
    assert batcher.take(10.0) == []
    assert len(batcher) == 1


def test_a_batch_waits_for_company_as_long_as_its_oldest_may() -> None:
    batcher = Batcher(size=8, max_wait_s=0.5, limit=8)
    batcher.put(window(0, 10.0))
    batcher.put(window(1, 10.4))
    assert batcher.due_s() == 10.5
    assert batcher.take(10.49) == []
    assert [one.hop for one in batcher.take(10.5)] == [0, 1]
    assert batcher.due_s() is None


def test_the_oldest_is_handed_back_when_full() -> None:
    batcher = Batcher(size=8, max_wait_s=0.5, limit=2)
    dropped = [batcher.put(window(number)) for number in range(4)]
    assert [one.hop if one else None for one in dropped] == [None, None, 0, 1]
    assert [one.hop for one in batcher.take(1.0)] == [2, 3]


@given(st.lists(st.one_of(st.just("put"), st.floats(0.0, 1.0)), max_size=60), st.integers(1, 5), st.integers(5, 9))
def test_every_window_leaves_once_in_order(steps: list[str | float], size: int, limit: int) -> None:
    batcher = Batcher(size=size, max_wait_s=0.4, limit=limit)
    now_s, put, left = 0.0, 0, []
    for step in [*steps, 1.0]:
        if step == "put":
            dropped = batcher.put(window(put, now_s))
            put += 1
            left += [dropped.hop] if dropped else []
            assert len(batcher) <= limit
        else:
            now_s += float(step)
            while batch := batcher.take(now_s):
                assert len(batch) <= size
                left += [one.hop for one in batch]
            due_s = batcher.due_s()
            assert due_s is None or due_s > now_s
    assert left == list(range(put))
