"""What is loaded is what was saved; a damaged or foreign file is refused in one line that says what to do."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.encoder import weights
from monitor.errors import EncoderError

RECIPE = Recipe(name="tiny")
TENSORS = {"b.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7), "c": torch.ones(4, dtype=torch.float16)}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    sealed = weights.save(path, RECIPE, TENSORS)
    recipe, tensors = weights.load(path)
    assert recipe == sealed == replace(RECIPE, weights_sha256=weights.digest(TENSORS))
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert [one.name for one in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_the_hash_is_of_names_types_shapes_and_bytes_in_order_of_names() -> None:
    digest = weights.digest(TENSORS)
    assert weights.digest(dict(reversed(TENSORS.items()))) == digest
    others = [
        {**TENSORS, "a.count": torch.tensor(8)},
        {**TENSORS, "b.weight": TENSORS["b.weight"].reshape(3, 2)},
        {**TENSORS, "a.count": torch.tensor(7, dtype=torch.int32)},
        {name + "x": tensor for name, tensor in TENSORS.items()},
        {name: TENSORS[name] for name in ("a.count", "c")},
    ]
    assert len({digest, *(weights.digest(other) for other in others)}) == 6


def test_memory_order_does_not_matter() -> None:
    maps = torch.randn(2, 3, 4, 5)
    assert weights.digest({"a": maps}) == weights.digest({"a": maps.to(memory_format=torch.channels_last)})


def damage(path: Path) -> None:
    """Change a number that the file holds."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_damaged_byte_is_seen(tmp_path: Path, place: float, flip: int) -> None:
    path = tmp_path / "tiny.safetensors"
    weights.save(path, RECIPE, {"w": torch.arange(200.0)})
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    header = 8 + int.from_bytes(content[:8], "little")
    content[at] ^= flip
    path.write_bytes(content)
    try:
        recipe, _ = weights.load(path)
    except EncoderError as error:
        assert "\n" not in str(error)  # noqa: PT017 - not every byte of the header is refused
        assert "install the encoder again" in str(error)  # noqa: PT017
    else:
        # Readable still: the damage hit a field of the recipe, so no catalogue fits it, or the name, which means nothing.
        assert at < header
        assert recipe.differences(replace(RECIPE, weights_sha256=recipe.weights_sha256)) or recipe.name != RECIPE.name


def test_a_damaged_weight_is_named_as_such(weights_file: Path) -> None:
    damage(weights_file)
    with pytest.raises(EncoderError, match=r"random\.safetensors is damaged: .* install the encoder again"):
        weights.load(weights_file)


@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 100, b"\xff" * 100])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"a\.safetensors is not an encoder of this product"):
        weights.load(path)


def test_a_file_cut_short_is_refused(weights_file: Path) -> None:
    weights_file.write_bytes(weights_file.read_bytes()[:-1])
    with pytest.raises(EncoderError, match="is not an encoder of this product"):
        weights.load(weights_file)


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"recipe": "no json"}, {"recipe": "[]"}, {"recipe": '{"name": 1, "x": 2}'}]
)
def test_somebody_elses_tensors_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.ones(3)}, path, metadata=metadata)
    with pytest.raises(EncoderError, match="is not an encoder of this product"):
        weights.load(path)


def test_an_encoder_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no encoder 'compakt': installed are .*; or name a \.safetensors file"):
        weights.find("compakt")
    with pytest.raises(EncoderError, match="no encoder"):
        weights.find(str(tmp_path / "none.safetensors"))


def evidence(recipe: Recipe) -> Evidence:
    cohort = np.random.default_rng(1).standard_normal((5, 16)).astype(np.float16).astype(np.float32)
    return Evidence(
        knots=np.array([0.0, 1.0], np.float32),
        nats=np.array([-1.0, 5.0], np.float32),
        followed=np.array([-1.0, 5.0], np.float32),
        cohort=cohort,
        shared=0.1,
        tail_offset=1.0,
        tail_slope=0.5,
        sure_offset=4.0,
        sure_nats=0.2,
        sure_log=1.0,
        sure_similarity=4.0,
        recipe=recipe.hash,
    )


def test_evidence_lies_beside_the_weights(weights_file: Path) -> None:
    recipe, _ = weights.load(weights_file)
    wanted = evidence(recipe)
    weights.save_evidence(weights_file.with_suffix(weights.EVIDENCE_SUFFIX), wanted)
    got = weights.load_evidence(str(weights_file), recipe)
    for field in fields(Evidence):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(wanted, field.name))
    assert got.cohort.dtype == np.float32


