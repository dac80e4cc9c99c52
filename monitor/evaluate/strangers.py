"""A catalogue to fit the evidence against, and who is unknown to it.

Knows recordings of the validation and the train split and their fingerprints: which are catalogued, which are on air without being
so, and which share a package or a sound, so that the one says nothing of the other. Knows nothing of evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.pipeline.ports import Encoder
from monitor.train.data import Clips, open_split

FILLING, FILLING_S = 300, 120
"""Recordings of the train split beside those of the validation split in the catalogue, and seconds of each at most."""
ELSEWHERE, ELSEWHERE_S = 400, 60
"""Other recordings of the train split that are on air for the tail, and seconds of each. The encoder has learnt to tell them from
others, and yet of `large` they show a tail that the validation split alone does not."""
SAME, ASKED, KIN = 0.9, 3, 0.05
"""Two recordings share music when more than this share of the windows of one (every third is asked) is so alike to the other."""
Name = tuple[str, int]
"""Split and number of a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """What is catalogued for a fit, and what else is on air."""

    paths: Mapping[Name, str]
    packages: Mapping[Name, str]
    kept: Mapping[Name, NDArray[np.float32]]
    """Fingerprints of what is catalogued, in the order of the catalogue."""
    sounds: Mapping[int, NDArray[np.float32]]
    """Stretches of recordings of the train split that are not, by number."""
    elsewhere: Mapping[Name, NDArray[np.float32]]
    """Fingerprints of these."""
    twins: Mapping[Name, set[Name]]

    def kin(self, name: Name) -> list[int]:
        """Return the references that a catalogue to which this recording is unknown does not have."""
        return [
            at for at, one in enumerate(self.kept, start=1) if self.packages[one] == self.packages[name] or one in self.twins[name]
        ]

    def same(self, name: Name) -> set[int]:
        """Return the references that are right for a recording that is catalogued."""
        return {at for at, one in enumerate(self.kept, start=1) if one == name or one in self.twins[name]}


def shelve(
    cache: Path,
    music: Clips,
    stored: Mapping[int, NDArray[np.float32]],
    encoder: Encoder,
    recipe: Recipe,
    random: np.random.Generator,
) -> Strangers:
    """Catalogue the validation split, and recordings of the train split that make it as large as a small one in service."""
    train = open_split(cache, "train", "music")
    rate_hz, order = recipe.sample_rate_hz, [int(number) for number in random.permutation(len(train))]
    sounds = {}
    for number in [one for one in order[FILLING:] if train.length[one] > ELSEWHERE_S * rate_hz][:ELSEWHERE]:
        at = int(random.integers(train.length[number] - ELSEWHERE_S * rate_hz))
        sounds[number] = train.recording(number)[at : at + ELSEWHERE_S * rate_hz]
    kept = {("validation", number): rows for number, rows in stored.items()} | {
        ("train", number): encoder.encode(windows(train.recording(number)[: FILLING_S * rate_hz], recipe))
        for number in order[:FILLING]
    }
    elsewhere = {("train", number): encoder.encode(windows(sound, recipe)) for number, sound in sounds.items()}
    names = [*kept, *elsewhere]
    return Strangers(
        paths={one: (music if one[0] == "validation" else train).paths[one[1]] for one in names},
        packages={one: (music if one[0] == "validation" else train).packages[one[1]] for one in names},
        kept=kept,
        sounds=sounds,
        elsewhere=elsewhere,
        twins=twins(kept | elsewhere),
    )


def twins(stored: Mapping[Name, NDArray[np.float32]]) -> dict[Name, set[Name]]:
    """Return which recordings share music with which."""
    names = list(stored)
    table, ends = np.concatenate(list(stored.values())), np.cumsum([len(rows) for rows in stored.values()])
    starts = ends - [len(rows) for rows in stored.values()]
    twins: dict[Name, set[Name]] = {name: set() for name in names}
    for name, rows in stored.items():
        same = np.maximum.reduceat(rows[::ASKED] @ table.T, starts, axis=1) >= SAME
        for at in np.flatnonzero(same.mean(axis=0) > KIN):
            if names[at] != name:
                twins[name].add(names[at])
                twins[names[at]].add(name)
    return twins


def windows(sound: NDArray[np.float32], recipe: Recipe, first: int = 0) -> NDArray[np.float32]:
    """Cut sound into windows on the hop grid, beginning `first` samples in."""
    return np.lib.stride_tricks.sliding_window_view(sound[first:], recipe.window_samples)[:: recipe.hop_samples]
