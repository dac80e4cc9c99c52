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


def wait_without_spinning() -> None:
    """Keep the threads under torch and numpy from spinning while they wait; to be called before either is loaded.

    They share their cores with decoders. Where a core was taken, OpenMP's threads spun for it: encoding one window on two threads
    took 425 ms instead of 2.6 ms. numpy's products here are small and every stage has its thread, so OpenBLAS needs none of its
    own; with twenty stations those spun for two thirds of the daemon's CPU. What a user has set in the environment stands.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
