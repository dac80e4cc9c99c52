"""A training recipe: which network, on what, for how long. A TOML file, shipped in `recipes/` or the user's own.

Knows the file. Knows nothing of how any of it is done.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from monitor.core.recipe import Recipe
from monitor.errors import ConfigError
from monitor.train.decode import SAMPLE_RATE_HZ
from monitor.train.degrade import Chain
from monitor.train.sampler import Positives

SHIPPED = Path(__file__).with_name("recipes")


BatchLoss = Literal["triplet", "nt-xent", "supcon", "multiposcon", "dcl", "alignment-uniformity", "kcl"]
"""The losses of `train/losses.py` that look at a batch alone: they train an encoder."""
LossName = Literal[BatchLoss, "catalogue"]
"""With the last the run trains the network that hears the air for an encoder that is there (`train/bank.py`)."""
LOSSES: tuple[str, ...] = get_args(BatchLoss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the network is trained."""

    minutes: float = 0.0
    """Wall-clock; the learning rate follows the time spent. Or `steps`."""
    steps: int = 0
    """Batches; the learning rate follows their number. Or `minutes`."""
    batch: int
    """Anchors."""
    loss: LossName = "triplet"
    margin: float = 0.5
    """Of the triplet loss."""
    temperature: float = 0.05
    """Of the losses with a softmax. Araz et al.: 0.01 to 0.02 is better on real recordings."""
    rivals: int = 100_000
    """Of the loss `catalogue`: stored fingerprints that a batch is told from."""
    optimizer: Literal["adamw", "lamb"] = "adamw"
    learning_rate: float
    weight_decay: float
    warm_up: float
    """Share of the whole."""
    mask: float = 1.0
    """Share of batches with SpecAugment."""
    validate_minutes: float
    rooms: int
    held: tuple[str, ...] = ()
    """Parts of the network (`towers.0`) that keep the weights they begin with."""

    def __post_init__(self) -> None:
        if (self.minutes > 0) == (self.steps > 0):
            raise ValueError("either minutes or steps says how long; give one of the two")
        if self.batch < 2 or min(self.rooms, self.rivals) < 1:
            raise ValueError("batch must be at least 2, rooms and rivals at least 1")
        if min(self.learning_rate, self.temperature, self.margin, self.validate_minutes) <= 0:
            raise ValueError("learning_rate, temperature, margin and validate_minutes must be above 0")
        if not (0 <= self.mask <= 1 and 0 <= self.warm_up <= 1 and self.weight_decay >= 0):
            raise ValueError("mask and warm_up are shares from 0 to 1, weight_decay is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """The whole file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    network: str
    seed: int
    training: Training
    positives: Positives
    sound: dict[str, float | int] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)

    def __post_init__(self) -> None:
        if self.for_the_air and self.positives.count != 1:
            raise ValueError("with the loss catalogue there is one positive an anchor")

    @property
    def for_the_air(self) -> bool:
        """Whether what is trained hears the air for an encoder, instead of being one."""
        return self.training.loss == "catalogue"

    def encoder_recipe(self) -> Recipe:
        """Return the recipe of the encoder that comes out, weights not yet known.

        Raises:
            ConfigError: `[sound]` has a field that is none, or asks for other sound than is packed: a second at 8 kHz.
        """
        if unknown := sorted(set(self.sound) - {one.name for one in fields(Recipe)}):
            raise ConfigError(f"[sound] of training recipe {self.name!r}: there is no {', '.join(unknown)}")
        try:
            found = TypeAdapter(Recipe).validate_python({**self.sound, "name": self.name, "network": self.network})
        except ValidationError as error:
            raise ConfigError(f"[sound] of training recipe {self.name!r}: {_in_a_line(error)}") from error
        if (found.sample_rate_hz, found.window_samples) != (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ):
            raise ConfigError(f"[sound] of training recipe {self.name!r}: audio is packed at 8 kHz, and a window is a second of it")
        return found


def read(name: str) -> tuple[TrainingRecipe, str]:
    """Read a shipped recipe by name, or any by path; return it with its text.

    Raises:
        ConfigError: There is no such recipe, or it is not valid.
    """
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        text = path.read_text()
        found = TypeAdapter(TrainingRecipe).validate_python(tomllib.loads(text))
        found.encoder_recipe()
        return found, text
    except OSError as error:
        shipped = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.toml")))
        raise ConfigError(f"no training recipe {name!r}: shipped are {shipped}; or name a .toml file") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_in_a_line(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def _in_a_line(error: ValidationError) -> str:
    """Say what is wrong where, all of it."""
    return "; ".join(f"{'.'.join(map(str, found['loc'])) or 'recipe'}: {found['msg']}" for found in error.errors(include_url=False))
