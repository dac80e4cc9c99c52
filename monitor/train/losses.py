"""The losses, as published.

Knows vectors and which of them belong together. Knows nothing of networks or sound.
"""

from __future__ import annotations

import torch


def triplet(vectors: torch.Tensor, groups: torch.Tensor, margin: float = 0.5) -> torch.Tensor:
    """Triplet loss with the hardest positive and a semi-hard negative (Araz et al., ISMIR 2025, section 3.3).

    Every vector is an anchor. Positive: the farthest of its group. Negative: of other groups, the nearest with d_pos < d < d_pos
    + margin;
    where there is none, the nearest of all. Squared Euclidean distances, which on the sphere are 2 - 2 cos, range 0 to 4.

    Args:
        vectors: Unit vectors [n, dim].
        groups: Group number of each, [n]; every group has at least two members.
        margin: How much farther than the positive the negative has to be.

    Returns:
        The mean over all n anchors, those without loss included.
    """
    distance = 2.0 - 2.0 * vectors @ vectors.T
    same = groups[:, None] == groups[None, :]
    positive = distance.masked_fill(~same, -1.0).amax(dim=1)
    other = distance.masked_fill(same, torch.inf)
    semi_hard = (other > positive[:, None]) & (other < positive[:, None] + margin)
    nearest_semi_hard = other.masked_fill(~semi_hard, torch.inf).amin(dim=1)
    negative = torch.where(nearest_semi_hard.isinf(), other.amin(dim=1), nearest_semi_hard)
    return torch.relu(positive - negative + margin).mean()
