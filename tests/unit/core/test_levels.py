"""What the similarities of a play say of its edges, its fades and its use."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.levels import FILLED, LEAST, Levels


def levels(*values: float) -> Levels:
    """Of windows from hop 10 on, all of which speak."""
    return Levels(np.arange(10, 10 + len(values)), np.array(values, np.float32), np.ones(len(values), np.bool_))


def test_the_mean_is_of_what_speaks_and_stays_when_the_rest_is_forgotten() -> None:
    heard = Levels(np.array([3, 4, 5]), np.array([0.8, 0.1, 0.6], np.float32), np.array([True, False, True]))
    heard.note(6, 0.4, speaks=True)
    heard.note(7, 0.0, speaks=False)
    assert heard.mean == pytest.approx(0.6)
    assert len(heard) == 5
    heard.forget()
    assert (len(heard), heard.mean) == (0, pytest.approx(0.6))
    assert Levels(np.array([], np.int64), np.array([], np.float32), np.array([], np.bool_)).mean == 0.0


@pytest.mark.parametrize(("share", "told"), [(0.0, 0.3), (0.4, FILLED[0] + 0.4 * FILLED[1]), (1.0, sum(FILLED)), (2.0, 1.0)])
def test_an_edge_is_filled_the_less_the_less_alike(share: float, told: float) -> None:
    first, last = levels(0.8 * share, *[0.8] * 9).edges(10, 19)
    assert first == pytest.approx(told, abs=1e-6)
    assert last == pytest.approx(sum(FILLED))


def test_what_comes_up_or_goes_slowly_is_soft() -> None:
    assert levels(0.3, *[0.8] * 9).soft(10, 19) == (False, False), "a hard cut leaves only the first lower"
    assert levels(0.2, 0.5, *[0.8] * 8).soft(10, 19) == (True, False)
    assert levels(*[0.8] * 8, 0.5, 0.2).soft(10, 19) == (False, True)
    assert levels(*[0.2] * (LEAST - 1)).soft(10, 30) == (False, False), "too few to say"


def test_only_what_is_within_the_play_counts() -> None:
    heard = levels(*[0.0] * 5, *[0.8] * 10, *[0.0] * 5)
    assert heard.soft(15, 24) == (False, False)
    assert heard.edges(15, 24) == (pytest.approx(sum(FILLED)), pytest.approx(sum(FILLED)))
