from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.errors import Transient
from monitor.index.rows import Rows
from monitor.messages import Table


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.sets(st.integers(0, 7)), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_someones_or_no_ones(
    table_of: Callable[..., Table], hops: list[int], removed: set[int], data: st.DataObject
) -> None:
    """Against a plain list of owners, row by row."""
    rows = Rows(table_of(hops, removed))
    owners = [(at + 1, hop) if at not in removed else (-1, -1) for at, count in enumerate(hops) for hop in range(count)]
    ids, places = rows.locate(np.arange(-1, len(owners) + 2))
    assert list(zip(ids.tolist(), places.tolist(), strict=True)) == [(-1, -1), *owners, (-1, -1), (-1, -1)]
    start = data.draw(st.integers(0, len(owners)))
    stop = data.draw(st.integers(start, len(owners)))
    live = [row for row in range(start, stop) if owners[row][0] > 0]
    assert rows.numbers(start, stop).tolist() == live
    assert rows.live_in(start, stop) == len(live)


def test_locate_keeps_the_shape(table_of: Callable[..., Table]) -> None:
    ids, hops = Rows(table_of([3, 4])).locate(np.array([[0, 4], [6, -1]]))
    assert ids.tolist() == [[1, 2], [2, -1]]
    assert hops.tolist() == [[0, 1], [3, -1]]


def test_a_file_that_is_gone_says_to_look_again(table_of: Callable[..., Table]) -> None:
    table = table_of([3])
    table.path.unlink()
    with pytest.raises(Transient, match="read it again"):
        Rows(table)
    table.path.write_bytes(b"short")
    with pytest.raises(Transient, match="read it again"):
        Rows(table)


def test_a_range_outside_the_reference_is_refused(table_of: Callable[..., Table]) -> None:
    rows = Rows(table_of([3, 4]))
    for start, stop in ((0, 4), (-1, 2), (2, 1)):
        with pytest.raises(IndexError, match="which has 3"):
            rows.fingerprints(1, start, stop)
    with pytest.raises(KeyError):
        rows.fingerprints(9, 0, 1)
