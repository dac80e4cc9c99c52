"""The networks give unit vectors, each from its own window only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder.networks import NETWORKS, Compact, DivideAndEncode, build
from monitor.errors import EncoderError

RECIPE = Recipe(name="test")


def features(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 128, 32, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_unit_vectors_of_the_recipes_length(name: str) -> None:
    torch.manual_seed(0)
    network = build(replace(RECIPE, network=name, dim=64)).eval()
    with torch.inference_mode():
        vectors = network(features(5))
    assert (vectors.shape, vectors.dtype) == ((5, 64), torch.float32)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


def test_in_service_a_window_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    network = build(RECIPE).eval()
    with torch.inference_mode():
        together = network(features(4))
        alone = torch.cat([network(one[None]) for one in features(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_the_size_that_is_told() -> None:
    assert sum(one.numel() for one in Compact(RECIPE).parameters()) == pytest.approx(1.7e6, rel=0.06)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = build(RECIPE)
    (network(features(6)) * torch.randn(6, 128)).sum().backward()
    assert [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()] == []


def test_each_number_sees_its_own_slice_only_with_weights_of_its_own() -> None:
    torch.manual_seed(0)
    head = DivideAndEncode(12, 3, hidden=4)
    torch.nn.init.normal_(head.spread_bias)
    inputs = torch.randn(2, 12)
    with torch.no_grad():
        numbers = head(inputs).numpy()
    for row in range(2):
        for one in range(3):
            slice_ = inputs[row, 4 * one : 4 * one + 4].numpy()
            hidden = slice_ @ head.spread[one].detach().numpy() + head.spread_bias[one, 0].detach().numpy()
            hidden = np.where(hidden > 0, hidden, np.exp(hidden) - 1)
            assert numbers[row, one] == pytest.approx(float(hidden @ head.gather[one, :, 0].detach().numpy()), abs=1e-5)


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    with pytest.raises(EncoderError, match=r"no network is called 'compakt'; there are: compact"):
        build(replace(RECIPE, network="compakt"))
