"""From packed audio to the tables, with a random network: what is written, not how good it is."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights
from monitor.encoder.engine import load_encoder
from monitor.evaluate.protocols import Bench, Wanted, told_apart
from monitor.train.data import Clip, open_split
from monitor.train.shelf import kept_at
from tests.unit.train.clips import pack_clips


def pack_test_split(cache: Path) -> None:
    random = np.random.default_rng(5)
    for kind, count, size in (("music", 3, 300_000), ("speech", 1, 270_000), ("noise", 1, 270_000)):
        pcm = (3000 * random.standard_normal((count, size))).clip(-32768, 32767).astype("<i2")
        (cache / "pcm" / f"public-test-{kind}.i16").write_bytes(pcm.tobytes())
        clips = [asdict(Clip(package=f"t{n}", path=f"t{n}", start=n * size, length=size, sha256="")) for n in range(count)]
        (cache / "pcm" / f"public-test-{kind}.json").write_text(json.dumps(clips))


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    pack_clips(tmp_path / "cache")
    pack_test_split(tmp_path / "cache")
    return Wanted(
        cache=tmp_path / "cache",
        out=tmp_path / "out",
        protocols=("nmfp", "codes"),
        conditions=("clean", "voice 0 dB"),
        tracks=2,
        padding=40,
        seed=1,
        search=torch.device("cpu"),
    )


def test_every_encoder_has_a_row_under_every_condition(wanted: Wanted, tmp_path: Path) -> None:
    engines = {}
    for name in ("one", "two"):
        recipe = Recipe(name=name, dim=16)
        path = tmp_path / f"{name}.safetensors"
        weights.save(path, recipe, dict(networks.build(recipe).state_dict()))
        engines[name] = (load_encoder(str(path), "cpu", threads=1, runtime="torch"),) * 2
    said: list[str] = []
    text = Bench(engines, wanted, said.append).measure()
    assert (wanted.out / "retrieval.md").read_text() == text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[:2] for row in rows[:5]] == [
        ["| condition", "encoder"],
        ["| clean", "one"],
        ["| clean", "two"],
        ["| voice 0 dB", "one"],
        ["| voice 0 dB", "two"],
    ]
    assert [row.split(" | ")[0] for row in rows[6:]] == ["| 4", "| 8", "| 16", "| 32"] * 2
    numbers = json.loads((wanted.out / "retrieval.json").read_text())
    assert numbers["nmfp / clean / one / padded / 10 s"]["trials"] == 12
    assert len(list((wanted.cache / "fingerprints").glob("*.f16"))) == 4
    assert set(rows) <= set(said)


def test_queries_are_heard_by_one_network_and_looked_up_among_what_the_other_stored(wanted: Wanted, tmp_path: Path) -> None:
    recipe = Recipe(name="one", dim=16)
    path = tmp_path / "one.safetensors"
    sealed = weights.save(path, recipe, dict(networks.build(recipe).state_dict()))
    weights.save_query(path.with_suffix(weights.QUERY_SUFFIX), sealed, dict(networks.build(recipe).state_dict()))
    hearing, storing = (load_encoder(str(path), "cpu", threads=1, runtime="torch", stored=stored) for stored in (False, True))
    music = open_split(wanted.cache, "train", "music")
    expected = storing.encode(music.recording(0)[None, :8000])
    assert (hearing.encode(music.recording(0)[None, :8000]) != expected).any()
    Bench({"one": (hearing, storing)}, replace(wanted, protocols=("nmfp",), padding=0), lambda _: None).measure()
    kept = np.fromfile(kept_at(wanted.cache, sealed, "train"), np.float16).reshape(-1, 16)
    np.testing.assert_array_equal(kept[:1], expected.astype(np.float16))
    swapped = replace(wanted, out=tmp_path / "swapped", protocols=("nmfp",), padding=0)
    Bench({"one": (storing, storing)}, swapped, lambda _: None).measure()
    heard, unheard = (json.loads((out / "retrieval.json").read_text()) for out in (wanted.out, swapped.out))
    clean = "nmfp / clean / one / plain / 1 s"
    assert heard[clean]["exact"] < unheard[clean]["exact"]


def test_two_encoders_of_one_name_are_two_rows() -> None:
    """They were one: of two runs of `compact`, only the last was measured."""
    assert told_apart(["compact", "runs/large.safetensors"]) == {"compact": "compact", "large": "runs/large.safetensors"}
    assert list(told_apart(["one/compact.safetensors", "two/compact.safetensors"])) == [
        "one/compact.safetensors",
        "two/compact.safetensors",
    ]
