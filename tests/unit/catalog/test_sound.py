from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.catalog.sound import Framer, hops_of
from monitor.core.recipe import Recipe

SMALL = Recipe(name="small", window_samples=8, hop_samples=4)


@given(st.lists(st.integers(0, 40), max_size=20), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_pieces_equal_the_whole(lengths: list[int], block: int) -> None:
    sound = np.linspace(-1, 1, sum(lengths), dtype=np.float32)
    framer = Framer(SMALL, block)
    blocks, at = [], 0
    for length in lengths:
        blocks += list(framer.push(sound[at : at + length]))
        at += length
    blocks += list(framer.finish())
    assert all(1 <= len(part) <= block for part in blocks)
    windows = np.concatenate([np.zeros((0, 8), np.float32), *blocks])
    padded = np.pad(sound, (0, 16))
    expected = [padded[h * 4 : h * 4 + 8] for h in range(len(sound)) if len(sound) - h * 4 >= 4]
    np.testing.assert_array_equal(windows, np.array(expected, np.float32).reshape(-1, 8))
    whole = Framer(SMALL, 3)
    list(whole.push(sound))
    assert whole.pcm_sha256 == framer.pcm_sha256


@pytest.mark.parametrize(("samples", "hops"), [(0, 0), (3999, 0), (4000, 1), (7999, 1), (8000, 2), (11999, 2), (12000, 3)])
def test_the_last_window_has_at_least_half_a_window_of_sound(samples: int, hops: int) -> None:
    assert hops_of(samples, Recipe(name="x")) == hops
