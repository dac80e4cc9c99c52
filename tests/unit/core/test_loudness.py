"""Silence is told after its time, at its level, whatever the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.loudness import Loudness

RATE = 1000


def square(level_db: float, seconds: float) -> np.ndarray:
    """A square wave, whose level in dBFS is that of its amplitude."""
    return np.where(np.arange(round(seconds * RATE)) % 2, 1, -1).astype(np.float32) * np.float32(10 ** (level_db / 20))


def fresh(after_s: float = 2.0) -> Loudness:
    return Loudness(rate_hz=RATE, silence_db=-60.0, silence_after_s=after_s)


@pytest.mark.parametrize(("level_db", "changes"), [(-60.5, [True]), (-59.5, []), (-200.0, [True]), (0.0, [])])
def test_level_decides(level_db: float, changes: list[bool]) -> None:
    assert fresh().hear(square(level_db, 5.0)) == changes


def test_time_decides() -> None:
    loudness = fresh()
    assert loudness.hear(np.zeros(1999, np.float32)) == []
    assert loudness.hear(np.zeros(1, np.float32)) == [True]


def test_sound_ends_silence_and_a_word_interrupts_it() -> None:
    loudness = fresh()
    quiet, loud = np.zeros(1500, np.float32), square(-20.0, 0.1)
    assert loudness.hear(np.concatenate((quiet, loud, quiet))) == []
    assert loudness.hear(np.concatenate((quiet, loud, quiet))) == [True, False]


def test_a_new_connection_starts_loud() -> None:
    loudness = fresh()
    assert loudness.hear(np.zeros(2000, np.float32)) == [True]
    loudness.restart()
    assert loudness.hear(np.zeros(1900, np.float32)) == []
    assert loudness.hear(np.zeros(100, np.float32)) == [True]


@given(
    st.lists(st.tuples(st.sampled_from([-90.0, -61.0, -30.0]), st.integers(1, 1200)), max_size=8),
    st.lists(st.integers(0, 9000), max_size=10),
)
def test_same_answer_however_the_sound_was_cut(parts: list[tuple[float, int]], cuts: list[int]) -> None:
    sound = np.concatenate([np.empty(0, np.float32), *(square(level_db, size / RATE) for level_db, size in parts)])
    pieces = np.split(sound, sorted(min(cut, sound.size) for cut in cuts))
    whole, cut = fresh(0.7), fresh(0.7)
    assert [change for piece in pieces for change in cut.hear(piece)] == whole.hear(sound)
