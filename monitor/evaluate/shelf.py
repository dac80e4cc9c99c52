"""Fingerprints of many recordings in one table, and rows that pad it to the size of a large catalogue.

Knows where each recording's rows begin. Padding is made of real fingerprints of recordings that are not looked for, as impostors of
the broadcast measure are; `monitor evaluate retrieval --protocols padding` shows whether the rivals they make are as strong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.framing import windows
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.impostors import Impostors
from monitor.train.data import Clips

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Windows [n, samples] in, fingerprints [n, dim] out."""
STRETCH = 240
"""Rows of one made-up recording: two minutes."""


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


def joined(shelves: Sequence[Shelf]) -> Shelf:
    """Return one shelf with the recordings of all, in order."""
    offsets = np.cumsum([0, *(len(shelf.table) for shelf in shelves)])
    starts = [shelf.start[:-1] + offset for shelf, offset in zip(shelves, offsets, strict=False)]
    return Shelf(table=torch.cat([shelf.table for shelf in shelves]), start=np.concatenate([*starts, offsets[-1:]]))


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
        partial = kept.with_suffix(".partial")
        table.tofile(partial)
        partial.replace(kept)
    return Shelf(table=torch.from_numpy(table), start=start)


def padding(real: Shelf, rows: int, seed: int) -> Shelf:
    """Make `rows` fingerprints out of real ones that are not looked for; the same seed makes the same.

    Args:
        real: What they are made of.
        rows: How many.
        seed: Of the draws.
    """
    impostors = Impostors([own.float().numpy() for own in real.recordings()], seed=seed)
    table = np.empty((rows, real.table.shape[1]), np.float16)
    for at in range(0, rows, STRETCH):
        table[at : at + STRETCH] = impostors.recording(min(STRETCH, rows - at))
    return Shelf(table=torch.from_numpy(table), start=np.append(np.arange(0, rows, STRETCH), rows))
