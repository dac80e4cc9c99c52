"""With which weights a run begins, where they are not random ones.

Knows encoders and networks. Knows nothing of how a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from monitor.core.recipe import Recipe
from monitor.encoder import weights
from monitor.encoder.networks import Large
from monitor.errors import EncoderError

JOINED_ON = 16
"""Batches."""


@dataclass(frozen=True, slots=True)
class Source:
    """Weights to begin with."""

    path: Path
    recipe: Recipe
    sha256: str
    tensors: dict[str, torch.Tensor]
    part: str = ""
    """Of the network, which begins with them; empty: all of it."""


class Beginning:
    """Encoders whose weights a network begins with.

    An encoder begins with one of its own kind; a `Large` also with one or two `compact`, its towers. A network for the air begins
    with the encoder that it shall serve, or, named twice, with what hears the air for it already; a tower of it with what hears the
    air for the encoder that the tower is.
    """

    def __init__(self, names: Sequence[str], *, air: bool = False) -> None:
        """Read them, by name or file; none at all stands for random weights.

        Args:
            names: Of the encoders.
            air: Whether what begins is a network for the air: then of the first, which it shall serve, and of that again or of
                one a tower.

        Raises:
            EncoderError: One is not there, or no encoder; or for a network for the air, there is none at all, or one is not what
                the tower is, or has no network for the air.
        """
        self._air, self._sources = air, [_stored(name) for name in names]
        if air and not names:
            raise EncoderError("the recipe trains the network that hears the air for an encoder: say --start-from and its name")
        if air:
            self._sources[1:] = [_heard(one, at, self._sources[0]) for at, one in enumerate(self._sources[1:])]
            if len(names) > 2 and any(not one.part for one in self._sources[1:]):
                raise EncoderError(f"{self.served.path} is named twice, which is all of the network: name no more")

    @property
    def hashes(self) -> str:
        """SHA-256 of the weights, of all of them; empty: random ones."""
        return " ".join(one.sha256 for one in self._sources)

    @property
    def served(self) -> Source:
        """The encoder that a network for the air shall serve."""
        return self._sources[0]

    def fill(self, network: nn.Module) -> Large | None:
        """Put the weights into the network; one `compact` goes into both towers.

        Returns:
            The network where they are those of its towers, and how these are joined is still random (`join`).

        Raises:
            EncoderError: They do not fit it.
        """
        large = network if isinstance(network, Large) else None
        first = self._sources[0]
        if self._air:
            for source in self._sources:  # first the encoder that is served: where that fits, the network has the parts
                _put([source], [network.get_submodule(source.part)])
        elif large is None or first.recipe.network != "compact":
            _put(self._sources, [network])
        elif not first.recipe.mel_bins:
            raise EncoderError(f"{first.path} knows no mel spectrogram, which the first tower is shown: name it second")
        else:
            _put(self._sources * (2 if len(self._sources) == 1 else 1), [*large.towers])
            return large
        return None


def _stored(name: str) -> Source:
    path = weights.find(name)
    recipe, tensors = weights.load(path)
    return Source(path, recipe, recipe.weights_sha256, tensors)


def _heard(source: Source, tower: int, served: Source) -> Source:
    """Return what hears the air already: for the encoder that is served, or for one that is a tower of it."""
    part = "" if source.sha256 == served.sha256 else f"towers.{tower}"
    if part:
        theirs = {name: served.tensors.get(f"{part}.{name}") for name in source.tensors}
        if not all(one is not None and torch.equal(one, source.tensors[name]) for name, one in theirs.items()):
            raise EncoderError(
                f"{source.path} is not what tower {tower} of {served.path} is, so what hears the air for it does not fit"
            )
    sha256, tensors = weights.load_query(str(source.path), source.recipe)
    if not tensors:
        raise EncoderError(f"{source.path} has no network for the air yet that could be begun with")
    return replace(source, path=source.path.with_suffix(weights.QUERY_SUFFIX), sha256=sha256, tensors=tensors, part=part)


def _put(sources: Sequence[Source], parts: Sequence[nn.Module]) -> None:
    if len(sources) != len(parts):
        raise EncoderError(f"{len(sources)} encoders to start from, but the network that the recipe asks for takes {len(parts)}")
    for source, part in zip(sources, parts, strict=True):
        try:
            part.load_state_dict(source.tensors)
        except RuntimeError as error:
            raise EncoderError(
                f"{source.path} holds the network {source.recipe.network!r}, not what the recipe asks for or a part of it, "
                "or of another size"
            ) from error


@torch.no_grad()
def join(network: Large, shown: Iterable[torch.Tensor]) -> None:
    """Set how the towers are joined: by the principal components, about zero, of what they say of features [n, 1, bins, frames]."""
    network.eval()
    both = torch.cat([network.both(features) for features in shown]).float()
    kept = torch.linalg.eigh(both.T @ both).eigenvectors[:, -len(network.join.weight) :]
    network.join.weight.copy_(kept.T)
