"""`monitor demo`: see the monitor work, in real time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="see it work: two simulated stations, about three minutes", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="let the stations go on until Ctrl-C")
    parser.add_argument("--folder", type=Path, default=Path("demo-out"), help="work folder, kept afterwards (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 only if all was found, at the right times, and nothing false was said."""
    from monitor.demo.show import show

    return show(arguments.folder, keep=arguments.keep)
