"""Retrieval gives full marks to an encoder that knows the sound, and few to one that knows nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder.features import LogMel
from monitor.train.data import open_split
from monitor.train.validate import CONDITIONS, Retrieval
from tests.unit.train.clips import pack_clips


@pytest.fixture(scope="module")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> Retrieval:
    cache: Path = tmp_path_factory.mktemp("audio") / "cache"
    pack_clips(cache)
    clips = [open_split(cache, "validation", kind) for kind in ("music", "speech", "noise")]
    return Retrieval(*clips, np.eye(1, 8, dtype=np.float32), window=8000, hop=4000)


def test_every_condition_is_scored(retrieval: Retrieval) -> None:
    features = LogMel(Recipe(name="test", fft_hop_samples=2000))

    def spectrum(windows: torch.Tensor) -> torch.Tensor:
        maps = features(windows).flatten(1)
        return torch.nn.functional.normalize(maps - maps.mean(dim=1, keepdim=True), dim=1)

    scores = retrieval.score(spectrum, spectrum)
    assert set(scores) == set(CONDITIONS)
    assert all(0 <= one <= 1 and 0 <= whole <= 1 for one, whole in scores.values())


def test_an_encoder_that_sees_nothing_names_always_the_same(retrieval: Retrieval) -> None:
    """Two recordings, one of which it always names: half right."""

    def same(windows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.ones(len(windows), 4), dim=1)

    scores = retrieval.score(same, same)
    assert set(scores.values()) == {(0.5, 0.5)}


def test_queries_are_fixed(retrieval: Retrieval) -> None:
    def loudness(windows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(windows[:, :64], dim=1)

    assert retrieval.score(loudness, loudness) == retrieval.score(loudness, loudness)
