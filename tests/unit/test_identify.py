"""A recording in a small real catalogue is found in a file; catalogues of other encoders are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor import replay
from monitor.catalog.writer import FileMark, Writer
from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights
from monitor.encoder.engine import load_encoder
from monitor.errors import CatalogError, ForeignFingerprints
from monitor.identify import Identifier
from monitor.messages import Reference
from monitor.settings import EncoderSettings, Settings


def song(seed: int, seconds: float) -> np.ndarray:
    """Notes of half a second, each of three tones: what even a network with random weights can tell apart."""
    random = np.random.default_rng(seed)
    time_s = np.arange(4000) / 8000
    notes = [
        sum(np.sin(2 * np.pi * hz * time_s) for hz in random.uniform(200, 3500, 3)) * np.exp(-4 * time_s)
        for _ in range(round(seconds * 2))
    ]
    return (0.2 * np.concatenate(notes)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Path]]:
    """Return settings with a random encoder, and a catalogue of two songs made with it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("identify")
    torch.manual_seed(5)
    path = folder / "random.safetensors"
    recipe = weights.save(path, Recipe(name="random"), dict(networks.build(Recipe(name="random")).state_dict()))
    cohort = np.random.default_rng(1).standard_normal((8, recipe.dim)).astype(np.float32)
    evidence = Evidence(
        knots=np.array([0.9985, 0.9996], np.float32),  # random weights: everything is alike, only the same is the same
        nats=np.array([-1.5, 9.0], np.float32),
        followed=np.array([-1.5, 9.0], np.float32),
        cohort=1e-3 * cohort,
        shared=0.0,
        tail_offset=4.0,
        tail_slope=0.35,
        sure_offset=4.0,
        sure_nats=0.2,
        sure_log=1.0,
        sure_similarity=4.0,
        recipe=recipe.hash,
    )
    weights.save_evidence(path.with_suffix(weights.EVIDENCE_SUFFIX), evidence)
    engine = load_encoder(str(path), "cpu")
    with Writer(folder / "catalog", recipe, create=True) as writer:
        for number in (1, 2):
            rows = np.concatenate([part.vectors for part in replay.fingerprints("x", [song(number, 15)], engine, recipe)])
            mark = FileMark(path=f"/{number}", bytes=1, mtime_ns=1, sha256=str(number), reference_id=0)
            reference = Reference(id=0, path=f"/{number}", title=f"T{number}", duration_s=15.0)
            writer.add(reference, str(number), rows.astype(np.float16), mark)
    yield Settings(encoder=EncoderSettings(name=str(path), device="cpu")), folder / "catalog"
    torch.set_num_threads(threads)


def test_a_recording_is_found_where_it_was_played(made: tuple[Settings, Path]) -> None:
    identifier = Identifier(*made)
    sound = np.concatenate([song(7, 5), song(2, 15), song(8, 4)])
    (play,) = identifier.plays("a", [sound[:50_000], sound[50_000:]])
    assert identifier.reference(play).title == "T2"
    assert play.start_s == pytest.approx(5.0, abs=0.6)
    assert play.end_s == pytest.approx(20.0, abs=0.6)
    assert play.reference_start_s == pytest.approx(0.0, abs=0.3)


def test_one_file_does_not_mix_with_the_next(made: tuple[Settings, Path]) -> None:
    identifier = Identifier(*made)
    first = identifier.plays("a", [song(1, 6)])
    assert identifier.plays("a", [song(9, 6)]) == []
    assert identifier.plays("a", [song(1, 6)]) == first != []


def test_what_is_not_known_gives_nothing(made: tuple[Settings, Path]) -> None:
    identifier = Identifier(*made)
    assert identifier.plays("a", [song(9, 10)]) == []
    assert identifier.plays("a", [np.zeros(80_000, np.float32)]) == []
    assert identifier.plays("a", []) == []


def test_a_catalogue_of_another_encoder_is_refused(made: tuple[Settings, Path], tmp_path: Path) -> None:
    with Writer(tmp_path, Recipe(name="random", weights_sha256="1" * 64), create=True):
        pass
    with pytest.raises(ForeignFingerprints, match="weights_sha256"):
        Identifier(made[0], tmp_path)


def test_auto_is_the_encoder_that_made_the_catalogue(made: tuple[Settings, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, folder = made
    path = Path(settings.encoder.name)
    monkeypatch.setattr(weights, "INSTALLED", path.parent)
    identifier = Identifier(replace(settings, encoder=replace(settings.encoder, name="auto")), folder)
    assert identifier.recipe == weights.read_recipe(path)


def test_no_catalogue_is_said_so(made: tuple[Settings, Path], tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        Identifier(made[0], tmp_path / "nothing")
