"""The triplet loss is what is published, written out anchor by anchor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.train.losses import triplet


def plain(vectors: np.ndarray, groups: list[int], margin: float) -> float:
    """Go through all anchors, one by one, in float64."""
    losses = []
    for anchor, group in enumerate(groups):
        far = [float(np.sum((vectors[anchor] - one) ** 2)) for one in vectors]
        positive = max(far[other] for other in range(len(groups)) if groups[other] == group and other != anchor)
        negatives = [far[other] for other in range(len(groups)) if groups[other] != group]
        semi_hard = [one for one in negatives if positive < one < positive + margin]
        negative = min(semi_hard) if semi_hard else min(negatives)
        losses.append(max(0.0, positive - negative + margin))
    return float(np.mean(losses))


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), pairs=st.integers(2, 9), dim=st.integers(2, 12), margin=st.sampled_from([0.1, 0.5, 1.0]))
def test_it_is_the_published_loss(seed: int, pairs: int, dim: int, margin: float) -> None:
    vectors = np.random.default_rng(seed).standard_normal((2 * pairs, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = list(range(pairs)) * 2
    got = triplet(torch.from_numpy(vectors), torch.tensor(groups), margin)
    assert float(got) == pytest.approx(plain(vectors, groups, margin), abs=1e-9)


def test_groups_may_be_larger_than_pairs() -> None:
    vectors = np.random.default_rng(3).standard_normal((9, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert float(triplet(torch.from_numpy(vectors), torch.tensor(groups), 0.5)) == pytest.approx(plain(vectors, groups, 0.5))


def test_what_is_apart_already_costs_nothing() -> None:
    vectors = torch.eye(3).repeat(2, 1)
    assert float(triplet(vectors, torch.arange(3).repeat(2), 0.5)) == 0.0


def test_descending_it_brings_a_pair_together() -> None:
    torch.manual_seed(0)
    raw = torch.randn(8, 6, requires_grad=True)
    groups = torch.arange(4).repeat(2)
    before = triplet(torch.nn.functional.normalize(raw, dim=1), groups).item()
    for _ in range(50):
        (gradient,) = torch.autograd.grad(triplet(torch.nn.functional.normalize(raw, dim=1), groups), raw)
        raw = (raw - gradient).detach().requires_grad_()
    assert triplet(torch.nn.functional.normalize(raw, dim=1), groups).item() < 0.2 * before
