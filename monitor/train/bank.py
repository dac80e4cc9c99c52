"""The catalogue that a network for the air learns to read: fingerprints of the train split by the encoder that it shall serve.

Knows that encoder, its rows, and which of them are no rivals. They never change, so a batch can be told from far more than from
itself, and only what is heard goes through the network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import files, weights
from monitor.encoder.engine import load_encoder
from monitor.errors import ConfigError, EncoderError
from monitor.train import losses
from monitor.train.beginning import Beginning
from monitor.train.data import Clips
from monitor.train.recipe import TrainingRecipe
from monitor.train.sampler import Sounds
from monitor.train.shelf import fingerprinted, kept_at

TWIN = 0.85
"""A row so alike to the right one holds the same sound."""


class Bank:
    """The aim of a network for the air (`aim.Aim`): an encoder that stays as it is, its rows on the training device."""

    shows_anchors = False

    def __init__(
        self, recipe: TrainingRecipe, sound: Recipe, begun: Beginning, music: Clips, cache: Path, device: torch.device
    ) -> None:
        """Fingerprint the recordings, unless the cache has that already.

        Args:
            recipe: Of the run.
            sound: Of the network that is trained.
            begun: What it begins with: first the encoder that it shall serve.
            music: The recordings that batches are drawn from.
            cache: Folder of the audio, where the fingerprints are kept.
            device: Where training runs.

        Raises:
            ConfigError: The encoder hears other sound than the network is to be trained on.
        """
        self._served, served = begun.served.path, begun.served.recipe
        if differences := served.differences(replace(sound, weights_sha256=served.weights_sha256)):
            raise ConfigError(f"what the recipe trains cannot hear the air for {self._served}: {'; '.join(differences)}")
        self._recipe, self._engine = served, load_encoder(str(self._served), str(device), stored=True)
        if device.type != "cpu":
            self._engine.warm_up()  # what it records on the device must not meet the threads of a run
        shelf = fingerprinted(music, self._engine.encode, served, kept_at(cache, served, "train"))
        self._table = shelf.table.float().to(device)
        self._start = torch.from_numpy(shelf.start).to(device)
        self._owner = torch.from_numpy(shelf.owner(np.arange(len(shelf.table)))).to(device)
        self._rows = min(recipe.training.rivals, len(self._table))
        self._temperature, self._seed = recipe.training.temperature, recipe.seed

    def stored(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what the encoder stores of windows [n, window]: [n, dim]."""
        return torch.from_numpy(self._engine.encode(windows.numpy()))

    def loss(self, vectors: torch.Tensor, sounds: Sounds, number: int) -> torch.Tensor:
        """Return what is lost by `vectors` [n, dim] of what was heard in batch `number`, against a stretch of rows of its own."""
        recordings = torch.from_numpy(sounds.recordings).to(vectors.device)
        targets = self._table[self._start[recordings] + torch.from_numpy(sounds.hops).to(vectors.device)]
        first = int(np.random.default_rng((self._seed, number)).integers(len(self._table)))
        stretch = torch.arange(first, first + self._rows, device=vectors.device) % len(self._table)
        others = self._table[stretch]
        excluded = (targets @ others.T > TWIN) | (self._owner[stretch] == recordings[:, None])
        return losses.catalogue(vectors, targets, others, excluded, self._temperature)

    def save(self, out: Path, tensors: dict[str, torch.Tensor]) -> Path:
        """Write the encoder as it is into a folder, with its card, and the network beside it; return the file of the encoder.

        Raises:
            OSError, SafetensorError: The folder cannot be written.
            EncoderError: Another one has taken the place of the encoder meanwhile.
        """
        path = out / self._served.name
        if weights.read_recipe(self._served).hash != self._recipe.hash:
            raise EncoderError(
                f"{self._served} is another encoder now: put the one back that the run began with, then run it again"
            )
        for suffix in (".md", ".safetensors"):
            files.copy(self._served.with_suffix(suffix), path.with_suffix(suffix))
        weights.save_query(path.with_suffix(weights.QUERY_SUFFIX), self._recipe, tensors)
        return path
