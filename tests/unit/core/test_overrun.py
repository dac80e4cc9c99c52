"""What a sound card's buffer lost is found, and nothing else is taken for it."""

from __future__ import annotations

import random

import pytest

from monitor.core.overrun import Overrun

RATE, PIECE = 48_000, 4800


class Card:
    """A card whose buffer holds so much, its frames in periods, and a reader."""

    def __init__(self, *, holds_s: float, period: int = 1024, drift: float = 0.0) -> None:
        self.holds, self.period, self.rate = round(holds_s * RATE), period, RATE * (1 + drift)
        self.now_s = self.fetched_at = 0.0
        self.fetched = self.lost = 0
        self.overrun = Overrun(RATE)
        self.told_s: list[float] = []

    def _there(self) -> int:
        made = int(self.now_s * self.rate) // self.period * self.period
        waiting = made - self.fetched - self.lost
        if waiting > self.holds:
            self.lost += waiting - self.holds
        return min(waiting, self.holds)

    def run(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            began_s = self.now_s
            while self._there() < PIECE:
                self.now_s += 0.001
            self.now_s += 0.0005
            self.fetched += PIECE
            found_s = self.overrun.read(PIECE, waiting=self._there(), began_s=began_s, ended_s=self.now_s)
            if found_s:
                self.told_s.append(found_s)

    def held_up(self, seconds: float) -> None:
        """The reader is away."""
        self.now_s += seconds
        self._there()


@pytest.mark.parametrize("period", [64, 1024, 4096])
def test_what_the_buffer_could_not_hold_is_told_once(period: int) -> None:
    card = Card(holds_s=0.5, period=period)
    card.run(5.0)
    card.held_up(3.0)
    card.run(5.0)
    assert len(card.told_s) == 1
    assert card.told_s[0] == pytest.approx(card.lost / RATE, abs=0.09)
    assert card.lost / RATE == pytest.approx(2.5, abs=0.1)


def test_two_losses_are_two() -> None:
    card = Card(holds_s=0.2)
    for _ in range(2):
        card.run(5.0)
        card.held_up(1.0)
    card.run(5.0)
    assert len(card.told_s) == 2
    assert sum(card.told_s) == pytest.approx(card.lost / RATE, abs=0.1)


def test_a_buffer_that_held_all_of_it_lost_nothing() -> None:
    card = Card(holds_s=20.0)
    card.run(5.0)
    card.held_up(8.0)
    card.run(20.0)
    assert (card.told_s, card.lost) == ([], 0)


@pytest.mark.parametrize("drift", [-300e-6, 300e-6])
def test_a_card_whose_clock_is_off_loses_nothing_in_hours(drift: float) -> None:
    card = Card(holds_s=0.5, drift=drift)
    card.run(2 * 3600.0)
    assert card.told_s == []


def test_a_machine_that_stumbles_is_no_loss() -> None:
    draw, card = random.Random(1), Card(holds_s=1.0)
    for _ in range(200):
        card.run(draw.uniform(0.1, 2.0))
        card.held_up(draw.uniform(0.0, 0.9))
    card.run(5.0)
    assert (card.told_s, card.lost) == ([], 0)
