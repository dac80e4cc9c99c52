"""A file's sound as windows on the hop grid, and the hash that knows it again under other tags.

Knows samples. Knows nothing of files, decoders, fingerprints or the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monitor.core.recipe import Recipe


def hops_of(samples: int, recipe: Recipe) -> int:
    """Count the windows of a recording: window h begins at h * hop, and the last has at least half a window of sound."""
    least = recipe.window_samples // 2
    return 0 if samples < least else (samples - least) // recipe.hop_samples + 1


class Framer:
    """Cuts a recording into windows, however it comes in; the last is padded with zeros."""

    def __init__(self, recipe: Recipe, block: int) -> None:
        """Start a recording.

        Args:
            recipe: Length of windows and hops.
            block: Windows given out at a time.
        """
        self._recipe = recipe
        self._block = block
        self._held = np.zeros(0, np.float32)
        self._given = 0
        self._hash = hashlib.sha256()
        self.samples = 0

    @property
    def pcm_sha256(self) -> str:
        """Hash of all samples so far, rounded to 16 bits."""
        return self._hash.hexdigest()

    def push(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take sound [n] of any length; yield blocks [block, window] as they become complete."""
        self.samples += len(samples)
        self._hash.update(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        self._held = np.concatenate([self._held, samples])
        hop, window = self._recipe.hop_samples, self._recipe.window_samples
        while len(self._held) >= (self._block - 1) * hop + window:
            yield self._cut(self._block)

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Yield what is left, [1 to block, window], or nothing."""
        left = hops_of(self.samples, self._recipe) - self._given
        if left > 0:
            needed = (left - 1) * self._recipe.hop_samples + self._recipe.window_samples
            self._held = np.pad(self._held, (0, max(0, needed - len(self._held))))
        while left > 0:
            count = min(left, self._block)
            yield self._cut(count)
            left -= count

    def _cut(self, count: int) -> NDArray[np.float32]:
        hop, window = self._recipe.hop_samples, self._recipe.window_samples
        spread = np.lib.stride_tricks.sliding_window_view(self._held, window)[: count * hop : hop]
        windows = spread[:count].copy()
        self._held = self._held[count * hop :]
        self._given += count
        return windows
