"""A cache of made-up clips, packed as `monitor.train.data` packs them, and a recipe that is done in no time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.train.data import Clip

RECIPE_TEXT = """
name = "tiny"
network = "compact"
seed = 1
[sound]
dim = 16
[training]
minutes = 0.0005
batch = 4
margin = 0.5
learning_rate = 1e-3
weight_decay = 0.01
warm_up = 0.0
validate_minutes = 10.0
rooms = 2
[positives]
shift_s = 0.25
speed = 0.05
speed_share = 0.5
"""


def pack_clips(cache: Path) -> None:
    """Write music, speech, noise and responses for training and validation."""
    random = np.random.default_rng(1)
    for split, kind, count, size in (
        ("train", "music", 6, 50_000),
        ("train", "speech", 2, 40_000),
        ("train", "noise", 2, 40_000),
        ("train", "ir", 2, 500),
        ("validation", "music", 2, 160_000),
        ("validation", "speech", 1, 60_000),
        ("validation", "noise", 1, 60_000),
    ):
        pack(cache, split, kind, (3000 * random.standard_normal((count, size))).clip(-32768, 32767).astype("<i2"))


def pack(cache: Path, split: str, kind: str, pcm: NDArray[np.int16]) -> None:
    """Write sounds [count, samples] of a kind, each of a package of its own."""
    (cache / "pcm").mkdir(parents=True, exist_ok=True)
    (cache / "pcm" / f"{split}-{kind}.i16").write_bytes(pcm.tobytes())
    clips = [
        Clip(
            package=f"{split}-{kind}-{number}",
            path=f"unpacked/{split}-{kind}-{number}/{kind}.ogg",
            start=number * len(sound),
            length=len(sound),
            sha256=hashlib.sha256(sound.tobytes()).hexdigest(),
        )
        for number, sound in enumerate(pcm)
    ]
    (cache / "pcm" / f"{split}-{kind}.json").write_text(json.dumps([asdict(one) for one in clips]))
