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
    """Encoders whose weights a network begins with.

    An encoder begins with one of its own kind; a `Large` also with one or two `compact`, its towers. A network for the air begins
    with the encoder that it shall serve; a `Large` also with networks for the air of other encoders, tower by tower.
    """

    def __init__(self, names: Sequence[str], *, air: bool = False) -> None:
        """Read them, by name or file; none at all stands for random weights.

        Args:
            names: Of the encoders.
            air: Whether what begins is a network for the air.

        Raises:
            EncoderError: One is not there, or no encoder, or has no network for the air where that is what is wanted of it.
        """
        self._air = air
        self._paths = [weights.find(name) for name in names]
        self._encoders = [weights.load(path) for path in self._paths]
        self._hashes = [recipe.weights_sha256 for recipe, _ in self._encoders]
        for number in range(1, len(names) if air else 0):
            path, (recipe, _) = self._paths[number], self._encoders[number]
            self._hashes[number], tensors = weights.load_query(str(path), recipe)
            if not tensors:
                raise EncoderError(f"{path} has no network for the air, which a tower could begin with: leave it away")
            self._encoders[number] = recipe, tensors

    @property
    def hashes(self) -> str:
        """SHA-256 of the weights, of all of them; empty: random ones."""
        return " ".join(self._hashes)

    @property
    def served(self) -> tuple[Path, Recipe]:
        """The encoder that a network for the air shall serve, and its recipe.

        Raises:
            EncoderError: There is none.
        """
        if not self._encoders:
            raise EncoderError("the recipe trains the network that hears the air for an encoder: say --start-from and its name")
        return self._paths[0], self._encoders[0][0]

    def fill(self, network: nn.Module) -> Large | None:
        """Put the weights into the network; one `compact` goes into both towers.

        Returns:
            The network where they are those of its towers, and how these are joined is still random (`join`).

        Raises:
            EncoderError: They do not fit it.
        """
        towers = [*network.towers] if isinstance(network, Large) else []
        if self._air:
            self._put([network, *towers][: len(self._paths)], self._encoders)
            return None
        if not towers or self._encoders[0][0].network != "compact":
            self._put([network], self._encoders)
            return None
        if not self._encoders[0][0].mel_bins:
            raise EncoderError(f"{self._paths[0]} knows no mel spectrogram, which the first tower is shown: name it second")
        self._put(towers, self._encoders * len(towers) if len(self._encoders) == 1 else self._encoders)
        assert isinstance(network, Large)
        return network

    def _put(self, parts: Sequence[nn.Module], encoders: Sequence[tuple[Recipe, dict[str, torch.Tensor]]]) -> None:
        if len(encoders) != len(parts):
            raise EncoderError(
                f"{len(encoders)} encoders to start from, but the network that the recipe asks for takes {len(parts)}"
            )
        for part, path, (recipe, tensors) in zip(parts, self._paths * len(parts), encoders, strict=False):
            try:
                part.load_state_dict(tensors)
            except RuntimeError as error:
                raise EncoderError(
                    f"{path} holds the network {recipe.network!r}, not what the recipe asks for or a part of it, or of another size"
                ) from error


@torch.no_grad()
def join(network: Large, shown: Iterable[torch.Tensor]) -> None:
    """Set how the towers are joined: by the principal components, about zero, of what they say of features [n, 1, bins, frames]."""
    network.eval()
    both = torch.cat([network.both(features) for features in shown]).float()
    kept = torch.linalg.eigh(both.T @ both).eigenvectors[:, -len(network.join.weight) :]
    network.join.weight.copy_(kept.T)
