"""Similarities say what was fitted, and the evidence needed follows from the budget and the size of the catalogue."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor.core.evidence import MANY, NEAREST, Evidence

COHORT = np.random.default_rng(4).standard_normal((9, 16)).astype(np.float32)
COHORT /= np.linalg.norm(COHORT, axis=1, keepdims=True)
EVIDENCE = Evidence(
    knots=np.array([0.2, 0.4, 0.8], np.float32),
    nats=np.array([-1.0, 0.0, 6.0], np.float32),
    followed=np.array([-1.0, 0.0, 6.0], np.float32) + 1,
    cohort=COHORT,
    shared=0.1,
    tail_offset=2.0,
    tail_slope=0.5,
    sure_offset=4.0,
    sure_nats=0.2,
    sure_log=1.0,
    sure_similarity=4.0,
    recipe="abc",
)


def test_the_curve_is_linear_between_its_knots_and_flat_beyond() -> None:
    similarity = np.array([[-1.0, 0.2, 0.3], [0.6, 0.8, 1.0]], np.float32)
    nats = EVIDENCE.of(similarity)
    assert nats.dtype == np.float32
    np.testing.assert_allclose(nats, [[-1.0, -1.0, -0.5], [3.0, 6.0, 6.0]], atol=1e-6)


@pytest.mark.parametrize(("fingerprints", "per_hop"), [(1000, 1e-4), (10**6, 1e-4), (10**6, 1e-6)])
def test_unknown_audio_exceeds_what_is_needed_as_often_as_the_budget_allows(fingerprints: int, per_hop: float) -> None:
    """The tail as it stands in the module: P(E > x) = N exp(-(offset + slope x))."""
    needed = EVIDENCE.needed(fingerprints, per_hop)
    assert fingerprints * math.exp(-(2.0 + 0.5 * needed)) == pytest.approx(per_hop)


def test_needed_by_simulation() -> None:
    """Best sums of unknown audio, drawn from the tail, exceed it as often as wished."""
    drawn = (np.random.default_rng(3).exponential(1.0, 200_000) + math.log(500) - 2.0) / 0.5
    assert (drawn > EVIDENCE.needed(500, 0.01)).mean() == pytest.approx(0.01, rel=0.1)


def test_a_larger_catalogue_and_a_smaller_budget_need_more() -> None:
    assert EVIDENCE.needed(10**6, 1e-5) > EVIDENCE.needed(10**5, 1e-5) > EVIDENCE.needed(10**5, 1e-4)


def test_an_empty_or_tiny_catalogue_never_needs_less_than_nothing() -> None:
    assert EVIDENCE.needed(0, 1.0) == 0.0
    assert EVIDENCE.needed(1, 0.9) == 0.0


def test_confidence_is_a_logistic_curve_over_evidence_similarity_and_places() -> None:
    places = round(math.exp(4.0 + 0.2 * 10.0 + math.log(10.0) + 4.0 * 0.5))
    assert EVIDENCE.confidence(10.0, 0.5, places) == pytest.approx(0.5, abs=1e-3)
    assert EVIDENCE.confidence(10.0, 0.75, places) == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-3)
    assert EVIDENCE.confidence(10.0, 0.5, 10 * places) == pytest.approx(1 / 11, abs=1e-3)
    assert EVIDENCE.confidence(20.0, 0.5, places) == pytest.approx(1 / (1 + math.exp(-2) / 2), abs=1e-3)


def test_confidence_stands_any_evidence_and_is_never_surer_than_was_seen() -> None:
    assert EVIDENCE.confidence(1e9, 1.0, 10) == 1.0
    assert replace(EVIDENCE, sure_most=0.99).confidence(1e9, 1.0, 10) == 0.99
    assert EVIDENCE.confidence(-1000.0, 0.0, 10**9) < 1e-6


def test_more_is_asked_of_what_is_less_alike_within_limits() -> None:
    assert EVIDENCE.asked(30.0, 0.6) == pytest.approx(30.0)
    assert EVIDENCE.asked(30.0, 0.55) == pytest.approx(33.0)
    assert EVIDENCE.asked(30.0, 0.65) == pytest.approx(27.0)
    assert EVIDENCE.asked(30.0, 0.0) == 42.0
    assert EVIDENCE.asked(30.0, 1.0) == 22.0


def test_many_at_once_say_what_each_says_alone() -> None:
    """Of many only those are interpolated for which the curve is not flat."""
    many = np.concatenate((np.linspace(-1.2, 1.2, MANY), [0.0, -np.inf, *EVIDENCE.knots], np.zeros(3))).astype(np.float32)
    for curve in (EVIDENCE.of, EVIDENCE.of_followed):
        np.testing.assert_array_equal(curve(many), np.concatenate([curve(one) for one in np.array_split(many, 9)]))
    np.testing.assert_array_equal(EVIDENCE.of(many.reshape(8, -1)), EVIDENCE.of(many).reshape(8, -1))


def test_silence_says_nothing() -> None:
    """Its fingerprint is zero, and so is its likeness to anything: not evidence against a recording that is quiet there."""
    np.testing.assert_array_equal(EVIDENCE.of(np.array([0.0, 1e-3, -1e-3], np.float32)), [0.0, -1.0, -1.0])


def test_a_hit_is_judged_less_what_is_usually_shared() -> None:
    np.testing.assert_allclose(EVIDENCE.of_hit(np.array([0.7, 0.5], np.float32)), [3.0, 0.0], atol=1e-5)


def test_the_range_of_one_window() -> None:
    assert (EVIDENCE.lowest, EVIDENCE.highest) == (-1.0, 6.0)


def test_the_context_is_what_the_nearest_common_sounds_account_for() -> None:
    """s(q, k) s(k, r) for the members nearest to q, written out."""
    random = np.random.default_rng(5)
    heard, stored = random.standard_normal((20, 16)).astype(np.float32), random.standard_normal(16).astype(np.float32)
    heard[3] = -COHORT.sum(axis=0)
    context = EVIDENCE.context(heard)
    assert context.shape == (20, NEAREST, 16)
    for query, rows in zip(heard, context, strict=True):
        nearest = sorted(range(len(COHORT)), key=lambda member: -float(query @ COHORT[member]))[:NEAREST]
        expected = sorted(max(float(query @ COHORT[one]), 0.0) * float(COHORT[one] @ stored) for one in nearest)
        np.testing.assert_allclose(sorted(rows @ stored), expected, atol=1e-5)


def test_a_recording_that_was_found_is_followed_on_its_own_curve() -> None:
    distinct = np.array([0.0, 0.3], np.float32)
    assert EVIDENCE.of_followed(distinct)[0] == 0.0  # silence says nothing here either
    assert EVIDENCE.of_followed(distinct)[1] == pytest.approx(EVIDENCE.of(distinct)[1] + 1.0)
