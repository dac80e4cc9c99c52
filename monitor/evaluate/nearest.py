"""Exact nearest neighbours of many queries in a table that may be large, a block at a time, on any device.

Knows unit vectors in half precision. Products are in bfloat16 where that is fast, which finds who is near; whoever needs the
similarity itself computes it again from the rows.
"""

from __future__ import annotations

import torch

from monitor.encoder.engine import multiplies_bfloat16

BLOCK, GROUP = 16_384, 64
"""Rows multiplied at a time, and rows of which only the best is looked at first: sorting all similarities would take ten times as
long as computing them."""


def nearest(queries: torch.Tensor, table: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return similarities [q, k] and row numbers [q, k] of the k nearest rows, the nearest first; -9 and 0 where there are fewer.

    Args:
        queries: Shape [q, dim].
        table: Shape [rows, dim], on the same device.
        k: How many.
    """
    sought = queries.to(torch.bfloat16 if multiplies_bfloat16(queries.device) else torch.float32)
    best = torch.full((len(queries), k), -9.0, device=queries.device)
    rows = torch.zeros(len(queries), k, dtype=torch.long, device=queries.device)
    for at in range(0, len(table), BLOCK):
        part = table[at : at + BLOCK].to(sought.dtype)
        if len(part) % GROUP:
            part = torch.nn.functional.pad(part, (0, 0, 0, GROUP - len(part) % GROUP))
        groups = (sought @ part.T).reshape(len(queries), -1, GROUP)
        chosen = groups.amax(2).topk(min(k, groups.shape[1]), dim=1).indices
        similarity = groups.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).flatten(1).float()
        number = (at + chosen[:, :, None] * GROUP + torch.arange(GROUP, device=queries.device)).flatten(1)
        similarity = similarity.masked_fill(number >= len(table), -9.0)
        both, numbers = torch.cat([best, similarity], 1), torch.cat([rows, number], 1)
        best, order = both.topk(k, dim=1)
        rows = numbers.gather(1, order)
    return best, rows
