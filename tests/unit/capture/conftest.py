"""Short recordings made by ffmpeg itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a recording: `make(name, *output options, source=lavfi)`."""
    folder = tmp_path_factory.mktemp("recordings")

    def _make(name: str, *options: str, source: str = "sine=440:d=3:r=44100") -> Path:
        path = folder / name
        if not path.exists():
            command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, *options, str(path)]
            subprocess.run(command, check=True, timeout=20)
        return path

    return _make
