"""Rows know whose they are; padding looks like what it is made of and is none of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.evaluate.shelf import STRETCH, joined, padding
from monitor.train.data import Clip, Clips
from monitor.train.shelf import Shelf, fingerprinted

RECIPE = Recipe(name="test", dim=4)


def loudness(windows: np.ndarray) -> np.ndarray:
    return np.stack([windows[:, place] for place in (0, 1, 4000, 7999)], axis=1).astype(np.float32)


def clips(*lengths: int) -> Clips:
    starts = np.cumsum([0, *lengths])
    pcm = np.random.default_rng(1).integers(-9000, 9000, int(starts[-1])).astype(np.int16)
    return Clips(
        pcm, [Clip(package="p", path=str(at), start=int(at), length=n, sha256="") for at, n in zip(starts, lengths, strict=False)]
    )


def test_every_hop_has_a_row_and_every_row_an_owner(tmp_path: Path) -> None:
    music = clips(20_000, 7_999, 8_000)
    shelf = fingerprinted(music, loudness, RECIPE, tmp_path / "kept" / "rows.f16")
    assert shelf.start.tolist() == [0, 4, 4, 5]
    assert shelf.owner(np.arange(5)).tolist() == [0, 0, 0, 0, 2]
    expected = music.pcm[[4000, 4001, 8000, 11_999]] / 32768.0
    np.testing.assert_allclose(shelf.table[1].float().numpy(), expected, atol=1e-3)
    again = fingerprinted(music, lambda _: pytest.fail("encoded again"), RECIPE, tmp_path / "kept" / "rows.f16")
    assert torch.equal(again.table, shelf.table)


def test_shelves_join_in_order() -> None:
    one = Shelf(table=torch.zeros(3, 4).half(), start=np.array([0, 1, 3]))
    both = joined([one, Shelf(table=torch.ones(2, 4).half(), start=np.array([0, 2]))])
    assert both.start.tolist() == [0, 1, 3, 5]
    assert both.owner(np.array([2, 3])).tolist() == [1, 2]
    assert [len(rows) for rows in both.recordings()] == [1, 2, 2]


def test_padding_has_the_moments_and_the_continuity_of_the_real_and_copies_none() -> None:
    """Real rows drift, and vary more along some axes than others."""
    generator = torch.Generator().manual_seed(1)
    scale = torch.linspace(0.3, 2.0, 32)
    walk = torch.randn(8000, 32, generator=generator)
    for _ in range(3):
        walk = (walk + walk.roll(1, 0)) / 2**0.5
    rows = torch.nn.functional.normalize(walk * scale, dim=1)
    real = Shelf(table=rows.half(), start=np.arange(0, 8001, 400))
    made = padding(real, 5000, seed=3)
    assert len(made.table) == 5000
    assert made.start.tolist() == [*range(0, 5000, STRETCH), 5000]
    table = made.table.float()
    torch.testing.assert_close(table.norm(dim=1), torch.ones(5000), atol=2e-3, rtol=0)
    torch.testing.assert_close(table.T @ table / 5000, rows.T @ rows / 8000, atol=0.02, rtol=0)
    neighbours = [float((one[1:] * one[:-1]).sum(1).mean()) for one in (rows, table)]
    assert neighbours[0] == pytest.approx(neighbours[1], abs=0.1)
    assert float((table[::50] @ rows.T).amax()) < 0.995
    assert torch.equal(padding(real, 500, seed=3).table, padding(real, 500, seed=3).table)
    assert not torch.equal(padding(real, 500, seed=3).table, padding(real, 500, seed=4).table)
