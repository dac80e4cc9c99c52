"""What a run is for: what its network is shown, what is lost by what it says, and which files come of it.

Knows batches and losses. An encoder is told from the batch alone; a network for the air from what its encoder stores (`bank.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from monitor.core.recipe import Recipe
from monitor.encoder import weights
from monitor.train import losses
from monitor.train.recipe import TrainingRecipe
from monitor.train.sampler import Sounds


class Aim(Protocol):
    """What a run is for: an encoder (`Encoder`), or what hears the air for one (`bank.Bank`)."""

    @property
    def shows_anchors(self) -> bool:
        """Whether the network is shown what is stored too, not only what is heard; if not, an anchor starts on the hop grid."""

    def loss(self, vectors: torch.Tensor, sounds: Sounds, number: int) -> torch.Tensor:
        """Return what is lost by what the network says of batch `number`, [n, dim]: of anchors if shown, then of what is heard."""

    def stored(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what would be stored of windows [n, window]: [n, dim]."""

    def save(self, out: Path, tensors: dict[str, torch.Tensor]) -> Path:
        """Write the network into a folder, with what belongs to it; return the file of the encoder.

        Raises:
            OSError, SafetensorError: The folder cannot be written.
            EncoderError: The encoder that the network is for is another one now.
        """


class Encoder:
    """The aim of an encoder: of a batch it shall tell what belongs together, and what it says is stored."""

    shows_anchors = True

    def __init__(self, recipe: TrainingRecipe, sound: Recipe, encode: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Take the recipes of the run and of what comes of it, and the network as it is at the time."""
        training = recipe.training
        self._loss = losses.build(training.loss, margin=training.margin, temperature=training.temperature)
        self._views, self._sound, self.stored = 1 + recipe.positives.count, sound, encode

    def loss(self, vectors: torch.Tensor, sounds: Sounds, number: int) -> torch.Tensor:  # noqa: ARG002 - any batch is as any other
        """Return what is lost by `vectors` [n, dim], view by view."""
        return self._loss(vectors, torch.arange(len(sounds.anchors), device=vectors.device).repeat(self._views))

    def save(self, out: Path, tensors: dict[str, torch.Tensor]) -> Path:
        """Write the encoder into a folder; return its file."""
        path = out / f"{self._sound.name}.safetensors"
        weights.save(path, self._sound, tensors)
        return path
