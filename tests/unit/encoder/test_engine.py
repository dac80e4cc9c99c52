"""The engine gives each window its fingerprint, whatever the batch; what cannot be used is refused with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights
from monitor.encoder.engine import BATCH_SIZES, Engine, choose, load_encoder, pick_device
from monitor.encoder.features import LogMel
from monitor.errors import EncoderError


def windows(count: int, seed: int = 0) -> np.ndarray:
    return (0.2 * np.random.default_rng(seed).standard_normal((count, 8000))).astype(np.float32)


@pytest.fixture(scope="module")
def engine(made: Path) -> Engine:
    return load_encoder(str(made), "cpu")


def test_fingerprints_are_unit_vectors(engine: Engine) -> None:
    vectors = engine.encode(windows(3))
    assert (vectors.shape, vectors.dtype) == ((3, 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_it_is_the_network_over_the_features(engine: Engine, weights_file: Path) -> None:
    recipe, tensors = weights.load(weights_file)
    network = networks.build(recipe).eval()
    network.load_state_dict(tensors)
    with torch.inference_mode():
        plain = network(LogMel(recipe)(torch.from_numpy(windows(3)))).numpy()
    assert (np.einsum("nd,nd->n", engine.encode(windows(3)), plain) > 0.999).all()  # half precision where the CPU has it


@pytest.mark.parametrize(("network", "fine_bins"), [("compact", 0), ("large", 128), ("nmfp", 0)])
def test_openvino_gives_what_torch_gives(tmp_path: Path, network: str, fine_bins: int) -> None:
    """The networks ours are built of, and the published one with its norms; it is installed wherever the tests run."""
    torch.manual_seed(1)
    recipe = Recipe(name=network, network=network, fine_bins=fine_bins)
    path = tmp_path / f"{network}.safetensors"
    weights.save(path, recipe, dict(networks.build(recipe).state_dict()))
    plain, fast = (load_encoder(str(path), "cpu", threads=1, runtime=runtime) for runtime in ("torch", "openvino"))
    assert (plain.runtime, fast.runtime) == ("torch", "openvino")
    vectors = fast.encode(windows(3))
    assert (np.einsum("nd,nd->n", vectors, plain.encode(windows(3))) > 0.999).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert not np.allclose(vectors[0], fast.encode(windows(4, seed=2))[0])


def test_openvino_tells_nobody_that_it_is_used(tmp_path: Path, weights_file: Path) -> None:
    # Imported, it told its makers over the internet, out of a forked child that the exit of the daemon waited for: 225 s, once.
    load = f"from monitor.encoder.engine import load_encoder\nload_encoder({str(weights_file)!r}, 'cpu', 1, runtime='openvino')\n"
    say = "import sys\nprint([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    environ = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", load + say], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not (tmp_path / "intel").exists()  # where it counts how often it was used


@pytest.mark.parametrize("count", [2, 5, 17])
def test_a_window_does_not_depend_on_its_batch(engine: Engine, count: int) -> None:
    together = engine.encode(windows(count))
    for at in {0, count // 2, count - 1}:
        assert together[at] @ engine.encode(windows(count)[at : at + 1])[0] > 0.999


def test_more_than_the_largest_batch_is_cut_and_joined_in_order(weights_file: Path) -> None:
    """A network that hands on the first bins of its features: no time is lost on a real one."""

    class First(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            seen.append(len(features))
            return torch.nn.functional.normalize(features[:, 0, :16, 4], dim=1)

    seen: list[int] = []
    recipe, _ = weights.load(weights_file)
    engine = Engine(recipe, First(), torch.device("cpu"), runtime="torch")
    count = BATCH_SIZES[-1] + 3
    every = windows(count)
    got = engine.encode(every)
    assert seen == [BATCH_SIZES[-1], 4]
    np.testing.assert_allclose(got[[0, 255, 256, 258]], engine.encode(every[[0, 255, 256, 258]]), atol=1e-5)


@pytest.mark.parametrize(("count", "shape"), [(1, 1), (3, 4), (4, 4), (9, 16), (64, 64), (65, 96), (193, 256)])
def test_the_device_sees_fixed_shapes_only(weights_file: Path, count: int, shape: int) -> None:
    class Shape(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            seen.append(len(features))
            return features[:, 0, :16, 0]

    seen: list[int] = []
    recipe, _ = weights.load(weights_file)
    assert Engine(recipe, Shape(), torch.device("cpu"), runtime="torch").encode(windows(count)).shape == (count, 16)
    assert seen == [shape]


def test_what_is_stored_stays_and_what_is_heard_goes_through_the_network_for_the_air(engine: Engine, weights_file: Path) -> None:
    recipe, _ = weights.load(weights_file)
    other = networks.build(recipe).state_dict()
    sha256 = weights.save_query(weights_file.with_suffix(weights.QUERY_SUFFIX), recipe, dict(other))
    storing, hearing = (load_encoder(str(weights_file), "cpu", stored=stored) for stored in (True, False))
    assert (storing.query, hearing.query) == ("", sha256)
    assert storing.recipe == hearing.recipe == engine.recipe
    np.testing.assert_array_equal(storing.encode(windows(3)), engine.encode(windows(3)))
    weights.save(weights_file, recipe, dict(other))
    weights_file.with_suffix(weights.QUERY_SUFFIX).unlink()
    np.testing.assert_array_equal(hearing.encode(windows(3)), load_encoder(str(weights_file), "cpu").encode(windows(3)))
    assert f"for the air {sha256[:16]}," in repr(hearing)


def test_no_windows_no_fingerprints(engine: Engine) -> None:
    assert engine.encode(np.zeros((0, 8000), np.float32)).shape == (0, 16)


def test_silence_has_a_fingerprint(engine: Engine) -> None:
    assert np.isfinite(engine.encode(np.zeros((2, 8000), np.float32))).all()


def test_it_says_which_encoder_runs_where(engine: Engine) -> None:
    assert repr(engine) == f"Engine(random, recipe {engine.recipe.hash}, cpu, {engine.runtime})"
    assert engine.recipe.dim == 16


def test_auto_is_the_encoder_that_made_the_catalogue_or_else_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def unasked() -> Recipe:
        raise AssertionError

    assert choose("mine", "cpu", unasked) == "mine"
    for path in weights.installed():
        assert choose("auto", "cpu", partial(replace, weights.read_recipe(path), name="renamed")) == path.stem
    with pytest.raises(EncoderError, match=r"no installed encoder made .*'gone', recipe .*: name the .safetensors file"):
        choose("auto", "cpu", lambda: Recipe(name="gone"))
    assert choose("auto", "cpu", lambda: Recipe(name="gone"), anew=True) == "compact"
    assert choose("auto", "auto", lambda: None) == ("large" if torch.cuda.is_available() else "compact")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert [choose("auto", device, lambda: None) for device in ("auto", "cuda:0", "cpu")] == ["large", "large", "compact"]
    assert choose("auto", "cuda", lambda: Recipe(name="gone"), anew=True) == "large"
    with pytest.raises(EncoderError, match="this machine has 1 CUDA devices"):
        choose("auto", "cuda:1", lambda: None)
    assert {"large", "compact"} <= {path.stem for path in weights.installed()}


def test_auto_passes_over_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "INSTALLED", tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    sealed = weights.save(tmp_path / "whole.safetensors", Recipe(name="whole"), {"w": torch.ones(3)})
    assert choose("auto", "cpu", lambda: sealed) == "whole"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    weights.save(path, Recipe(name="odd"), {"w": torch.ones(3)})
    with pytest.raises(EncoderError, match="does not fit network 'compact'; install it again"):
        load_encoder(str(path), "cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
def test_what_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(EncoderError, match="is no device: use auto, cpu, cuda or cuda:N"):
        pick_device(device)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"'cuda:99' asked for, but this machine has \d+ CUDA devices"):
        pick_device("cuda:99")


def test_auto_takes_what_is_there() -> None:
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == torch.device("cpu")
