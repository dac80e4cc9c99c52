"""A stage that has not gone round for too long is stuck."""

from __future__ import annotations

from monitor.pipeline.health import Health


def test_a_stage_that_beats_is_well() -> None:
    health = Health(stale_after_s=20.0)
    health.beat("encoder", 100.0)
    health.beat("matcher", 110.0)
    assert health.stuck(120.0) == []
    assert dict(health.beats) == {"encoder": 100.0, "matcher": 110.0}


def test_a_stage_that_stopped_is_named_until_it_beats_again() -> None:
    health = Health(stale_after_s=20.0)
    health.beat("encoder", 100.0)
    health.beat("matcher", 110.0)
    assert health.stuck(120.1) == ["encoder"]
    assert health.stuck(130.1) == ["encoder", "matcher"]
    health.beat("encoder", 130.0)
    assert health.stuck(130.1) == ["matcher"]


def test_before_the_first_beat_nothing_is_stuck() -> None:
    assert Health().stuck(1e9) == []
