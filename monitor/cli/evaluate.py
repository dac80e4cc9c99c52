"""`monitor evaluate`: how well it recognises, on audio it was not trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser("evaluate", help="measure recognition, or fit the evidence to an encoder", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    one = actions.add_parser("fit", help="fit what a similarity says to an encoder, on the validation and the train split")
    one.add_argument("--encoder", default="compact", help="an installed encoder, or a .safetensors file (default: %(default)s)")
    one.add_argument("--out", type=Path, help="file to write (default: beside the weights)")
    one.set_defaults(run=fit)
    _common(one)

    one = actions.add_parser("identify", help="queries of known and unknown recordings through the pipeline, public-test split")
    one.add_argument(
        "--out", type=Path, default=Path("evaluation"), help="folder for the catalogue and the table (default: %(default)s)"
    )
    one.add_argument("--encoder", default="compact", help="an installed encoder, or a .safetensors file (default: %(default)s)")
    one.add_argument("--seconds", type=float, default=30.0, help="length of a query (default: %(default)s)")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--conditions", nargs="*", help="only these (default: all)")
    one.set_defaults(run=identify)
    _common(one)

    one = actions.add_parser("retrieval", help="the papers' protocols for any encoders side by side, public-test split")
    one.add_argument(
        "--encoder", nargs="+", default=["compact"], help="installed encoders, or .safetensors files (default: compact)"
    )
    one.add_argument("--out", type=Path, default=Path("evaluation"), help="folder for the tables (default: %(default)s)")
    one.add_argument(
        "--protocols",
        nargs="+",
        default=["nmfp"],
        choices=("nmfp", "snr", "distortions", "codes", "padding"),
        help="which (default: nmfp, seven minutes on two quiet cores)",
    )
    one.add_argument("--conditions", nargs="*", default=[], help="only these (default: all)")
    one.add_argument("--tracks", type=int, default=120, help="recordings looked for, six starts each (default: %(default)s)")
    one.add_argument("--padding", type=int, default=1_000_000, help="made fingerprints beside the real (default: %(default)s)")
    one.add_argument(
        "--recordings", type=Path, help="a .tsv of recording and reference files: majority vote, given such recordings"
    )
    one.add_argument("--seed", type=int, default=1)
    one.set_defaults(run=retrieval)
    _common(one)

    one = actions.add_parser("broadcast", help="station-hours with exact truth through the pipeline: the broadcast benchmark")
    one.add_argument(
        "--out", type=Path, default=Path("broadcast"), help="folder for the page; kept work is used again (default: %(default)s)"
    )
    one.add_argument(
        "--split", default="public-test", help="validation, public-test, or demo: a dozen shipped clips (default: %(default)s)"
    )
    one.add_argument("--hours", type=float, default=4.0, help="station-hours of all conditions together (default: %(default)s)")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--conditions", nargs="*", default=(), help="only these, each as long as in a whole run (default: all)")
    one.add_argument(
        "--unknown-hours", type=float, help="station-hours of unknown audio, 24 for the false-alarm budget (default: its share)"
    )
    one.add_argument("--catalogue", type=int, default=1000, help="recordings in it, impostors included (default: %(default)s)")
    one.add_argument(
        "--larger",
        type=int,
        nargs="*",
        help="search the unknown in catalogues of so many too (default: 3000 10000; 100000 takes 15 GB of disk and an hour)",
    )
    one.add_argument("--encoder", default="compact", help="an installed encoder, or a .safetensors file (default: %(default)s)")
    one.set_defaults(run=broadcast)
    _common(one)

    one = actions.add_parser("classes", help="music, speech or noise: how often right, public-test split; or fit it anew")
    one.add_argument("--fit", action="store_true", help="train on the train split first (minutes), and keep the network")
    one.add_argument("--encoder", default="compact", help="an installed encoder, or a .safetensors file (default: %(default)s)")
    one.add_argument("--split", default="public-test", choices=("validation", "public-test"))
    one.add_argument("--seed", type=int, default=1)
    one.set_defaults(run=classes)
    _common(one)

    one = actions.add_parser("clock", help="the clock of streams against the truth, over simulated days")
    one.add_argument("--hours", type=float, default=60.0, help="(default: %(default)s)")
    one.add_argument("--seed", type=int, default=1)
    one.set_defaults(run=clock)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache", type=Path, help="folder of fetched audio, see `monitor train --fetch-only` (default: ~/.cache/monitor)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def fit(arguments: argparse.Namespace) -> int:
    """Fit the evidence."""
    from monitor.encoder import weights
    from monitor.encoder.engine import load_encoder
    from monitor.evaluate.fit import fit as fit_evidence
    from monitor.train.data import default_cache

    hearing, storing = (load_encoder(arguments.encoder, arguments.device, stored=stored) for stored in (False, True))
    fitted = fit_evidence(arguments.cache or default_cache(), hearing, storing, print)
    path = arguments.out or weights.find(arguments.encoder).with_suffix(weights.EVIDENCE_SUFFIX)
    weights.save_evidence(path, fitted.evidence)
    unknown = f"{sum(rung.told for rung in fitted.tail.rungs)} plays of unknown audio"
    print(f"{path}: from {fitted.same} true pairs, {unknown}, {fitted.told_right + fitted.told_wrong} plays")
    return 0


def identify(arguments: argparse.Namespace) -> int:
    """Measure."""
    from monitor.evaluate.identify import measure
    from monitor.settings import EncoderSettings
    from monitor.train.data import default_cache

    cache = arguments.cache or default_cache()
    encoder = EncoderSettings(name=arguments.encoder, device=arguments.device)
    table = measure(cache, arguments.out, encoder, arguments.seconds, arguments.seed, arguments.conditions, print)
    print(table)
    return 0


def retrieval(arguments: argparse.Namespace) -> int:
    """Run the papers' protocols."""
    from monitor.encoder.engine import load_encoder, pick_device
    from monitor.evaluate.protocols import Bench, Wanted, told_apart
    from monitor.train.data import default_cache

    engines = {
        shown: (load_encoder(name, arguments.device), load_encoder(name, arguments.device, stored=True))
        for shown, name in told_apart(arguments.encoder).items()
    }
    wanted = Wanted(
        cache=arguments.cache or default_cache(),
        out=arguments.out,
        protocols=arguments.protocols,
        conditions=arguments.conditions,
        tracks=arguments.tracks,
        padding=arguments.padding,
        seed=arguments.seed,
        search=pick_device(arguments.device),
        recordings=arguments.recordings,
    )
    Bench(engines, wanted, print).measure()
    return 0


