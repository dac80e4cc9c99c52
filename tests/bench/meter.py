"""An encoder that notes what it takes, for the shares of a longer run."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.encoder.engine import Engine

ROUNDS = 7


class Meter:
    """Encodes with another encoder; counts the CPU of the calling thread, so torch must have no other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batches: Counter[int] = Counter()
        self.cpu_s = 0.0

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the fingerprints."""
        started_s = time.thread_time()
        vectors = self._engine.encode(windows)
        self.cpu_s += time.thread_time() - started_s
        self._batches[len(windows)] += 1
        return vectors

    def features_s(self) -> float:
        """Return what of it the features were: measured again afterwards, on batches of the same sizes."""
        total_s = 0.0
        for size, count in self._batches.items():
            windows = torch.zeros((size, self._engine.recipe.window_samples))
            took_s = []
            with torch.inference_mode():
                for _ in range(ROUNDS):
                    started_s = time.thread_time()
                    self._engine.features(windows)
                    took_s.append(time.thread_time() - started_s)
            total_s += count * sorted(took_s)[ROUNDS // 2]
        return total_s
