"""A training run on disk: how far it is, and all that is needed to go on.

Knows the file. A save that fails leaves the one before; a run of another recipe is told apart, not taken up.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from monitor.errors import ConfigError, EncoderError, Transient
from monitor.train.recipe import TrainingRecipe

NAME = "checkpoint.pt"
MAY_CHANGE = ("minutes", "steps", "validate_minutes")
"""Of `[training]`: what may be another when a run is taken up again. With anything else changed it would be two runs in one."""
ADDED: dict[str, Any] = {"training.held": [], "training.rivals": 100_000}
"""Fields of a recipe that older checkpoints lack, and what they would have had there."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is; stored with every checkpoint."""

    step: int = 0
    spent_s: float = 0.0
    windows: int = 0
    started_from: str = ""
    """SHA-256 of the weights it began with, of more than one with blanks between; empty: random ones."""
    log: list[dict[str, Any]] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)
    """What it ran on, in order; empty in checkpoints that are older than this field."""
    banks: int = 0
    """Banks of coded recordings that the last part of it read from."""


class NotSaved(Transient):
    """The run could not be saved; what was saved before stands. Make room, then run the same command again."""


def save(out: Path, recipe: TrainingRecipe, network: torch.nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the run into its folder, whole or not at all.

    Raises:
        NotSaved: The disk is full, or cannot be written.
    """
    path = out / NAME
    partial = path.with_suffix(".partial")
    try:
        torch.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "progress": asdict(progress),
                "recipe": _kept(recipe),
            },
            partial,
        )
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
        partial.unlink(missing_ok=True)
        before = "what was saved before stands" if path.exists() else "nothing was saved before"
        raise NotSaved(f"{path} cannot be written ({error}): {before}; run the same command again") from error


def load(
    out: Path, recipe: TrainingRecipe, network: torch.nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> Progress | None:
    """Fill network and optimizer from what lies in the folder; return how far the run is, or None where there is none.

    Raises:
        EncoderError: What lies there is no checkpoint.
        ConfigError: It is one of another recipe.
    """
    path = out / NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        progress, kept = Progress(**state["progress"]), state.get("recipe")
        weights, steps = state["network"], state["optimizer"]
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{path} is no checkpoint, or damaged: move it away, or name another --out") from error
    wanted = _kept(recipe)
    if kept is not None and (kept := ADDED | kept) != wanted:
        changed = ", ".join(sorted(name for name in kept.keys() | wanted.keys() if kept.get(name) != wanted.get(name)))
        raise ConfigError(f"{out} holds a run of another recipe ({changed} differ): name another --out")
    try:
        network.load_state_dict(weights)
        optimizer.load_state_dict(steps)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(f"{out} holds a run of another network or optimizer: name another --out") from error
    return progress


def _kept(recipe: TrainingRecipe) -> dict[str, Any]:
    """Return all of a recipe that must be the same when its run is taken up again, `section.field` by value, as JSON has it."""
    told: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    flat = {
        f"{section}.{name}" if name else section: value
        for section, content in told.items()
        for name, value in (content.items() if isinstance(content, dict) else (("", content),))
    }
    return {name: value for name, value in flat.items() if name not in {f"training.{one}" for one in MAY_CHANGE}}
