"""What every test may ask for.

`need` is how a test names a neighbour: a program that must be on this machine. Where it is missing the test is skipped on a desk
and fails in CI (CI=true in the environment), so that nothing is quietly left out there.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("monitor", deadline=None)  # how long an example takes is the machine's business, not the test's
settings.load_profile("monitor")

_ALSO = ("/usr/sbin", "/sbin", "/usr/local/sbin")
"""Debian keeps servers where a user's PATH does not look."""


def find(program: str) -> Path | None:
    """Return where `program` is, or None."""
    found = shutil.which(program) or shutil.which(program, path=os.pathsep.join(_ALSO))
    return Path(found) if found else None


@pytest.fixture
def need() -> Callable[[str], Path]:
    """Return a function that finds a program, and skips (on a desk) or fails (in CI) where it is missing."""

    def ask(program: str) -> Path:
        found = find(program)
        if found is None:
            text = f"{program} is not installed; `make test` installs it"
            if os.environ.get("CI") == "true":
                pytest.fail(text)
            pytest.skip(text)
        return found

    return ask


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that names a port nobody listens on."""

    def ask() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    return ask
