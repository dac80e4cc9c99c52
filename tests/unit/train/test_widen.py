"""A network inside a wider one answers as it did, and every new channel learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder.networks import Compact, build
from monitor.train.widen import widened

RECIPE = Recipe(name="x")
FEATURES = torch.randn(8, 1, 128, 32, generator=torch.Generator().manual_seed(3))


def trained(recipe: Recipe = RECIPE) -> torch.nn.Module:
    """Return a network that has seen a batch: its norms are no longer those it was made with."""
    torch.manual_seed(1)
    network = build(recipe)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    with torch.no_grad():
        network(FEATURES[:, :, : recipe.mel_bins])
    return network.eval()


def wide(recipe: Recipe = RECIPE) -> Compact:
    torch.manual_seed(2)
    network = build(replace(recipe, network="large"))
    assert isinstance(network, Compact)
    return network


@pytest.mark.parametrize("dim", [128, 32])
def test_it_answers_as_the_narrow_one(dim: int) -> None:
    recipe = replace(RECIPE, dim=dim)
    narrow, grown = trained(recipe), wide(recipe)
    grown.load_state_dict(widened(narrow.state_dict(), grown))
    with torch.inference_mode():
        torch.testing.assert_close(grown.eval()(FEATURES), narrow(FEATURES))
        grown.train()  # also by the norms of the batch
        torch.testing.assert_close(grown(FEATURES), narrow.train()(FEATURES))


@pytest.mark.parametrize("dim", [128, 512])  # of 512, two slices share a channel
def test_as_wide_it_is_the_same(dim: int) -> None:
    recipe = replace(RECIPE, dim=dim)
    narrow = trained(recipe)
    torch.manual_seed(9)
    other = Compact(recipe)
    for name, tensor in widened(narrow.state_dict(), other).items():
        torch.testing.assert_close(tensor, narrow.state_dict()[name])


def test_every_new_channel_learns() -> None:
    grown = wide()
    grown.load_state_dict(widened(trained().state_dict(), grown))
    optimizer = torch.optim.SGD(grown.parameters(), lr=0.1)
    target = torch.nn.functional.normalize(torch.randn(8, 128, generator=torch.Generator().manual_seed(4)))
    for _ in range(3):  # nothing listens to them in the first step, so nothing reaches them
        optimizer.zero_grad()
        (grown(FEATURES) * target).sum().backward()
        optimizer.step()
    for name, one in grown.named_parameters():
        assert one.grad is not None
        assert (one.grad.reshape(len(one), -1) != 0).any(1).all(), name


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (replace(RECIPE, network="large"), "not a narrower"),
        (replace(RECIPE, network="nmfp-quarter"), "not a narrower"),
        (replace(RECIPE, mel_bins=64), "another size"),
        (replace(RECIPE, mel_bins=64, dim=64), "another size"),
    ],
)
def test_what_is_no_part_of_it_is_refused(recipe: Recipe, message: str) -> None:
    torch.manual_seed(5)
    network = build(recipe)
    with pytest.raises(ValueError, match=message):
        widened(network.state_dict(), Compact(RECIPE))


@pytest.mark.parametrize(("dim", "wanted", "message"), [(64, 128, "another size"), (512, 512, "share channels")])
def test_a_head_that_cannot_be_kept_is_refused(dim: int, wanted: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        widened(trained(replace(RECIPE, dim=dim)).state_dict(), wide(replace(RECIPE, dim=wanted)))
