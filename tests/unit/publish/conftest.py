"""A detection to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from monitor.messages import Detection, EventKind, Play, Reference


@pytest.fixture
def detection() -> Callable[..., Detection]:
    def make(number: int = 1, **changes: Any) -> Detection:
        play = Play(
            stream="radio-1",
            reference_id=7,
            start_s=10.0,
            end_s=25.5,
            reference_start_s=0.0,
            reference_end_s=15.81,
            speed=1.02,
            score=0.8123456,
            evidence=44.0,
            confidence=0.99999,
            detected_s=13.0,
        )
        content: dict[str, Any] = {
            "id": f"play-{number}",
            "kind": EventKind.STARTED,
            "station": "radio-1",
            "start_utc_s": 1_790_000_000.0004,
            "end_utc_s": 1_790_000_015.5,
            "uncertainty_s": 0.25,
            "detected_utc_s": 1_790_000_003.0,
            "play": play,
            "reference": Reference(
                id=7, path="a/b.opus", title="Ö", artist="A", isrc="DEA123456789", duration_s=180.0, custom={"label": "L"}
            ),
            "recipe": "0123456789abcdef",
            "generation": 3,
        }
        return Detection(**{**content, **changes})

    return make
