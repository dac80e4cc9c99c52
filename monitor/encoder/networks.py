"""The networks, by name.

Knows features in, unit vectors out. BatchNorm rather than LayerNorm over positions, because it folds into the convolution before it
(see `shared/design/fingerprinting.md`, section 5, for what that saves on a CPU). Knows nothing of sound, losses or files.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from monitor.core.recipe import Recipe
from monitor.errors import EncoderError


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside an averaged short cut; halves both axes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of half the height and width."""
        added: torch.Tensor = self.body(maps) + self.shortcut(maps)
        return torch.relu(added)


class DivideAndEncode(nn.Module):
    """Each output number sees its own slice of the features only (Chang et al., ICASSP 2021, section 2.3).

    Features [batch, slices * width] in, numbers [batch, slices] out; width -> 32, ELU, 32 -> 1, with weights of its own for every
    slice.
    """

    def __init__(self, features: int, slices: int, hidden: int = 32) -> None:
        super().__init__()
        self.slices = slices
        width = features // slices
        self.spread = nn.Parameter(torch.randn(slices, width, hidden) / width**0.5)
        self.spread_bias = nn.Parameter(torch.zeros(slices, 1, hidden))
        self.gather = nn.Parameter(torch.randn(slices, hidden, 1) / hidden**0.5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return one number a slice."""
        slices = features.reshape(features.shape[0], self.slices, -1).transpose(0, 1)
        hidden = nn.functional.elu(torch.baddbmm(self.spread_bias.expand(-1, slices.shape[1], -1), slices, self.spread))
        return torch.bmm(hidden, self.gather).squeeze(2).T


class Compact(nn.Module):
    """Residual CNN of 1.7 M parameters: features [batch, 1, 128, 32] in, unit vectors [batch, dim] out.

    The first layer takes four mel bins a step, four residual blocks halve time and frequency down to 2 x 2.
    """

    CHANNELS = (32, 64, 96, 160, 256)

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        first = self.CHANNELS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, (7, 3), stride=(4, 1), padding=(3, 1), bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            *(Residual(inputs, outputs) for inputs, outputs in zip(self.CHANNELS, self.CHANNELS[1:], strict=False))
        )
        scale = 2 ** (len(self.CHANNELS) - 1)
        frames = recipe.window_samples // recipe.fft_hop_samples + 1
        self.head = DivideAndEncode(self.CHANNELS[-1] * (recipe.mel_bins // 4 // scale) * (frames // scale), recipe.dim)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the fingerprints of the features."""
        maps = self.blocks(self.stem(features))
        return nn.functional.normalize(self.head(maps.flatten(1)).float(), dim=1)


NETWORKS: dict[str, Callable[[Recipe], nn.Module]] = {"compact": Compact}


def build(recipe: Recipe) -> nn.Module:
    """Make the network that the recipe names, with random weights.

    Raises:
        EncoderError: There is no network of that name.
    """
    if recipe.network not in NETWORKS:
        raise EncoderError(f"no network is called {recipe.network!r}; there are: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[recipe.network](recipe)
