"""The losses, as published, for any number of positives an anchor.

Knows vectors and which of them belong together. Knows nothing of networks or sound. Every function but `catalogue`, which is
ours, takes unit vectors [n, dim] and the group number of each, [n]; every group has at least two members. Members of one group are
views of one sound; the first of each group in order of the batch is its first view, and so on (alignment and uniformity, KCL: they
look at each view for itself).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Vectors and groups in, the number to descend out."""


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


def contrastive(vectors: torch.Tensor, groups: torch.Tensor, temperature: float = 0.05) -> torch.Tensor:
    """One formula under three published names.

    With s_ij = <v_i, v_j> / temperature and P_i the others of i's group, the mean over i of

        1 / |P_i|  sum over p in P_i of  ( log sum over a != i of exp s_ia  -  s_ip )

    - with pairs, NT-Xent (Chen et al., ICML 2020; Chang et al., ICASSP 2021, whose code adds the two directions up: twice this);
    - SupCon in its form L_out (Khosla et al., NeurIPS 2020);
    - MultiPosCon: the cross-entropy from the even distribution over P_i to the softmax over all others (Tian et al., StableRep,
      NeurIPS 2023), which is the same written out.
    """
    same, itself = _same(groups)
    score = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
    lost = torch.logsumexp(score, dim=1, keepdim=True) - score
    positives = same & ~itself
    return (lost.masked_fill(~positives, 0.0).sum(dim=1) / positives.sum(dim=1)).mean()


def decoupled(vectors: torch.Tensor, groups: torch.Tensor, temperature: float = 0.05) -> torch.Tensor:
    """DCL (Yeh et al., ECCV 2022): NT-Xent without the positives in the denominator, mean over all pairs of a group."""
    same, itself = _same(groups)
    score = vectors @ vectors.T / temperature
    lost = torch.logsumexp(score.masked_fill(same, -torch.inf), dim=1, keepdim=True) - score
    positives = same & ~itself
    return (lost.masked_fill(~positives, 0.0).sum(dim=1) / positives.sum(dim=1)).mean()


def alignment_uniformity(vectors: torch.Tensor, groups: torch.Tensor, weight: float = 1.0, sharpness: float = 2.0) -> torch.Tensor:
    """Alignment and uniformity (Wang and Isola, ICML 2020, alpha = 2).

    Mean squared distance of the pairs of a group, plus `weight` times the mean over the views of
    log mean exp(-sharpness d^2) over the pairs of a view. Araz et al. use weight 1, sharpness 2.
    """
    distance, positives, views = _kernel_parts(vectors, groups)
    spread = [torch.log(torch.exp(-sharpness * distance[view]).mean()) for view in views]
    return distance[positives].mean() + weight * torch.stack(spread).mean()


def kernel(vectors: torch.Tensor, groups: torch.Tensor, weight: float = 16.0, sharpness: float = 2.0) -> torch.Tensor:
    """KCL with a Gaussian kernel k = exp(-sharpness d^2) (Koromilas et al., ICML 2024).

    Minus the mean of k over the pairs of a group, plus `weight` times the mean over the views of the mean of k over the pairs of a
    view; times two, as the authors' code sums both views.
    """
    distance, positives, views = _kernel_parts(vectors, groups)
    energy = torch.stack([torch.exp(-sharpness * distance[view]).mean() for view in views]).mean()
    return 2.0 * (weight * energy - torch.exp(-sharpness * distance[positives]).mean())


def catalogue(
    vectors: torch.Tensor, targets: torch.Tensor, others: torch.Tensor, excluded: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Cross-entropy of finding each fingerprint's own row among many others that stay as they are.

    With s = <., .> / temperature, the mean over i of

        log(exp s(v_i, t_i) + sum over j that is not excluded of exp s(v_i, o_j)) - s(v_i, t_i)

    which is NT-Xent in one direction, with the negatives of a catalogue (He et al., MoCo, CVPR 2020, keep many too, of a network
    that moves).

    Args:
        vectors: Unit vectors of what is heard [n, dim].
        targets: What is stored of the same places [n, dim].
        others: What is stored elsewhere [rows, dim].
        excluded: Which rows are no rivals of which fingerprint [n, rows].
        temperature: Of the softmax.
    """
    own = (vectors * targets).sum(dim=1, keepdim=True) / temperature
    rivals = (vectors @ others.T / temperature).masked_fill(excluded, -torch.inf)
    return (torch.logsumexp(torch.cat([own, rivals], dim=1), dim=1) - own[:, 0]).mean()


def build(name: str, *, margin: float, temperature: float) -> Loss:
    """Return the loss of that name, one of `train/recipe.py`'s `BatchLoss`, with its number filled in."""
    losses: Mapping[str, Loss] = {
        "triplet": partial(triplet, margin=margin),
        "nt-xent": partial(contrastive, temperature=temperature),
        "supcon": partial(contrastive, temperature=temperature),
        "multiposcon": partial(contrastive, temperature=temperature),
        "dcl": partial(decoupled, temperature=temperature),
        "alignment-uniformity": alignment_uniformity,
        "kcl": kernel,
    }
    return losses[name]


def _same(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return who is of whose group, and who is who, [n, n]."""
    same = groups[:, None] == groups[None, :]
    return same, torch.eye(len(groups), dtype=torch.bool, device=groups.device)


def _kernel_parts(vectors: torch.Tensor, groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Return squared distances [n, n], a mask of the pairs within a group, and for each view a mask of the pairs within it."""
    distance = (2.0 - 2.0 * vectors @ vectors.T).clamp_min(0.0)
    same, _ = _same(groups)
    each_once = torch.ones_like(same).triu(1)
    rank = (same & ~same.triu()).sum(dim=1)
    views = [each_once & (rank == view)[:, None] & (rank == view)[None, :] for view in range(int(rank.max()) + 1)]
    return distance, same & each_once, [view for view in views if view.any()]
