"""`python -m tests.ablation`: what each part of the degradation and each choice of the recipe `compact` is worth.

Every variant is trained on one core for as many steps, from the same random weights and on the same recordings in the same order;
what has another network, for as many minutes as `compact` took, so the machine had better be quiet. Fades, ducking and other music
underneath are left in everywhere. All answer the same queries (`monitor evaluate retrieval`, protocol nmfp, no padding). What is
done is kept in the folder and not done again, so a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from monitor.encoder.engine import load_encoder
from monitor.evaluate.protocols import Bench, Wanted
from monitor.train import recipe
from monitor.train.data import default_cache
from monitor.train.loop import Run
from monitor.train.recipe import TrainingRecipe

OURS, PUBLISHED = recipe.read("compact")[0], recipe.read("nmfp")[0]
WIDTH = "nmfp-quarter"
"""The published network as wide as a CPU carries it: with all its channels a step takes a minute of one core."""


def _chain(**what: float) -> TrainingRecipe:
    return replace(OURS, chain=replace(OURS.chain, **what))  # type: ignore[arg-type]


def _training(**what: Any) -> TrainingRecipe:
    return replace(OURS, training=replace(OURS.training, **what))


VARIANTS: Mapping[str, TrainingRecipe] = {
    "compact": OURS,
    "no-voice": _chain(voice=0.0),
    "no-noise": _chain(noise=0.0),
    "no-room": _chain(room=0.0),
    "no-speed": replace(OURS, positives=replace(OURS.positives, speed_share=0.0)),
    "no-station": _chain(compress=0.0, limit=0.0, equalise=0.0, band=0.0, clip=0.0, device=0.0),
    "no-mask": _training(mask=0.0),
    "nt-xent": _training(loss="nt-xent"),
    "nmfp-chain": replace(OURS, chain=PUBLISHED.chain, positives=replace(PUBLISHED.positives, count=1)),
    "nmfp-recipe": replace(PUBLISHED, network=WIDTH),
}
"""By what is left out or put in its place. `no-station` has no compressor, limiter, equaliser, band limits, devices or clipping;
`nmfp-chain` is degraded as published, all else is ours; `nmfp-recipe` is all as published but for the width of its network."""


def _say(name: str) -> Callable[[str], None]:
    return lambda line: print(name, line, flush=True)


def _done(out: Path) -> dict[str, Any]:
    """Return the last line of a run's log: its steps, minutes and windows."""
    found: dict[str, Any] = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    return found


def _train(name: str, out: Path, steps: int) -> None:
    wanted = {"steps": steps, "minutes": 0.0}
    if VARIANTS[name].network != OURS.network:
        wanted = {"steps": 0, "minutes": _done(out / "compact")["minutes"]}
    one = VARIANTS[name]
    chosen = replace(one, name=name, training=replace(one.training, **wanted, validate_minutes=60.0))  # type: ignore[arg-type]
    Run(chosen, default_cache(), out / name, "cpu").train(_say(name))


def main() -> None:
    """Train what is not there yet, then measure all that was asked for."""
    parser = argparse.ArgumentParser(prog="tests.ablation", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out/ablation"))
    parser.add_argument("--steps", type=int, default=600, help="about ten minutes of one core each (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT", help=", ".join(VARIANTS))
    parser.add_argument("--train-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = {name: arguments.out / name / f"{name}.safetensors" for name in ("compact", *arguments.only)}
    for name, file in files.items():
        if not file.exists():
            _train(name, arguments.out, arguments.steps)
        done = _done(file.parent)
        if VARIANTS[name].network == OURS.network and done["step"] != arguments.steps:
            parser.error(f"{file} was trained for {done['step']} steps: name another --out, or --steps {done['step']}")
        print(f"{name}: {done['step']} steps, {done['windows']:,} windows, {done['minutes']:.1f} minutes", flush=True)
    if arguments.train_only:
        return
    cache = default_cache()
    wanted = Wanted(
        cache=cache,
        out=arguments.out,
        protocols=["nmfp"],
        conditions=[],
        tracks=120,
        padding=0,
        seed=1,
        search=torch.device("cpu"),
    )
    engines = {name: load_encoder(str(file), "cpu") for name, file in files.items()}
    Bench({name: (engine, engine) for name, engine in engines.items()}, wanted, print).measure()
    for engine in engines.values():
        for kept in (cache / "fingerprints").glob(f"{engine.recipe.hash}-*"):
            kept.unlink()


if __name__ == "__main__":
    main()
