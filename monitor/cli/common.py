"""What several commands need to make of their arguments."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.settings import Settings


def add_catalog_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which catalogue and which encoder."""
    parser.add_argument(
        "--catalog", type=Path, metavar="DIR", help="the catalogue's folder (default: [catalog] path of the config)"
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="config.toml: where the catalogue is, which encoder")


def settings_and_catalog(arguments: argparse.Namespace) -> tuple[Settings, Path]:
    """Return the settings and the catalogue's folder that these arguments ask for."""
    from monitor.settings import Settings

    settings = Settings()
    if arguments.config is not None:
        from monitor import config

        settings = config.load(arguments.config)
    return settings, arguments.catalog or settings.catalog.path


def one_thread_for_small_products() -> None:
    """Keep OpenBLAS, which is under numpy, from starting threads of its own; to be called before numpy is loaded.

    The products here are small and every stage has its thread; OpenBLAS' threads would wait for each other, spinning. With twenty
    stations on two busy cores that was two thirds of the daemon's CPU. A user's own OPENBLAS_NUM_THREADS stands.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
