"""Bytes of ffmpeg's float32 output into samples that are numbers.

Knows what damaged streams and broken decoders hold. Knows nothing of where the bytes came from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOUDEST = 8.0
"""18 dB over full scale: peaks of a hot float stream stay well below; beyond this it is no sound."""
_BYTES = 4


def to_samples(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Return samples, shape [n], full scale 1.0, and how many were damaged (NaN, infinite, beyond `LOUDEST`), now silence."""
    samples = np.frombuffer(data[: len(data) - len(data) % _BYTES], "<f4").astype(np.float32)
    # einsum is quick and raises no warning, whatever it meets; a sum below the limit holds nothing beyond it
    if np.einsum("n,n->", samples, samples) <= LOUDEST**2:
        return samples, 0
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(samples) <= LOUDEST)
    samples[bad] = 0.0
    return samples, int(np.count_nonzero(bad))
