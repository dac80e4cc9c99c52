"""Whether the pipeline moves: one heartbeat a stage.

Knows names and times. A stage beats whenever it goes round, work or no work; one that has not for too long is stuck.
"""

from __future__ import annotations

from collections.abc import Mapping


class Health:
    """Last heartbeat of each stage, on the monotonic clock."""

    def __init__(self, stale_after_s: float = 20.0) -> None:
        self._beats: dict[str, float] = {}
        self._stale_after_s = stale_after_s

    def beat(self, stage: str, now_s: float) -> None:
        """Note that a stage went round."""
        self._beats[stage] = now_s

    def stuck(self, now_s: float) -> list[str]:
        """Name the stages that have not gone round for too long."""
        return [stage for stage, beat_s in self._beats.items() if now_s - beat_s > self._stale_after_s]

    @property
    def beats(self) -> Mapping[str, float]:
        """Last heartbeat of each stage."""
        return self._beats
