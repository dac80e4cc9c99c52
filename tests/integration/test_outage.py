"""The short form of `python -m tests.bench.outage`: what an absent broker costs is measured there, here that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.outage import measure


def test_a_hundred_stations_outlast_a_broker(need: Callable[[str], Path]) -> None:
    need("mosquitto")
    seen = measure(away_s=3.0, stations=100, events_a_minute=60.0)
    assert seen.waiting > 150, "events were stored while the broker was away"
    assert (seen.missing, seen.disordered, seen.differing) == (0, 0, 0), seen
    assert seen.stored == seen.received > seen.waiting
    assert seen.plays >= 100
    assert seen.received_after_s < 60.0
    assert max(kb for _, kb in seen.samples) - seen.samples[0][1] < 20_000, "memory does not grow with what waits"
