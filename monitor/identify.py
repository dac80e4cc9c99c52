"""The pipeline over recordings: builds its parts for `monitor identify` and for the evaluation.

Knows settings and a catalogue folder. What it finds in a file is what the daemon would find in the same sound on air.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor import replay
from monitor.catalog.store import Store, recipe_at
from monitor.encoder.engine import choose, load_encoder
from monitor.encoder.weights import load_evidence
from monitor.index import faiss_store
from monitor.messages import Play, Reference
from monitor.pipeline.matching import Matcher
from monitor.settings import Settings


class Identifier:
    """An encoder and a catalogue, ready to listen to recordings."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Open them.

        Raises:
            Permanent: No such catalogue, or one of another encoder.
        """
        name = choose(settings.encoder.name, settings.encoder.device, lambda: recipe_at(folder))
        self._engine = load_encoder(name, settings.encoder.device, settings.encoder.threads)
        self.recipe = self._engine.recipe
        evidence = load_evidence(name, self.recipe, self._engine.query)
        self._library = faiss_store.load(Store(folder, self.recipe).table())
        matcher = replace(settings.matcher, update_every_s=0.0)
        self._matcher = Matcher(self._library, evidence, self.recipe, matcher, lambda _: None)

    def plays(self, name: str, sound: Iterable[NDArray[np.float32]]) -> list[Play]:
        """Return every play in a recording, by start; `sound` is mono at the recipe's rate, in pieces [n]."""
        return replay.plays(name, sound, self._engine, self.recipe, self._matcher)

    def reference(self, play: Play) -> Reference:
        """Return who was played."""
        return self._library.reference(play.reference_id)
