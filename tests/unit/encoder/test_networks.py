"""The networks give unit vectors, each from its own window only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder.networks import NETWORKS, Compact, DivideAndEncode, Large, Separated, SpectroTemporalMask, build
from monitor.errors import EncoderError

RECIPE = Recipe(name="test")
FINE = {"large": 128}
"""Bands of the second spectrogram, of the network that has one."""
IDLE = {"resnet-sta": ["blocks.5.body.5.over_frequency"]}
"""As published: the last maps are one frame long, over which no attention can be anything but even."""


def features(count: int, bins: int = 128) -> torch.Tensor:
    return torch.randn(count, 1, bins, 32, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)


def parameters(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_unit_vectors_of_the_recipes_length(name: str) -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, network=name, dim=64, fine_bins=FINE.get(name, 0))
    network = build(recipe).eval()
    with torch.inference_mode():
        vectors = network(features(2, recipe.bins))
    assert (vectors.shape, vectors.dtype) == ((2, 64), torch.float32)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("name", "count"), [("nmfp", 16_947_200), ("nafp", 16_947_200 - 8_192)])
def test_the_published_network_has_the_published_number_of_parameters(name: str, count: int) -> None:
    with torch.device("meta"):
        network = build(replace(RECIPE, network=name, mel_bins=256))
    assert parameters(network) == count


def test_the_published_network_narrowed_to_a_quarter_fits_a_cpu() -> None:
    with torch.device("meta"):
        assert parameters(build(replace(RECIPE, network="nmfp-quarter", mel_bins=256))) == pytest.approx(1.5e6, rel=0.01)


def test_the_published_attention_network_is_as_large_as_published() -> None:
    """19,968,256 counted in their code, with 49,280 of a layer that is never called and 4,032 fewer as two norms are one."""
    with torch.device("meta"):
        network = build(replace(RECIPE, network="resnet-sta", mel_bins=256))
    assert parameters(network) == pytest.approx(19_968_256 - 49_280 + 4_032, rel=1e-4)


def test_large_is_two_compacts_each_with_a_spectrogram_of_its_own() -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, fine_bins=64)
    network, shown = Large(recipe).eval(), features(3, recipe.bins)
    with torch.inference_mode():
        said = torch.cat([network.towers[0](shown[:, :, :128]), network.towers[1](shown[:, :, 128:])], dim=1)
        expected = torch.nn.functional.normalize(said @ network.join.weight.T, dim=1)
        torch.testing.assert_close(network(shown), expected)


def test_large_runs_in_half_precision_without_help() -> None:
    """As on CUDA, where the weights are halved and nothing casts: each tower ends in float32, the layer that joins them is not."""
    recipe = replace(RECIPE, fine_bins=128)
    with torch.inference_mode():
        vectors = Large(recipe).eval().bfloat16()(features(2, recipe.bins).bfloat16())
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_large_without_a_second_spectrogram_is_refused() -> None:
    with pytest.raises(EncoderError, match="its recipe must have mel_bins and fine_bins"):
        build(replace(RECIPE, network="large"))


def test_separated_convolutions_pad_as_keras_does() -> None:
    """SAME, stride 2, even size: nothing before, one behind. Odd size one: one on both sides."""
    block = Separated(1, 1, 6, 4, 2).eval()
    for norm in (block.time_norm, block.frequency_norm):
        norm.forward = lambda maps: maps  # type: ignore[method-assign]
    with torch.no_grad():
        for convolution in (block.time, block.frequency):
            convolution.weight.copy_(torch.tensor([1.0, 10.0, 100.0]).reshape(convolution.weight.shape))
    maps = torch.arange(1.0, 25.0).reshape(1, 1, 6, 4)
    rows = maps[0, 0].numpy()
    timed = np.stack([rows[:, 0] + 10 * rows[:, 1] + 100 * rows[:, 2], rows[:, 2] + 10 * rows[:, 3]], axis=1)
    full = np.vstack([timed, np.zeros((1, 2))])
    expected = np.stack([full[at] + 10 * full[at + 1] + 100 * full[at + 2] for at in (0, 2, 4)])
    with torch.no_grad():
        np.testing.assert_allclose(block(maps)[0, 0].numpy(), expected, rtol=1e-5)


def test_even_attention_leaves_the_maps_as_they_are_and_uneven_attention_does_not() -> None:
    mask = SpectroTemporalMask(3, 4, 5)
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mask(maps), maps)
    torch.nn.init.normal_(mask.over_time)
    torch.nn.init.normal_(mask.over_frequency)
    x, v, w = (one.detach().double().numpy() for one in (maps, mask.over_time, mask.over_frequency))
    for batch in range(2):
        for channel in range(3):
            frequency = np.exp(x[batch, channel] @ v[channel])
            time = np.exp(w[channel] @ x[batch, channel])
            weight = 4 * 5 * np.outer(frequency / frequency.sum(), time / time.sum())
            np.testing.assert_allclose(mask(maps)[batch, channel].detach().numpy(), x[batch, channel] * weight, rtol=1e-4)


def test_in_service_a_window_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    network = build(RECIPE).eval()
    with torch.inference_mode():
        together = network(features(4))
        alone = torch.cat([network(one[None]) for one in features(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_the_size_that_is_told() -> None:
    assert parameters(Compact(RECIPE)) == 1_629_152


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, network=name, fine_bins=FINE.get(name, 0))
    network = build(recipe)
    (network(features(3, recipe.bins)) * torch.randn(3, 128)).sum().backward()
    assert [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()] == IDLE.get(name, [])


@pytest.mark.parametrize(("last_bias", "norm"), [(False, False), (True, False), (True, True)])
def test_each_number_sees_its_own_slice_only_with_weights_of_its_own(last_bias: bool, norm: bool) -> None:
    torch.manual_seed(0)
    head = DivideAndEncode(12, 3, hidden=4, last_bias=last_bias, norm=norm)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    inputs = torch.randn(2, 12)
    with torch.no_grad():
        numbers = head(inputs).numpy()
    for row in range(2):
        for one in range(3):
            slice_ = inputs[row, 4 * one : 4 * one + 4].numpy()
            hidden = slice_ @ head.spread[one].detach().numpy() + head.spread_bias[one, 0].detach().numpy()
            hidden = np.where(hidden > 0, hidden, np.exp(hidden) - 1)
            if head.norm_gain is not None and head.norm_bias is not None:
                scaled = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-3)
                hidden = scaled * head.norm_gain[one, 0].detach().numpy() + head.norm_bias[one, 0].detach().numpy()
            bias = 0.0 if head.gather_bias is None else float(head.gather_bias[one, 0].detach())
            assert numbers[row, one] == pytest.approx(float(hidden @ head.gather[one, :, 0].detach().numpy()) + bias, abs=1e-4)


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    with pytest.raises(EncoderError, match=r"no network is called 'compakt'; there are: compact, large"):
        build(replace(RECIPE, network="compakt"))
