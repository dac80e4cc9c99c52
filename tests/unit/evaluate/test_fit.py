"""The fitted curve is the log ratio it claims to be, and the tail is measured as the tracker would meet it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.evaluate.fit import BINS, HIGHEST_NATS, LOWEST_NATS, _curve
from monitor.evaluate.memory import MemoryLibrary
from monitor.evaluate.unknown import along_rivals
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


def test_the_windows_along_the_best_alignment_are_alike_where_the_recording_is_known() -> None:
    """Twenty of sixty seconds are of a catalogued recording: lines through those have windows that are as alike, and no others."""
    songs = [recording(seed, 30) for seed in (1, 2)]
    library = MemoryLibrary(["a", "b"], [fingerprints(song) for song in songs])
    strange, known = Air(60), Air(60)
    known.play(songs[1], 20.0, to_s=20.0)
    counted = along_rivals(known.heard(), library, EVIDENCE, BINS)
    assert counted.sum() > 120  # a line has many windows
    alike = BINS[:-1] >= 0.8
    assert counted[alike].sum() > 36
    assert along_rivals(strange.heard(), library, EVIDENCE, BINS)[alike].sum() == 0
