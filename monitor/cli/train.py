"""`monitor train`: fetch the audio, train an encoder, or what hears the air for one."""

from __future__ import annotations

import argparse
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.errors import ConfigError

CARRIED = tuple(f"{split}-{kind}" for split in ("train", "validation") for kind in ("music", "speech", "noise", "ir"))
BAG_MB = 58.0
"""What is carried to the machine in the cloud that we use may be 64 MiB, the code included."""


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("train", help="train an encoder from free audio", description=__doc__)
    parser.add_argument("--recipe", default="compact", help="a shipped recipe, or a .toml file (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, help="folder of the run: checkpoint, log, weights (default: train-NAME); taken up again if there"
    )
    parser.add_argument("--cache", type=Path, help="folder for fetched and packed audio (default: ~/.cache/monitor)")
    parser.add_argument(
        "--start-from",
        nargs="+",
        default=(),
        metavar="ENCODER",
        help="begin a new run with the weights of this encoder, a name or a file; `large` with those of one compact, or "
        "of two, the second trained by recipe `fine`; `compact-air` and `large-air` with the encoder that they are for, and, "
        "named second, with what hears the air already: for that encoder (`large large`), or for the one that the first tower of "
        "`large` is (`large compact`)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="files decoded at a time (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="train so long instead of as long as the recipe says")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--fetch-only", action="store_true", help="fetch, decode and pack the audio, then stop")
    only.add_argument(
        "--parcel", type=Path, metavar="DIR", help="write what training needs, small, in bags of 58 MB, to be carried; then stop"
    )
    only.add_argument("--unparcel", type=Path, metavar="DIR", help="unpack the bags that are there into the cache; then stop")
    only.add_argument("--packed", action="store_true", help="fetch nothing: train on what is packed")
    parser.add_argument("--midi-hours", type=float, default=0.0, metavar="H", help="play so many hours of MIDI with SoundFonts too")
    parser.add_argument(
        "--codecs", type=int, default=0, metavar="N", help="prepare N banks of recordings after a codec, an hour of a core each"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, or only fetch."""
    from monitor.train import codecs, data, loop, midi, parcel, recipe, report

    if arguments.minutes is not None and arguments.minutes <= 0:
        raise ConfigError("--minutes must be above 0")
    chosen, text = recipe.read(arguments.recipe)
    cache = arguments.cache or data.default_cache()
    if arguments.parcel:
        parcel.pack(cache, arguments.parcel, CARRIED, BAG_MB, arguments.jobs, print)
        return 0
    if arguments.unparcel:
        missing = parcel.unpack(arguments.unparcel, cache, arguments.jobs, print)
        print(f"still missing: {', '.join(missing)}" if missing else "complete: train with --packed")
        return int(bool(missing))
    if arguments.midi_hours and not arguments.packed:
        midi.prepare(cache, "train", arguments.midi_hours, print)
    if not arguments.packed:
        data.prepare(cache, ("train", "validation", "public-test"), data.KINDS, arguments.jobs, print)
    for number in range(arguments.codecs):
        codecs.make_bank(cache, number, print)
    if arguments.fetch_only:
        return 0
    if arguments.minutes is not None:
        chosen = replace(chosen, training=replace(chosen.training, minutes=arguments.minutes, steps=0))
        text = f"# Trained with --minutes {arguments.minutes:g}, whatever [training] says of minutes and steps.\n{text}"
    out = arguments.out or Path(f"train-{chosen.name}")
    started = loop.Run(chosen, cache, out, arguments.device, arguments.start_from)
    if chosen.positives.coded_share and not started.progress.banks:
        print("no recordings after a codec are prepared, or others than are packed (--codecs 1): none will be heard")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: started.stop())
    path = started.train(print)
    report.write(out, path, text, started.progress, cache, for_the_air=chosen.for_the_air)
    print(f"{path}: beside it the model card, the log and the curve")
    return 0
