"""Positions of windows become a line; where the speed changes, it follows; where nothing can tell, there is none."""

from __future__ import annotations

import pytest

from monitor.core.line import CLEAR_NATS, FITTED, TRUSTED, Line, Positions
from monitor.core.window import REACH, Around

ALIKE = (0.0, 0.2, 0.9, 0.2, 0.0)
"""Most alike where the line is, beside it alike on both sides."""


def around(near: int, alike: tuple[float, ...] = ALIKE, beside: float = 0.1) -> Around:
    assert len(alike) == 2 * REACH + 1
    return Around(near=near, alike=list(alike), beside=[beside] * (2 * REACH))


def noted(first: int, count: int, position: float, speed: float, positions: Positions | None = None) -> Positions:
    """Note windows along a line, to half a hop."""
    positions = positions or Positions()
    for hop in range(first, first + count):
        at = position + speed * (hop - first)
        whole = int(at)
        half = at - whole >= 0.5
        assert positions.note(hop, around(whole, (0.0, 0.0, 0.8, 0.8 if half else 0.0, 0.0), 0.0), 5.0)
    return positions


def test_a_line_says_where_and_when() -> None:
    line = Line(100.0, 20.0, 1.02)
    assert line.at(150) == pytest.approx(71.0)
    assert line.when(71.0) == pytest.approx(150.0)


@pytest.mark.parametrize("count", [1, TRUSTED - 1, TRUSTED])
def test_too_few_positions_make_no_line(count: int) -> None:
    assert noted(0, count, 5.0, 1.0).fit() is None


def test_the_line_has_the_speed_that_was_heard() -> None:
    fitted = noted(50, 100, 7.0, 1.05).fit()
    assert fitted
    line, changed = fitted
    assert line.speed == pytest.approx(1.05, abs=0.002)
    assert line.at(50) == pytest.approx(7.0, abs=0.3)
    assert not changed


def test_another_speed_begins_another_line() -> None:
    positions = noted(0, 60, 0.0, 1.0)
    noted(60, TRUSTED + 2, 60.0, 1.05, positions)
    fitted = positions.fit()
    assert fitted
    assert fitted[1]
    assert fitted[0].speed > 1.02
    assert len(positions) == TRUSTED


def test_what_cannot_tell_is_not_noted() -> None:
    positions = Positions()
    assert not positions.note(0, around(5), CLEAR_NATS)
    assert not positions.note(0, around(5, beside=0.95), 5.0), "steady sound is alike everywhere"
    assert positions.note(0, around(5), 5.0)
    assert len(positions) == 1
    positions.forget()
    assert not positions


def test_no_more_is_kept_than_is_fitted() -> None:
    assert len(noted(0, FITTED + 50, 0.0, 1.0)) == FITTED


def test_another_recording_takes_them_along() -> None:
    positions = noted(0, 30, 4.0, 1.0)
    positions.shift(100.0)
    other = Positions()
    other.take(positions)
    fitted = other.fit()
    assert fitted
    assert fitted[0].at(0) == pytest.approx(104.0, abs=0.01)
