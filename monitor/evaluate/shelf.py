"""Shelves of fingerprints joined, and rows that pad them to the size of a large catalogue.

Padding is made of real fingerprints of recordings that are not looked for, as impostors of the broadcast measure are; `monitor
evaluate retrieval --protocols padding` shows whether the rivals they make are as strong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from monitor.evaluate.broadcast.impostors import Impostors
from monitor.train.shelf import Shelf

STRETCH = 240
"""Rows of one made-up recording: two minutes."""


def joined(shelves: Sequence[Shelf]) -> Shelf:
    """Return one shelf with the recordings of all, in order."""
    offsets = np.cumsum([0, *(len(shelf.table) for shelf in shelves)])
    starts = [shelf.start[:-1] + offset for shelf, offset in zip(shelves, offsets, strict=False)]
    return Shelf(table=torch.cat([shelf.table for shelf in shelves]), start=np.concatenate([*starts, offsets[-1:]]))


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
