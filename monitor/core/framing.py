"""Cuts the sound of one stream, or of a recording, into equal windows on the hop grid.

Knows positions and lengths. Knows nothing of time of day, of batches, or of what the windows are for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.messages import Chunk, Window


class Framer:
    """Chunks of one stream in, windows out: the same windows however the stream was cut.

    Window h covers the samples [h * hop_samples, h * hop_samples + window_samples). Where a position jumps, the sound held is
    dropped and the next window is the first that lies wholly behind the jump: no window ever spans a gap.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._window = recipe.window_samples
        self._hop = recipe.hop_samples
        self._held: NDArray[np.float32] = np.empty(0, np.float32)
        self._expected = -1
        """Position of the next sample if nothing is missing."""
        self._start = 0
        """Position of the first sample of the next window."""

    def push(self, chunk: Chunk) -> list[Window]:
        """Take a chunk and return the windows it completed, in order.

        Raises:
            ValueError: The chunk lies before sound that was already taken.
        """
        if chunk.position != self._expected:
            self._restart(chunk.position)
        self._expected = chunk.position + chunk.samples.size
        data = np.concatenate((self._held, chunk.samples[self._surplus(chunk) :]))
        windows = []
        offset = 0
        while offset + self._window <= data.size:
            samples = data[offset : offset + self._window].copy()  # a view would keep the whole chunk alive
            windows.append(Window(stream=chunk.stream, hop=self._start // self._hop, samples=samples, arrived_s=chunk.arrived_s))
            offset += self._hop
            self._start += self._hop
        self._held = data[offset:].copy() if windows else data
        return windows

    def _restart(self, position: int) -> None:
        if position < self._expected:
            raise ValueError(f"position {position} lies before {self._expected}, which was already taken")
        self._start = -(-position // self._hop) * self._hop
        self._held = np.empty(0, np.float32)

    def _surplus(self, chunk: Chunk) -> int:
        """Samples at the head of the chunk that belong to no window."""
        return 0 if self._held.size else min(max(self._start - chunk.position, 0), chunk.samples.size)


def windows(sound: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Show the windows [n, window_samples] of a whole sound [samples], which is not copied; what is shorter than one has none."""
    if len(sound) < recipe.window_samples:
        return np.empty((0, recipe.window_samples), np.float32)
    return np.lib.stride_tricks.sliding_window_view(sound, recipe.window_samples)[:: recipe.hop_samples]
