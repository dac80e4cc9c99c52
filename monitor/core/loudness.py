"""When a stream carries no sound worth the name.

Knows levels. Knows nothing of positions, clocks, or why it is quiet. The level of a block of n samples x is
10 log10(sum(x^2) / n) dBFS: a full-scale square wave has 0 dB, a full-scale sine -3.01 dB.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCK_S = 0.1
"""Level is measured in blocks of this length: a single word in a dead minute ends the silence."""


class Loudness:
    """Tells silence: every block below a level for a time. The same answer however the sound was cut."""

    def __init__(self, *, rate_hz: int, silence_db: float, silence_after_s: float) -> None:
        self._block = round(rate_hz * BLOCK_S)
        self._limit = self._block * 10.0 ** (silence_db / 10.0)
        """Sum of squares of a block at the limit."""
        self._after = max(math.ceil(silence_after_s / BLOCK_S - 1e-9), 1)
        """Blocks that must be quiet in a row."""
        self._held: NDArray[np.float32] = np.empty(0, np.float32)
        self._quiet = 0
        self._silent = False

    def hear(self, samples: NDArray[np.float32]) -> list[bool]:
        """Take sound, shape [n]; return each change it brought, in order: True for silence, False for sound again."""
        data = np.concatenate((self._held, samples))
        count = data.size // self._block
        blocks = data[: count * self._block].reshape(count, self._block)
        self._held = data[count * self._block :].copy()
        changes = []
        for quiet in (np.einsum("nb,nb->n", blocks, blocks) < self._limit).tolist():
            self._quiet = self._quiet + 1 if quiet else 0
            silent = self._quiet >= self._after
            if silent != self._silent:
                self._silent = silent
                changes.append(silent)
        return changes

    def restart(self) -> None:
        """Forget everything: the stream was opened anew."""
        self._held = np.empty(0, np.float32)
        self._quiet = 0
        self._silent = False
