"""The neighbours of the daemon: started for a story, gone after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.box import LISTED, Broker, Daemon, Listener, Radio, monitor

ON_AIR = ("paniq-progression.opus", "jordan-trudgett-castle.opus")
"""In the catalogue of every story."""


@pytest.fixture(scope="session")
def made_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue as a user makes it."""
    folder = tmp_path_factory.mktemp("catalogue") / "catalog"
    done = monitor("catalog", "add", "--catalog", folder, "--jobs", 1, *(LISTED / name for name in ON_AIR))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def catalogue(made_catalogue: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed at will."""
    return Path(shutil.copytree(made_catalogue, tmp_path / "catalog"))


@pytest.fixture
def radio(need: Callable[[str], Path]) -> Iterator[Radio]:
    need("ffmpeg")
    made = Radio()
    yield made
    made.close()


@pytest.fixture
def broker(need: Callable[[str], Path], tmp_path: Path) -> Iterator[Broker]:
    made = Broker(need("mosquitto"), tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


@pytest.fixture
def daemon(tmp_path: Path, catalogue: Path, broker: Broker) -> Iterator[Daemon]:
    """Not yet started, without streams."""
    made = Daemon(tmp_path, catalogue=catalogue, broker_port=broker.port, streams={})
    yield made
    made.kill()
