"""With which weights a run begins, where they are not random ones.

Knows encoders and networks. Knows nothing of how a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

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
        self.names = names
        self._paths = [weights.find(name) for name in names]
        self._encoders = [weights.load(path) for path in self._paths]

    @property
    def hashes(self) -> str:
        """SHA-256 of the weights, of all of them; empty: random ones."""
        return " ".join(recipe.weights_sha256 for recipe, _ in self._encoders)

    def fill(self, network: nn.Module) -> bool:
        """Put the weights into the network; one encoder goes into both towers.

        Returns:
            Whether they are those of the towers alone, and how these are joined is still random (`join`).

        Raises:
            EncoderError: They do not fit it.
        """
        parts = [network]
        towers = isinstance(network, Large) and all(recipe.network == "compact" for recipe, _ in self._encoders)
        if isinstance(network, Large) and towers:
            parts = [*network.towers]
        encoders = self._encoders * len(parts) if len(self._encoders) == 1 else self._encoders
        told = ", ".join(f"{path} ({recipe.network})" for path, (recipe, _) in zip(self._paths, self._encoders, strict=True))
        try:
            for part, (_, tensors) in zip(parts, encoders, strict=True):
                part.load_state_dict(tensors)
        except (RuntimeError, ValueError) as error:
            raise EncoderError(
                f"the network that the recipe asks for cannot begin with {told}: not the same, nor its towers"
            ) from error
        return towers


@torch.no_grad()
def join(network: Large, shown: Iterable[torch.Tensor]) -> None:
    """Set how the towers are joined: by the principal components, about zero, of what they say of features [n, 1, bins, frames]."""
    network.eval()
    both = torch.cat([network.both(features) for features in shown]).float()
    kept = torch.linalg.eigh(both.T @ both).eigenvectors[:, -len(network.join.weight) :]
    network.join.weight.copy_(kept.T)