def test_evidence_of_another_network_for_the_air_is_refused(weights_file: Path) -> None:
    recipe, _ = weights.load(weights_file)
    sha256 = weights.save_query(weights_file.with_suffix(weights.QUERY_SUFFIX), recipe, {"w": torch.ones(3)})
    weights.save_evidence(weights_file.with_suffix(weights.EVIDENCE_SUFFIX), replace(evidence(recipe), query=sha256))
    assert weights.load_evidence(str(weights_file), recipe, sha256).query == sha256
    with pytest.raises(EncoderError, match=r"another network for the air than lies beside it; run `monitor evaluate fit`"):
        weights.load_evidence(str(weights_file), recipe)
    weights.save_evidence(weights_file.with_suffix(weights.EVIDENCE_SUFFIX), evidence(recipe))
    with pytest.raises(EncoderError, match="another network for the air than lies beside it"):
        weights.load_evidence(str(weights_file), recipe, sha256)


def test_evidence_of_other_weights_is_refused(weights_file: Path) -> None:
    recipe, _ = weights.load(weights_file)
    weights.save_evidence(weights_file.with_suffix(weights.EVIDENCE_SUFFIX), evidence(replace(recipe, dim=7)))
    with pytest.raises(EncoderError, match=r"was fitted to other weights .*run `monitor evaluate fit`"):
        weights.load_evidence(str(weights_file), recipe)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\x00" * 64])
def test_missing_or_damaged_evidence_is_refused(weights_file: Path, content: bytes | None) -> None:
    if content is not None:
        weights_file.with_suffix(weights.EVIDENCE_SUFFIX).write_bytes(content)
    recipe, _ = weights.load(weights_file)
    with pytest.raises(EncoderError, match=r"cannot be used .*run `monitor evaluate fit`"):
        weights.load_evidence(str(weights_file), recipe)


@pytest.mark.parametrize("metadata", [None, {"recipe": "x"}, {"recipe": "x", "numbers": "{}"}, {"recipe": "x", "numbers": "{"}])
def test_foreign_evidence_is_refused(weights_file: Path, metadata: dict[str, str] | None) -> None:
    path = weights_file.with_suffix(weights.EVIDENCE_SUFFIX)
    save_file({name: torch.ones(3) for name in ("knots", "nats", "cohort")}, path, metadata=metadata)
    recipe, _ = weights.load(weights_file)
    with pytest.raises(EncoderError, match="cannot be used"):
        weights.load_evidence(str(weights_file), recipe)


def test_installing_takes_along_what_lies_beside_and_refuses_to_overwrite(weights_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    folder.mkdir()
    weights_file.with_suffix(".md").write_text("card")
    written = weights.install(weights_file, "mine", folder=folder)
    assert [path.name for path in written] == ["mine.md", "mine.safetensors"]
    assert weights.load(folder / "mine.safetensors")[0] == weights.load(weights_file)[0]
    assert sorted(path.name for path in folder.iterdir()) == ["mine.md", "mine.safetensors"]
    weights.install(weights_file, "mine", folder=folder)
    weights.save(weights_file, RECIPE, TENSORS)
    with pytest.raises(EncoderError, match="another encoder is installed as 'mine'"):
        weights.install(weights_file, "mine", folder=folder)
    weights.install(weights_file, "mine", folder=folder, replace=True)
    assert weights.load(folder / "mine.safetensors")[0].name == "tiny"
    with pytest.raises(EncoderError, match="no encoder can be called 'auto'"):
        weights.install(weights_file, "auto", folder=folder)


def test_a_folder_that_cannot_be_written_is_said_so(weights_file: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be written"):
        weights.install(weights_file, "mine", folder=tmp_path / "missing")


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    """Return an encoder that has a network for the air."""
    path = tmp_path / "tiny.safetensors"
    weights.save_query(path.with_suffix(weights.QUERY_SUFFIX), weights.save(path, RECIPE, TENSORS), {"c": torch.zeros(4)})
    return path


def test_the_network_for_the_air_comes_back_and_leaves_the_recipe_as_it_is(heard: Path) -> None:
    recipe, _ = weights.load(heard)
    sha256, tensors = weights.load_query(str(heard), recipe)
    assert recipe.weights_sha256 == weights.digest(TENSORS)
    assert sha256 == weights.query_sha256(str(heard), recipe) == weights.digest({"c": torch.zeros(4)})
    assert torch.equal(tensors["c"], torch.zeros(4))
    assert sorted(one.name for one in heard.parent.iterdir()) == ["tiny.query", "tiny.safetensors"]
    heard.with_suffix(weights.QUERY_SUFFIX).unlink()
    assert weights.load_query(str(heard), recipe) == ("", {})


def test_a_network_for_the_air_of_another_encoder_is_refused(heard: Path) -> None:
    other = weights.save(heard, RECIPE, {"c": torch.ones(4)})
    with pytest.raises(
        EncoderError, match=r"tiny\.query was trained for another encoder \(\w{16}, not \w{16}\); install the encoder"
    ):
        weights.load_query(str(heard), other)


@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(100)])
def test_what_is_no_network_for_the_air_is_refused(heard: Path, content: bytes) -> None:
    heard.with_suffix(weights.QUERY_SUFFIX).write_bytes(content)
    with pytest.raises(EncoderError, match=r"tiny\.query is no network for the air of an encoder .*install the encoder again"):
        weights.query_sha256(str(heard), weights.load(heard)[0])


