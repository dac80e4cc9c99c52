"""What was heard: classes smoothed, pauses bridged, holes found, and every received sample settled exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.hearing import OVERDUE_S, Hearing, Stretch
from monitor.core.recipe import Recipe
from monitor.messages import AirState

RECIPE = Recipe(name="any")
HOP, RATE = RECIPE.hop_samples, RECIPE.sample_rate_hz
MUSIC, SPEECH, SILENCE, SHED = AirState.MUSIC, AirState.SPEECH, AirState.SILENCE, AirState.SHED


@dataclass
class Ear:
    """A hearing, and what it settled."""

    hearing: Hearing = field(default_factory=lambda: Hearing(RECIPE, silence_db=-60.0))
    stretches: list[Stretch] = field(default_factory=list)

    def settle(self, *, over: bool = False) -> list[tuple[float, float, AirState]]:
        self.stretches += self.hearing.settle(over=over)
        joined: list[list] = []
        for one in self.stretches:
            if joined and joined[-1][1] == one.first / RATE and joined[-1][2] is one.state:
                joined[-1][1] = one.end / RATE
            else:
                joined.append([one.first / RATE, one.end / RATE, one.state])
        return [tuple(one) for one in joined]

    def hear(self, first_s: float, *parts: tuple[float, str], missing: set[int] = frozenset()) -> float:
        """Receive and analyse parts of so many seconds: "m" is music, "s" speech, "." silence. The connection begins at first_s."""
        start = round(first_s * RATE)
        kinds = "".join(kind * round(length_s * RATE) for length_s, kind in parts)
        for at in range(0, len(kinds), 2000):
            self.hearing.received(start + at, min(2000, len(kinds) - at))
        hop = -(-start // HOP)
        while hop * HOP + 2 * HOP <= start + len(kinds):
            inside = kinds[hop * HOP - start : hop * HOP - start + 2 * HOP]
            if hop not in missing:
                music = 0.9 if inside.count("m") > inside.count("s") else 0.1
                self.hearing.analysed(hop, music, -90.0 if set(inside) == {"."} else -20.0)
            hop += 1
        return (start + len(kinds)) / RATE


def test_music_then_speech_is_two_stretches() -> None:
    ear = Ear()
    ear.hear(0.0, (20.0, "m"), (20.0, "s"))
    assert ear.settle(over=True) == [(0.0, pytest.approx(20.0, abs=0.5), MUSIC), (pytest.approx(20.0, abs=0.5), 40.0, SPEECH)]


def test_a_word_is_not_a_programme_and_a_breath_is_no_silence() -> None:
    ear = Ear()
    ear.hear(0.0, (10.0, "m"), (1.0, "s"), (10.0, "m"), (1.5, "."), (10.0, "m"))
    assert ear.settle(over=True) == [(0.0, 32.5, MUSIC)]


def test_silence_begins_and_ends_where_it_does() -> None:
    ear = Ear()
    ear.hear(0.0, (10.0, "m"), (5.0, "."), (10.0, "s"))
    (_, quiet, state), (_, loud, silence), (_, _, last) = ear.settle(over=True)
    assert (state, silence, last) == (MUSIC, SILENCE, SPEECH)
    assert (quiet, loud) == (pytest.approx(10.0, abs=0.5), pytest.approx(15.0, abs=0.5))


def test_what_is_not_analysed_while_the_rest_is_was_shed() -> None:
    ear = Ear()
    ear.hear(0.0, (30.0, "m"), missing=set(range(20, 31)))
    assert ear.settle(over=True) == [(0.0, 10.5, MUSIC), (10.5, 15.5, SHED), (15.5, 30.0, MUSIC)]


def test_one_window_that_is_missing_is_seen_by_its_neighbours() -> None:
    ear = Ear()
    ear.hear(0.0, (30.0, "m"), missing={20})
    assert ear.settle(over=True) == [(0.0, 30.0, MUSIC)]


def test_nothing_is_said_of_what_may_still_be_analysed_until_it_is_overdue() -> None:
    ear = Ear()
    every = set(range(1000))
    end_s = ear.hear(0.0, (OVERDUE_S, "m"), missing=every)
    assert ear.settle() == []
    ear.hearing.received(round(end_s * RATE), 10 * RATE)
    assert ear.settle() == [(0.0, 10.0, SHED)]


def test_a_gap_is_nobodys_and_the_end_before_it_is_what_came_before() -> None:
    ear = Ear()
    end_s = ear.hear(0.0, (10.3, "m"))
    again_s = end_s + 5.2
    ear.hear(again_s, (10.0, "s"))
    assert ear.settle(over=True) == [(0.0, 10.3, MUSIC), (15.5, 25.5, SPEECH)]


def test_a_connection_too_short_for_a_window_was_not_analysed() -> None:
    ear = Ear()
    ear.hear(0.0, (0.75, "m"))
    ear.hear(5.0, (10.0, "m"))
    assert ear.settle(over=True) == [(0.0, 0.75, SHED), (5.0, 15.0, MUSIC)]


connections = st.lists(
    st.tuples(
        st.integers(1, 20),  # gap before it, hops
        st.lists(st.tuples(st.integers(1, 60), st.sampled_from("ms.")), min_size=1, max_size=4),  # quarters of a second
        st.sets(st.integers(0, 300), max_size=40),
    ),
    min_size=1,
    max_size=5,
)


@given(connections, st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_received_sample_is_settled_once_and_no_other(history: list, often: bool) -> None:
    ear, at_s, truth = Ear(), 0.0, []
    for gap, parts, missing in history:
        begin_s = (-(-round(at_s * RATE) // HOP) + gap) * 0.5
        at_s = ear.hear(begin_s, *((quarters / 4, kind) for quarters, kind in parts), missing=missing)
        truth.append((begin_s, at_s))
        if often:
            ear.settle()
    ear.settle(over=True)
    assert ear.hearing.settle(over=True) == []
    covered: list[list[float]] = []
    for one in ear.stretches:
        assert one.end > one.first
        if covered and covered[-1][1] == one.first / RATE:
            covered[-1][1] = one.end / RATE
        else:
            assert not covered or one.first / RATE > covered[-1][1]
            covered.append([one.first / RATE, one.end / RATE])
    assert [tuple(one) for one in covered] == truth
    assert len(ear.hearing._windows) < 100
