"""What is heard is told from all that is stored, but not from its own recording, nor from the same sound in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights
from monitor.train import bank
from monitor.train.beginning import Beginning
from monitor.train.data import open_split
from monitor.train.recipe import TrainingRecipe, read
from monitor.train.sampler import Positives, Sampler, Sounds
from monitor.train.shelf import kept_at
from tests.unit.train.clips import RECIPE_TEXT, pack_clips

HOPS = 11
"""Stored windows of each of the six clips."""


def rows(count: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture
def stored() -> torch.Tensor:
    """Return what is stored; window 3 of the first clip is also in the last."""
    table = rows(6 * HOPS, 1).half()
    table[5 * HOPS + 7] = table[3]
    return table


def made(tmp_path: Path, stored: torch.Tensor, rivals: int) -> tuple[bank.Bank, Sounds]:
    """Return a bank of what is stored, and a batch that holds window 3 of the first clip."""
    torch.manual_seed(1)
    pack_clips(tmp_path)
    text = RECIPE_TEXT.replace("batch = 4", f'batch = 4\nloss = "catalogue"\nrivals = {rivals}')
    (tmp_path / "tiny.toml").write_text(text)
    recipe: TrainingRecipe = read(str(tmp_path / "tiny.toml"))[0]
    sound: Recipe = recipe.encoder_recipe()
    sealed = weights.save(tmp_path / "tiny.safetensors", sound, dict(networks.build(sound).state_dict()))
    kept = kept_at(tmp_path, sealed, "train")
    kept.parent.mkdir()
    stored.numpy().tofile(kept)
    music, voices, noises = (open_split(tmp_path, "train", kind) for kind in ("music", "speech", "noise"))
    positives = Positives(shift_s=0.0, speed=0.0, speed_share=0.0)
    sampler = Sampler(music, voices, noises, positives, batch=4, window=8000, hop=4000, seed=1, on_grid=True)
    batches = (sampler.draw(number) for number in range(200))
    sounds = next(one for one in batches if (0, 3) in zip(one.recordings.tolist(), one.hops.tolist(), strict=True))
    begun = Beginning([str(tmp_path / "tiny.safetensors")])
    return bank.Bank(recipe, sound, begun, music, tmp_path, torch.device("cpu")), sounds


def test_no_rival_is_of_the_same_recording_or_sound(tmp_path: Path, stored: torch.Tensor) -> None:
    made_of, sounds = made(tmp_path, stored, rivals=1000)
    heard, table, lost = rows(4, 2), stored.float(), []
    for vector, recording, hop in zip(heard, sounds.recordings.tolist(), sounds.hops.tolist(), strict=True):
        right = recording * HOPS + hop
        others = [row for row in range(len(table)) if row // HOPS != recording and table[row] @ table[right] <= bank.TWIN]
        assert (right == 3) == (5 * HOPS + 7 not in others) or recording == 5
        logits = torch.stack([vector @ table[row] for row in [right, *others]]) / 0.05
        lost.append(float(logits.logsumexp(0) - logits[0]))
    assert float(made_of.loss(heard, sounds, 0)) == pytest.approx(np.mean(lost), rel=1e-5)


def test_a_batch_has_its_own_stretch_of_rivals(tmp_path: Path, stored: torch.Tensor) -> None:
    made_of, sounds = made(tmp_path, stored, rivals=20)
    heard = rows(4, 2).requires_grad_()
    first, again, other = (made_of.loss(heard, sounds, number) for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    (gradient,) = torch.autograd.grad(first, heard)
    assert gradient.abs().max() > 0
