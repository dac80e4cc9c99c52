"""The simulated lives of a stream, in short: the stated uncertainty holds what is promised of it."""

from __future__ import annotations

import pytest

from monitor.core.recipe import Recipe
from monitor.evaluate.clock import LIVES, Life, simulate, table

RECIPE = Recipe(name="any")


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_the_true_time_lies_inside_the_stated_uncertainty(life: Life) -> None:
    outcome = simulate(life, 1.5, 2, RECIPE)
    for at, errors in enumerate(outcome.errors_s):
        assert len(errors) > 300
        assert outcome.inside(at) >= (0.8 if life.wrong else 0.95)  # ten wrong minutes are a ninth of this life


def test_a_clean_stream_is_known_to_a_fraction_of_a_second() -> None:
    outcome = simulate(LIVES[0], 0.5, 2, RECIPE)
    assert max(outcome.uncertain_s[0]) <= 1.0
    assert max(outcome.errors_s[0]) < 0.1


def test_a_connection_that_is_lost_is_opened_again() -> None:
    assert simulate(Life(name="bad", drops=20.0), 1.0, 2, RECIPE).connections > 5


def test_the_table_has_a_row_for_each_life() -> None:
    assert len([line for line in table(0.1, 1, LIVES[:2]).splitlines() if line.startswith("| ")]) == 3
