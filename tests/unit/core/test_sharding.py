"""Every station has exactly one monitor, always the same, and few move when one joins."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.sharding import shard_of

NAMES = [f"radio-{number}" for number in range(1000)]


@given(st.text(min_size=1), st.integers(1, 50))
def test_a_station_has_one_monitor(name: str, count: int) -> None:
    assert shard_of(name, count) in range(count)
    assert shard_of(name, count) == shard_of(name, count)


def test_it_is_the_same_in_every_version() -> None:
    """Another rule would move stations, and start their sequence anew, at an upgrade."""
    assert [shard_of(name, 5) for name in ("one", "two", "three", "radio-1", "ö")] == [2, 1, 0, 3, 2]


def test_the_load_is_even() -> None:
    counts = Counter(shard_of(name, 4) for name in NAMES)
    assert all(200 < count < 300 for count in counts.values()), counts


@pytest.mark.parametrize("count", [1, 2, 3, 9, 20])
def test_one_more_monitor_takes_its_share_and_moves_nothing_else(count: int) -> None:
    moved = [name for name in NAMES if shard_of(name, count) != shard_of(name, count + 1)]
    assert all(shard_of(name, count + 1) == count for name in moved)
    assert len(moved) < 1.6 * len(NAMES) / (count + 1)
