"""Batches come in order, a few ahead and no more; a failure where its batch was asked for; leaving ends the thread."""

from __future__ import annotations

import threading
import time

import pytest

from monitor.train.ahead import AHEAD, ahead


def test_batches_come_in_order_from_the_first_asked_for() -> None:
    with ahead(lambda number: f"batch {number}", 7) as batches:
        assert [next(batches) for _ in range(10)] == [f"batch {number}" for number in range(7, 17)]
    assert "sampler" not in {thread.name for thread in threading.enumerate()}


def test_what_fails_is_told_where_it_was_asked_for() -> None:
    def draw(number: int) -> int:
        if number == 2:
            raise ValueError("number 2 is damaged")
        return number

    with ahead(draw, 0) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        with pytest.raises(ValueError, match="number 2 is damaged"):
            next(batches)


def test_no_more_is_drawn_than_will_be_needed_soon() -> None:
    drawn: list[int] = []
    with ahead(drawn.append, 0) as batches:
        next(batches)
        deadline_s = time.monotonic() + 20.0
        while len(drawn) < AHEAD + 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        time.sleep(0.3)
    assert len(drawn) == AHEAD + 2
