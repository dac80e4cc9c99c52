"""The fitted curve is the log ratio it claims to be, and the tail is measured as the tracker would meet it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.evaluate.fit import BINS, HIGHEST_NATS, LOWEST_NATS, _curve
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.unknown import best_evidence
from tests.unit.core.stories import EVIDENCE, Air, fingerprints, recording


def test_the_curve_of_two_normal_distributions_is_their_log_ratio() -> None:
    """N(0.5, 0.1) against N(0, 0.15): log p1 - log p0 is known."""
    random = np.random.default_rng(1)
    same = random.normal(0.5, 0.1, 400_000)
    other = np.histogram(random.normal(0.0, 0.15, 4_000_000), BINS)[0]
    knots, nats = _curve(same, other)
    assert (np.diff(nats) >= 0).all()
    for wanted in (0.2, 0.3, 0.4):
        expected = np.log(0.15 / 0.1) - (wanted - 0.5) ** 2 / 0.02 + wanted**2 / 0.045
        assert float(np.interp(wanted, knots, nats)) == pytest.approx(float(np.clip(expected, LOWEST_NATS, HIGHEST_NATS)), abs=0.35)
    assert nats[0] == pytest.approx(LOWEST_NATS)
    assert 8.5 < nats[-1] <= HIGHEST_NATS


def test_what_is_known_is_the_same_sound_and_what_is_not_gets_little_evidence() -> None:
    songs = [recording(seed, 30) for seed in (1, 2)]
    library = MemoryLibrary(["a", "b"], [fingerprints(song) for song in songs])
    air = Air(60)
    air.play(songs[1], 20.0, to_s=20.0)
    best, along_best = best_evidence(air.heard(), library, EVIDENCE, BINS)
    assert along_best.sum() > 120  # a line has many windows
    assert best.shape == (120,)
    assert np.isnan(best[50:78]).all()
    assert best[:38].max() < 15
