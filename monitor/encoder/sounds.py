"""Music, speech or noise: a small network beside the encoder, on the same mel spectrogram.

Knows features in, odds out, and its file. It shares the spectrogram with the encoder but none of its weights, so another training
of the encoder leaves it as it is. Its cost is a few percent of the encoder's (`monitor evaluate classes` measures it).

Trained on mixtures too, where the right answer is whatever is louder: music under a voice is speech, a voice under music is music.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from monitor.core.recipe import Recipe
from monitor.encoder import files, weights
from monitor.errors import EncoderError

SUFFIX = ".classes"
"""A safetensors file, under a name that is not an encoder's."""
KINDS = ("music", "speech", "noise")
"""The network's answers, in order."""


class SoundNetwork(nn.Module):
    """Mel spectrogram [batch, 1, mel_bins, frames] in, log odds [batch, 3] out; 24,000 parameters, 0.6 million multiplications."""

    CHANNELS = (16, 32, 64)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d((32, 32))]
        for inputs, outputs in zip((1, *self.CHANNELS), self.CHANNELS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(2 * self.CHANNELS[-1], len(KINDS))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the log odds of the features."""
        maps = self.body(features).flatten(2)
        odds: torch.Tensor = self.head(self.drop(torch.cat([maps.mean(2), maps.amax(2)], dim=1)))
        return odds


class Both(nn.Module):
    """An encoder's network and this one as one network: a device, or OpenVINO, then sees one graph.

    Features [batch, 1, bins, frames] in, [batch, dim + 1] out: fingerprints, and the probability of music in the last column.
    """

    def __init__(self, network: nn.Module, sounds: SoundNetwork, mel_bins: int) -> None:
        super().__init__()
        self.network, self.sounds, self._mel_bins = network, sounds, mel_bins

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return both answers to the features."""
        music = self.sounds(features[:, :, : self._mel_bins]).float().softmax(dim=1)[:, :1]
        return torch.cat([self.network(features).float(), music], dim=1)


def path_of(encoder: str) -> Path:
    """Return where the network made for an encoder lies: beside its weights.

    Raises:
        EncoderError: There is no such encoder.
    """
    return weights.find(encoder).with_suffix(SUFFIX)


def save(path: Path, network: SoundNetwork, recipe: Recipe) -> None:
    """Write a network and the hash of the mel spectrogram it was trained on."""
    files.write(path, network.state_dict(), {"features": recipe.mel})


def find(encoder: str, recipe: Recipe) -> SoundNetwork:
    """Read the network for an encoder: that beside its weights, or any installed one that was trained on the same features.

    Raises:
        EncoderError: There is none, or it is damaged.
    """
    if not recipe.mel_bins:
        raise EncoderError(
            f"encoder {encoder!r} is shown no mel spectrogram: it is one for `large` to begin with, not to listen with"
        )
    own = path_of(encoder)
    for path in (own, *sorted(weights.INSTALLED.glob(f"*{SUFFIX}"))):
        if path.is_file():
            network, features = load(path)
            if features == recipe.mel:
                return network
    raise EncoderError(f"{own} is missing or was trained on other features; run `monitor evaluate classes --fit`")


def load(path: Path) -> tuple[SoundNetwork, str]:
    """Read what `save` wrote: the network, and the hash of its features.

    Raises:
        EncoderError: The file is no such network.
    """
    network = SoundNetwork()
    try:
        metadata, tensors = files.read(path)
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise EncoderError(
            f"{path} cannot be used ({reason}); install it again, or run `monitor evaluate classes --fit`"
        ) from error
    return network.eval(), metadata.get("features", "")
