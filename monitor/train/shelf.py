"""Fingerprints of many recordings in one table.

Knows where each recording's rows begin, and which file they are kept in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.framing import windows
from monitor.core.recipe import Recipe
from monitor.encoder import files
from monitor.train.data import Clips

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Windows [n, samples] in, fingerprints [n, dim] out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Fingerprints of recordings, one after another."""

    table: torch.Tensor
    """float16 [rows, dim]."""
    start: NDArray[np.int64]
    """First row of each recording, and one more: the number of rows."""

    def owner(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the recording that each row belongs to."""
        return np.searchsorted(self.start, rows, side="right") - 1

    def recordings(self) -> list[torch.Tensor]:
        """Return the rows of each recording."""
        return [self.table[a:b] for a, b in zip(self.start[:-1], self.start[1:], strict=True)]


def fingerprinted(clips: Clips, encode: Encode, recipe: Recipe, kept: Path | None = None) -> Shelf:
    """Fingerprint every recording on the hop grid; recordings shorter than a window have no rows.

    Args:
        clips: The recordings.
        encode: The encoder.
        recipe: Its recipe.
        kept: A file that is read if it is there, and written if not: an hour of recordings takes some seconds of a core.
    """
    hops = np.maximum((clips.length - recipe.window_samples) // recipe.hop_samples + 1, 0)
    start = np.concatenate([[0], np.cumsum(hops)])
    if kept is not None and kept.is_file() and kept.stat().st_size == 2 * recipe.dim * int(start[-1]):
        table = np.fromfile(kept, np.float16).reshape(-1, recipe.dim)
        return Shelf(table=torch.from_numpy(table), start=start)
    table = np.zeros((int(start[-1]), recipe.dim), np.float16)
    for number in range(len(clips)):
        if hops[number]:
            table[start[number] : start[number + 1]] = encode(windows(clips.recording(number), recipe))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with files.placed(kept) as partial:
            table.tofile(partial)
    return Shelf(table=torch.from_numpy(table), start=start)


def kept_at(cache: Path, recipe: Recipe, split: str) -> Path:
    """Return the file for the fingerprints of a split's music."""
    return cache / "fingerprints" / f"{recipe.hash}-{split}-music.f16"