def broadcast(arguments: argparse.Namespace) -> int:
    """Run the broadcast benchmark."""
    from monitor.errors import ConfigError
    from monitor.evaluate.broadcast.material import DEMO
    from monitor.evaluate.broadcast.measure import measure
    from monitor.evaluate.broadcast.page import LARGER, Wish
    from monitor.evaluate.broadcast.plan import CONDITIONS
    from monitor.train.data import default_cache

    unheard = [name for name in arguments.conditions if name not in CONDITIONS]
    if unheard:
        raise ConfigError(f"no such condition: {', '.join(unheard)}; there are: {', '.join(CONDITIONS)}")
    usual = () if arguments.split == DEMO else LARGER  # a dozen clips say nothing of so many
    wish = Wish(
        split=arguments.split,
        hours=arguments.hours,
        seed=arguments.seed,
        conditions=arguments.conditions,
        unknown_hours=arguments.unknown_hours,
        recordings=arguments.catalogue,
        larger=arguments.larger if arguments.larger is not None else usual,
        encoder=arguments.encoder,
        device=arguments.device,
    )
    print(measure(arguments.cache or default_cache(), arguments.out, wish, lambda line: print(line, flush=True)))
    print(f"{arguments.out}/broadcast.md: this page; beside it its pictures, readme.md, failures.txt and broadcast.json")
    return 0


def classes(arguments: argparse.Namespace) -> int:
    """Fit, or measure, or both."""
    from monitor.encoder import sounds, weights
    from monitor.encoder.engine import load_encoder
    from monitor.evaluate.classes import cost, fit, measure
    from monitor.train.data import default_cache

    cache = arguments.cache or default_cache()
    if arguments.fit:
        recipe, _ = weights.load(weights.find(arguments.encoder))
        fitted = fit(cache, recipe, arguments.seed, print)
        path = sounds.path_of(arguments.encoder)
        sounds.save(path, fitted.network, recipe)
        print(f"{path}: {fitted.steps} steps in {fitted.took_s:.0f} s, {100 * fitted.right:.1f} % of validation windows right")
    engine = load_encoder(arguments.encoder, arguments.device, music=True)
    print(measure(cache, arguments.split, engine))
    print(cost(engine, load_encoder(arguments.encoder, arguments.device)))
    return 0


def clock(arguments: argparse.Namespace) -> int:
    """Measure."""
    from monitor.evaluate.clock import table

    print(table(arguments.hours, arguments.seed))
    return 0
