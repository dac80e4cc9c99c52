"""The networks, by name.

Knows features in, unit vectors out. Ours have BatchNorm rather than LayerNorm over positions, because it folds into the convolution
before it (see `shared/design/fingerprinting.md`, section 5, for what that saves on a CPU). Knows nothing of sound, losses or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from monitor.core.recipe import Recipe
from monitor.errors import EncoderError

KERAS_EPS = 1e-3
"""What Keras adds to a variance unless told; torch adds 1e-5."""


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
    slice. As published there is a bias on the last number too, and in Araz et al. (ISMIR 2025) a LayerNorm over the 32.
    """

    def __init__(self, features: int, slices: int, hidden: int = 32, *, last_bias: bool = False, norm: bool = False) -> None:
        super().__init__()
        self.slices = slices
        width = features // slices
        self.spread = nn.Parameter(torch.randn(slices, width, hidden) / width**0.5)
        self.spread_bias = nn.Parameter(torch.zeros(slices, 1, hidden))
        self.gather = nn.Parameter(torch.randn(slices, hidden, 1) / hidden**0.5)
        self.gather_bias = nn.Parameter(torch.zeros(slices, 1)) if last_bias else None
        self.norm_gain = nn.Parameter(torch.ones(slices, 1, hidden)) if norm else None
        self.norm_bias = nn.Parameter(torch.zeros(slices, 1, hidden)) if norm else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return one number a slice."""
        slices = features.reshape(features.shape[0], self.slices, -1).transpose(0, 1)
        hidden = nn.functional.elu(torch.baddbmm(self.spread_bias.expand(-1, slices.shape[1], -1), slices, self.spread))
        if self.norm_gain is not None and self.norm_bias is not None:
            hidden = nn.functional.layer_norm(hidden, hidden.shape[2:], eps=KERAS_EPS) * self.norm_gain + self.norm_bias
        numbers = torch.bmm(hidden, self.gather).squeeze(2)
        return (numbers if self.gather_bias is None else numbers + self.gather_bias).T


class SpectroTemporalMask(nn.Module):
    """Attention over frequency times attention over time, a pair of weights for every map (Singh et al., arXiv 2210.08624).

    With maps x [channel, f, t] and learned v [channel, t], w [channel, f]: the softmax over f of sum_t x v, times the softmax over
    t of sum_f x w, times the number of places, so that even attention leaves the maps as they are.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.over_time = nn.Parameter(torch.zeros(channels, width))
        self.over_frequency = nn.Parameter(torch.zeros(channels, height))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps [batch, channel, f, t], each place weighed."""
        frequency = (maps * self.over_time[:, None, :]).sum(3, keepdim=True).softmax(2) * maps.shape[2]
        time = (maps * self.over_frequency[:, :, None]).sum(2, keepdim=True).softmax(3) * maps.shape[3]
        return maps * (frequency * time).to(maps.dtype)


class Compact(nn.Module):
    """Residual CNN of 1.6 M parameters: features [batch, 1, 128, 32] in, unit vectors [batch, dim] out.

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
        self.head = DivideAndEncode(self.CHANNELS[-1] * (recipe.bins // 4 // scale) * (_frames(recipe) // scale), recipe.dim)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the fingerprints of the features."""
        maps = self.blocks(self.stem(features))
        return nn.functional.normalize(self.head(maps.flatten(1)).float(), dim=1)


class Large(nn.Module):
    """Two `Compact` side by side: one is shown the mel spectrogram, the other the fine one, and what both say becomes one answer.

    Features [batch, 1, mel_bins + fine_bins, frames] in, unit vectors [batch, dim] out; 3.3 M parameters. Two networks that see the
    same sound differently err differently.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        if not (recipe.mel_bins and recipe.fine_bins):
            raise EncoderError("the network 'large' is shown both spectrograms: its recipe must have mel_bins and fine_bins")
        self._rows = [recipe.mel_bins, recipe.fine_bins]
        self.towers = nn.ModuleList(Compact(replace(recipe, mel_bins=rows, fine_bins=0)) for rows in self._rows)
        self.join = nn.Linear(2 * recipe.dim, recipe.dim, bias=False)
        nn.init.orthogonal_(self.join.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the fingerprints of the features."""
        return nn.functional.normalize(self.join(self.both(features).to(self.join.weight.dtype)).float(), dim=1)

    def both(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the towers say of the features: their unit vectors, side by side [batch, 2 * dim]."""
        shown = torch.split(features, self._rows, dim=2)
        return torch.cat([tower(some) for tower, some in zip(self.towers, shown, strict=True)], dim=1)


class Separated(nn.Module):
    """A 1 x 3 convolution over time and a 3 x 1 one over frequency, each with ELU and a LayerNorm with a gain for every place."""

    def __init__(self, inputs: int, outputs: int, height: int, width: int, time_stride: int) -> None:
        super().__init__()
        halved, narrowed = (height + 1) // 2, -(-width // time_stride)
        self.time_pad = _same_padding(width, time_stride)
        self.frequency_pad = _same_padding(height, 2)
        self.time = nn.Conv2d(inputs, outputs, (1, 3), stride=(1, time_stride))
        self.time_norm = nn.LayerNorm([outputs, height, narrowed], eps=KERAS_EPS)
        self.frequency = nn.Conv2d(outputs, outputs, (3, 1), stride=(2, 1))
        self.frequency_norm = nn.LayerNorm([outputs, halved, narrowed], eps=KERAS_EPS)
        self.shape = (halved, narrowed)
        for convolution in (self.time, self.frequency):
            nn.init.xavier_uniform_(convolution.weight)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of half the height, and half the width where time is strided."""
        maps = self.time_norm(nn.functional.elu(self.time(nn.functional.pad(maps, self.time_pad))))
        padded = nn.functional.pad(maps, (0, 0, *self.frequency_pad))
        normed: torch.Tensor = self.frequency_norm(nn.functional.elu(self.frequency(padded)))
        return normed


class Published(nn.Module):
    """The network of Chang et al., ICASSP 2021, and Araz et al., ISMIR 2025: eight separated convolutions, divide and encode.

    Features [batch, 1, 256, 32] in, unit vectors [batch, dim] out; 16,947,200 parameters with the LayerNorm in the head that Araz
    et al. have and Chang et al. left out (8,192 fewer). Keras' SAME padding and epsilon, and the initial weights of its
    convolutions; those of the head are normal with variance 1 / inputs, where Keras draws them evenly with 2 / (inputs + outputs).
    With `narrow` 4 each layer has a quarter of its channels: 1.5 million parameters and 19 million multiply-adds (`Compact`: 35).
    """

    CHANNELS = (128, 128, 256, 256, 512, 512, 1024, 1024)
    TIME_STRIDES = (2, 2, 2, 2, 1, 2, 1, 2)

    def __init__(self, recipe: Recipe, *, head_norm: bool, narrow: int = 1) -> None:
        super().__init__()
        shape, inputs, blocks = (recipe.bins, _frames(recipe)), 1, []
        for outputs, stride in zip([channels // narrow for channels in self.CHANNELS], self.TIME_STRIDES, strict=True):
            blocks.append(Separated(inputs, outputs, *shape, stride))
            shape, inputs = blocks[-1].shape, outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = DivideAndEncode(inputs * shape[0] * shape[1], recipe.dim, last_bias=True, norm=head_norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the fingerprints of the features."""
        return nn.functional.normalize(self.head(self.blocks(features).flatten(1)).float(), dim=1)


class AttendedResidual(nn.Module):
    """Two 3 x 3 convolutions with attention, beside a 1 x 1 convolution; the second halves both axes where asked."""

    def __init__(self, inputs: int, outputs: int, height: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1),
            nn.BatchNorm2d(outputs),
            SpectroTemporalMask(outputs, height // stride, width // stride),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps of the block."""
        added: torch.Tensor = self.body(maps) + self.shortcut(maps)
        return torch.relu(added)


class Attending(nn.Module):
    """The residual network with spectro-temporal attention of Nikou and Giannakopoulos, 2025, as they published it.

    Features [batch, 1, 256, 32] in, unit vectors [batch, dim] out; six blocks, 32 to 1024 channels. It differs from their code in
    two things that look like slips: each convolution has a BatchNorm of its own, and a layer that they never call is left out.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        height, width, channels = recipe.bins, _frames(recipe), 32
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        blocks = [AttendedResidual(channels, channels, height, width, 1)]
        for _ in range(5):
            blocks.append(AttendedResidual(channels, 2 * channels, height, width, 2))
            height, width, channels = height // 2, width // 2, 2 * channels
        self.blocks = nn.Sequential(*blocks)
        self.head = DivideAndEncode(channels * height * width, recipe.dim, last_bias=True, norm=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the fingerprints of the features."""
        return nn.functional.normalize(self.head(self.blocks(self.stem(features)).flatten(1)).float(), dim=1)


def _frames(recipe: Recipe) -> int:
    return recipe.window_samples // recipe.fft_hop_samples + 1


def _same_padding(size: int, stride: int) -> tuple[int, int]:
    """Return what Keras' SAME puts before and after `size` places for a kernel of three: of an odd number, the more goes behind."""
    total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


NETWORKS: dict[str, Callable[[Recipe], nn.Module]] = {
    "compact": Compact,
    "large": Large,
    "nafp": partial(Published, head_norm=False),
    "nmfp": partial(Published, head_norm=True),
    "nmfp-quarter": partial(Published, head_norm=True, narrow=4),
    "resnet-sta": Attending,
}


def build(recipe: Recipe) -> nn.Module:
    """Make the network that the recipe names, with random weights.

    Raises:
        EncoderError: There is no network of that name, or the recipe lacks what it needs.
    """
    if recipe.network not in NETWORKS:
        raise EncoderError(f"no network is called {recipe.network!r}; there are: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[recipe.network](recipe)
