"""A network with random weights, on disk as an encoder is shipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """A handful of windows is done sooner by one thread than by many that wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    recipe = Recipe(name="random", dim=16)
    path = tmp_path_factory.mktemp("encoder") / "random.safetensors"
    weights.save(path, recipe, dict(networks.build(recipe).state_dict()))
    return path


@pytest.fixture
def weights_file(made: Path, tmp_path: Path) -> Path:
    """Return a file of one's own: a test may harm it."""
    return Path(shutil.copy(made, tmp_path))
