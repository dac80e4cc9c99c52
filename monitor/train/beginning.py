"""With which weights a run begins, where they are not random ones.

Knows encoders and networks. Knows nothing of how a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from monitor.core.recipe import Recipe
from monitor.encoder import weights
from monitor.encoder.networks import Large
from monitor.errors import EncoderError

JOINED_ON = 16
"""Batches."""


class Beginning:
    """Encoders whose weights a network is to begin with: one of its own kind; or for a `Large` one or two `compact`, its towers."""

    def __init__(self, names: Sequence[str]) -> None:
        """Read them, by name or file; none at all stands for random weights.

        Raises:
            EncoderError: One is not there, or no encoder.
        """
        self._paths = [weights.find(name) for name in names]
        self._encoders = [weights.load(path) for path in self._paths]

    @property
    def hashes(self) -> str:
        """SHA-256 of the weights, of all of them; empty: random ones."""
        return " ".join(recipe.weights_sha256 for recipe, _ in self._encoders)

    @property
    def alone(self) -> tuple[Path, Recipe]:
        """The only one, and its recipe.

        Raises:
            EncoderError: There is none, or more than one.
        """
        if len(self._encoders) != 1:
            raise EncoderError(
                f"{len(self._encoders)} encoders to start from, but the recipe trains the network that hears the air for one: "
                "say --start-from and its name"
            )
        return self._paths[0], self._encoders[0][0]

    def fill(self, network: nn.Module) -> Large | None:
        """Put the weights into the network; one `compact` goes into both towers.

        Returns:
            The network where they are those of its towers, and how these are joined is still random (`join`).

        Raises:
            EncoderError: They do not fit it.
        """
        recipes = [recipe for recipe, _ in self._encoders]
        towers = network if isinstance(network, Large) and recipes[0].network == "compact" else None
        parts = [*towers.towers] if towers else [network]
        encoders = self._encoders * len(parts) if len(recipes) == 1 else self._encoders
        if len(encoders) != len(parts):
            raise EncoderError(
                f"{len(recipes)} encoders to start from, but the network that the recipe asks for takes {len(parts)}"
            )
        if towers and not recipes[0].mel_bins:
            raise EncoderError(f"{self._paths[0]} knows no mel spectrogram, which the first tower is shown: name it second")
        for part, path, (recipe, tensors) in zip(parts, self._paths * len(parts), encoders, strict=False):
            try:
                part.load_state_dict(tensors)
            except RuntimeError as error:
                raise EncoderError(
                    f"{path} holds the network {recipe.network!r}, not what the recipe asks for or a part of it, or of another size"
                ) from error
        return towers


@torch.no_grad()
def join(network: Large, shown: Iterable[torch.Tensor]) -> None:
    """Set how the towers are joined: by the principal components, about zero, of what they say of features [n, 1, bins, frames]."""
    network.eval()
    both = torch.cat([network.both(features) for features in shown]).float()
    kept = torch.linalg.eigh(both.T @ both).eigenvectors[:, -len(network.join.weight) :]
    network.join.weight.copy_(kept.T)
