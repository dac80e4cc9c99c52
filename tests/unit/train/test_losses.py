"""Each loss is what is published, written out anchor by anchor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.train.losses import Loss, alignment_uniformity, build, catalogue, contrastive, decoupled, kernel, triplet
from monitor.train.recipe import LOSSES


def unit(seed: int, count: int, dim: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


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


def nt_xent(vectors: np.ndarray, groups: list[int], temperature: float) -> float:
    """Chen et al.: of each pair (i, j), -log of exp s_ij over the sum over all others of i. Pairs only."""
    score = vectors @ vectors.T / temperature
    lost = []
    for i, group in enumerate(groups):
        (j,) = [other for other in range(len(groups)) if groups[other] == group and other != i]
        lost.append(-np.log(np.exp(score[i, j]) / sum(np.exp(score[i, a]) for a in range(len(groups)) if a != i)))
    return float(np.mean(lost))


def supcon(vectors: np.ndarray, groups: list[int], temperature: float) -> float:
    """Khosla et al., L_out: the mean of the logarithms, outside of them."""
    score = vectors @ vectors.T / temperature
    lost = []
    for i, group in enumerate(groups):
        others = [a for a in range(len(groups)) if a != i]
        logs = [np.log(np.exp(score[i, p]) / sum(np.exp(score[i, a]) for a in others)) for p in others if groups[p] == group]
        lost.append(-sum(logs) / len(logs))
    return float(np.mean(lost))


def multiposcon(vectors: np.ndarray, groups: list[int], temperature: float) -> float:
    """Tian et al.: cross-entropy between who matches and the softmax, one row at a time."""
    lost = []
    for i, group in enumerate(groups):
        others = [a for a in range(len(groups)) if a != i]
        matches = np.array([float(groups[a] == group) for a in others])
        softmax = np.exp(vectors[others] @ vectors[i] / temperature)
        softmax /= softmax.sum()
        lost.append(-float((matches / matches.sum()) @ np.log(softmax)))
    return float(np.mean(lost))


def dcl(vectors: np.ndarray, groups: list[int], temperature: float) -> float:
    """Yeh et al.: no positive in the denominator."""
    score = vectors @ vectors.T / temperature
    lost = []
    for i, group in enumerate(groups):
        against = sum(np.exp(score[i, a]) for a in range(len(groups)) if groups[a] != group)
        here = [np.log(against) - score[i, p] for p in range(len(groups)) if groups[p] == group and p != i]
        lost.append(np.mean(here))
    return float(np.mean(lost))


def views_and_pairs(vectors: np.ndarray, groups: list[int]) -> tuple[list[list[float]], list[float]]:
    """Squared distances: within each view, and between the members of a group."""
    count = max(groups) + 1
    views: list[list[int]] = []
    for view in range(len(groups) // count):
        views.append(list(range(view * count, (view + 1) * count)))
    far = lambda a, b: float(np.sum((vectors[a] - vectors[b]) ** 2))  # noqa: E731
    within = [[far(a, b) for at, a in enumerate(view) for b in view[at + 1 :]] for view in views]
    pairs = [far(a, b) for a in range(len(groups)) for b in range(a + 1, len(groups)) if groups[a] == groups[b]]
    return within, pairs


def plain_alignment_uniformity(vectors: np.ndarray, groups: list[int]) -> float:
    within, pairs = views_and_pairs(vectors, groups)
    return float(np.mean(pairs) + np.mean([np.log(np.mean(np.exp(-2 * np.array(view)))) for view in within]))


def plain_kcl(vectors: np.ndarray, groups: list[int]) -> float:
    """The authors' sum over the two views: 2 x (weight x mean energy of a view - mean kernel of a pair)."""
    within, pairs = views_and_pairs(vectors, groups)
    energy = np.mean([np.mean(np.exp(-2 * np.array(view))) for view in within])
    return float(2 * (16 * energy - np.mean(np.exp(-2 * np.array(pairs)))))


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize(
    ("loss", "reference"), [(contrastive, nt_xent), (contrastive, supcon), (contrastive, multiposcon), (decoupled, dcl)]
)
def test_pairs_cost_what_is_published(loss: Loss, reference: Loss, count: int, temperature: float) -> None:
    vectors, groups = unit(count, 2 * count), list(range(count)) * 2
    got = loss(torch.from_numpy(vectors), torch.tensor(groups), temperature)
    assert float(got) == pytest.approx(reference(vectors, groups, temperature), abs=1e-9)


@pytest.mark.parametrize(("loss", "reference"), [(contrastive, supcon), (contrastive, multiposcon), (decoupled, dcl)])
def test_several_positives_cost_what_is_published(loss: Loss, reference: Loss) -> None:
    vectors, groups = unit(7, 12), list(range(4)) * 3
    got = loss(torch.from_numpy(vectors), torch.tensor(groups), 0.2)
    assert float(got) == pytest.approx(reference(vectors, groups, 0.2), abs=1e-9)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize(("loss", "reference"), [(alignment_uniformity, plain_alignment_uniformity), (kernel, plain_kcl)])
def test_pairwise_losses_look_at_each_view_for_itself(loss: Loss, reference: Loss, views: int) -> None:
    vectors, groups = unit(9, 4 * views), list(range(4)) * views
    assert float(loss(torch.from_numpy(vectors), torch.tensor(groups))) == pytest.approx(reference(vectors, groups), abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_by_name_tells_true_pairs_from_false_ones_and_has_a_gradient(name: str) -> None:
    loss = build(name, margin=0.5, temperature=0.1)
    ideal = torch.eye(4).repeat(2, 1)
    groups = torch.arange(4).repeat(2)
    shuffled = torch.cat([torch.eye(4), torch.eye(4).roll(1, 0)])
    assert float(loss(ideal, groups)) < float(loss(shuffled, groups)) - 0.1
    moved = torch.nn.functional.normalize(shuffled + 0.1 * torch.randn(8, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    (gradient,) = torch.autograd.grad(loss(moved.requires_grad_(), groups), moved)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_a_catalogue_costs_the_cross_entropy_of_each_own_row() -> None:
    vectors, targets, others = unit(3, 4), unit(5, 4), unit(8, 9)
    excluded = np.random.default_rng(2).random((4, 9)) < 0.3
    lost = []
    for vector, target, skipped in zip(vectors, targets, excluded, strict=True):
        own = np.exp(vector @ target / 0.1)
        rivals = sum(np.exp(vector @ other / 0.1) for other, skip in zip(others, skipped, strict=True) if not skip)
        lost.append(-np.log(own / (own + rivals)))
    got = catalogue(*(torch.from_numpy(one) for one in (vectors, targets, others, excluded)), 0.1)
    assert float(got) == pytest.approx(np.mean(lost), abs=1e-9)
