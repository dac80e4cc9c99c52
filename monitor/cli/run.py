"""`monitor run`: the daemon."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("run", help="monitor the streams of config.toml until stopped", description=__doc__)
    parser.add_argument("-c", "--config", type=Path, default=Path("config.toml"), help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon."""
    # Until the daemon takes it: a reload sent while PyTorch is still being loaded must not end it, and has nothing to reload yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from monitor import app

    app.run(arguments.config)
    return 0
