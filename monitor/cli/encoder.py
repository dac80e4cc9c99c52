"""`monitor encoder`: which encoders there are, what one is, and how another comes to be installed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser("encoder", help="list, inspect and install encoders", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    one = actions.add_parser("list", help="the installed encoders, a line each")
    one.set_defaults(run=list_installed)

    one = actions.add_parser("info", help="all that fixes what an encoder's fingerprints mean")
    one.add_argument(
        "encoder", nargs="?", default="compact", help="an installed encoder, or a .safetensors file (default: %(default)s)"
    )
    one.set_defaults(run=info)

    one = actions.add_parser("install", help="check a .safetensors file of `monitor train` and install it by name")
    one.add_argument("file", type=Path, help="the file; its .query, .evidence and cards are taken along where they lie beside it")
    one.add_argument("--name", help="call it so (default: the name in its recipe)")
    one.add_argument(
        "--replace",
        action="store_true",
        help="in place of another of that name, or of a damaged one; catalogues of one with another recipe no longer fit",
    )
    one.set_defaults(run=install)


def list_installed(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - what every command's function takes
    """Print name, network, recipe hash and what is missing."""
    from monitor.encoder import weights
    from monitor.errors import EncoderError

    for path in weights.installed():
        recipe, tensors = weights.load(path)
        numbers = sum(tensor.numel() for tensor in tensors.values())
        query, lacking = weights.query_sha256(path.stem, recipe), ""
        air = ", another for the air" if query else ""
        try:
            weights.load_evidence(path.stem, recipe, query)
        except EncoderError:
            lacking = ", no evidence that fits: run monitor evaluate fit"
        print(f"{path.stem}: network {recipe.network}, {numbers / 1e6:.1f} M numbers, recipe {recipe.hash}{air}{lacking}")
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print the recipe, the engine and the files."""
    from monitor.encoder import weights
    from monitor.encoder.engine import load_encoder

    path = weights.find(arguments.encoder)
    engine = load_encoder(arguments.encoder, "auto")
    print(f"file: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    for name, suffix in (
        ("card", ".md"),
        ("network for the air", weights.QUERY_SUFFIX),
        ("its card", weights.QUERY_CARD_SUFFIX),
        ("evidence", weights.EVIDENCE_SUFFIX),
    ):
        beside = path.with_suffix(suffix)
        print(f"{name}: {beside if beside.is_file() else 'none'}")
    print(f"runs here: on {engine.device} through {engine.runtime}")
    print(f"recipe hash: {engine.recipe.hash}")
    print(f"weights that hear the air: {engine.air}")
    for name, value in asdict(engine.recipe).items():
        print(f"{name}: {value}")
    return 0


def install(arguments: argparse.Namespace) -> int:
    """Load the encoder to see that it is one, then copy it."""
    from monitor.encoder import weights
    from monitor.encoder.engine import load_encoder
    from monitor.errors import EncoderError

    engine = load_encoder(str(arguments.file), "cpu", runtime="torch")
    name = arguments.name or engine.recipe.name
    written = weights.install(arguments.file, name, replace=arguments.replace)
    for path in written:
        print(path)
    if not written:
        print(f"{name} is installed already")
    try:
        weights.load_evidence(name, engine.recipe, engine.query)
    except EncoderError:
        print(f"without evidence that fits it cannot tell plays yet: monitor evaluate fit --encoder {name}")
    return 0