def test_a_damaged_network_for_the_air_is_refused(heard: Path) -> None:
    path = heard.with_suffix(weights.QUERY_SUFFIX)
    damage(path)
    with pytest.raises(EncoderError, match=r"tiny\.query is damaged: .*install the encoder again"):
        weights.load_query(str(heard), weights.load(heard)[0])


def test_installing_brings_the_network_for_the_air_and_takes_away_that_of_another_encoder(heard: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    folder.mkdir()
    assert [one.name for one in weights.install(heard, "tiny", folder=folder)] == ["tiny.query", "tiny.safetensors"]
    (tmp_path / "new").mkdir()
    new = tmp_path / "new" / "tiny.safetensors"
    weights.save(new, RECIPE, {"c": torch.ones(4)})
    weights.install(new, "tiny", replace=True, folder=folder)
    assert [one.name for one in folder.iterdir()] == ["tiny.safetensors"]


def test_another_network_for_the_air_is_another_encoder_and_comes_with_evidence_or_not_at_all(heard: Path, tmp_path: Path) -> None:
    folder, beside = tmp_path / "installed", heard.with_suffix(weights.EVIDENCE_SUFFIX)
    folder.mkdir()
    recipe, _ = weights.load(heard)
    weights.save_evidence(beside, replace(evidence(recipe), query=weights.query_sha256(str(heard), recipe)))
    weights.install(heard, "tiny", folder=folder)
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    sha256 = weights.save_query(heard.with_suffix(weights.QUERY_SUFFIX), recipe, {"c": torch.ones(4)})
    with pytest.raises(EncoderError, match="another encoder is installed as 'tiny'"):
        weights.install(heard, "tiny", folder=folder)
    beside.unlink()
    with pytest.raises(
        EncoderError, match=r"has no evidence beside it, .*first run `monitor evaluate fit --encoder .*tiny\.safetensors`"
    ):
        weights.install(heard, "tiny", folder=folder, replace=True)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before
    weights.save_evidence(beside, replace(evidence(recipe), query=sha256))
    weights.install(heard, "tiny", folder=folder, replace=True)
    installed = str(folder / "tiny.safetensors")
    assert weights.load_evidence(installed, recipe, weights.query_sha256(installed, recipe)).query == sha256


def test_installing_mends_what_is_damaged(heard: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    folder.mkdir()
    weights.install(heard, "tiny", folder=folder)
    damage(folder / "tiny.safetensors")
    weights.install(heard, "tiny", folder=folder)
    for name in ("tiny.safetensors", "tiny.query"):
        (folder / name).write_bytes(b"cut short")
        with pytest.raises(EncoderError, match=r"what is installed as 'tiny' is damaged .*, or say --replace"):
            weights.install(heard, "tiny", folder=folder)
        weights.install(heard, "tiny", folder=folder, replace=True)
    recipe = weights.load(folder / "tiny.safetensors")[0]
    assert weights.load_query(str(folder / "tiny.safetensors"), recipe)[0]


def test_whatever_lies_beside_an_encoder_is_packaged() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    suffixes = {f"**/*{suffix}" for suffix in (".safetensors", ".md", ".classes", weights.QUERY_SUFFIX, weights.EVIDENCE_SUFFIX)}
    assert suffixes <= set(project["tool"]["setuptools"]["package-data"]["monitor"])
