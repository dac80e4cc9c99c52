"""Windows lie on the hop grid, never span a gap, and do not depend on how the sound was cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.framing import Framer, windows
from monitor.core.recipe import Recipe
from monitor.messages import Chunk, Window

RECIPE = Recipe(name="small", window_samples=80, hop_samples=40)


def sound(size: int, start: int = 0) -> np.ndarray:
    """Every sample says where it lies."""
    return np.arange(start, start + size, dtype=np.float32)


def chunk(position: int, samples: np.ndarray, arrived_s: float = 0.0) -> Chunk:
    return Chunk(stream="a", position=position, samples=samples, arrived_s=arrived_s)


def push(framer: Framer, position: int, samples: np.ndarray, cuts: list[int]) -> list[Window]:
    edges = [0, *sorted(min(cut, samples.size) for cut in cuts), samples.size]
    windows = []
    for low, high in itertools.pairwise(edges):
        windows += framer.push(chunk(position + low, samples[low:high]))
    return windows


@given(size=st.integers(0, 700), first=st.integers(0, 200), cuts=st.lists(st.integers(0, 700), max_size=12))
def test_windows_are_the_same_however_the_stream_is_cut(size: int, first: int, cuts: list[int]) -> None:
    windows = push(Framer(RECIPE), first, sound(size, first), cuts)
    expected = [hop for hop in range(30) if hop * 40 >= first and hop * 40 + 80 <= first + size]
    assert [window.hop for window in windows] == expected
    for window in windows:
        np.testing.assert_array_equal(window.samples, sound(80, window.hop * 40))


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300), st.lists(st.integers(0, 300), max_size=4)), max_size=6))
def test_no_window_spans_a_gap(stretches: list[tuple[int, int, list[int]]]) -> None:
    framer = Framer(RECIPE)
    position = 0
    got, expected = [], []
    for size, gap, cuts in stretches:
        got += [window.hop for window in push(framer, position, sound(size, position), cuts)]
        expected += [hop for hop in range(200) if hop * 40 >= position and hop * 40 + 80 <= position + size]
        position += size + gap
    assert got == expected


def test_window_arrives_with_the_chunk_that_completes_it() -> None:
    framer = Framer(RECIPE)
    assert framer.push(chunk(0, sound(79), arrived_s=1.0)) == []
    (window,) = framer.push(chunk(79, sound(1, 79), arrived_s=2.0))
    assert (window.arrived_s, window.stream) == (2.0, "a")


def test_window_does_not_share_memory_with_what_is_held() -> None:
    framer = Framer(RECIPE)
    (window,) = framer.push(chunk(0, sound(80)))
    window.samples[:] = -1.0
    (following,) = framer.push(chunk(80, sound(40, 80)))
    np.testing.assert_array_equal(following.samples, sound(80, 40))


def test_sound_from_the_past_is_a_bug() -> None:
    framer = Framer(RECIPE)
    framer.push(chunk(100, sound(50)))
    with pytest.raises(ValueError, match="position 149 lies before 150"):
        framer.push(chunk(149, sound(10)))


def test_the_windows_of_a_whole_sound_lie_on_the_hop_grid() -> None:
    cut = windows(sound(215), RECIPE)
    assert cut[:, 0].tolist() == [0, 40, 80, 120]
    assert cut.shape == (4, 80)
    assert windows(sound(79), RECIPE).shape == (0, 80)
