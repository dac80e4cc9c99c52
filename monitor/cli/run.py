"""`monitor run`: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("run", help="monitor the streams of config.toml until stopped", description=__doc__)
    parser.add_argument("-c", "--config", type=Path, default=Path("config.toml"), help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon."""
    from monitor import app

    app.run(arguments.config)
    return 0
