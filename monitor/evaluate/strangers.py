"""A catalogue to fit the evidence against, and what is on air and unknown to it.

Knows recordings of the validation and the train split and their fingerprints: which are catalogued, which others are on air, and
which share a package or music, so that they are not unknown to each other. Knows nothing of evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.framing import windows
from monitor.core.recipe import Recipe
from monitor.pipeline.ports import Encoder
from monitor.train.data import Clips, open_split

FILLING, FILLING_S = 300, 120
"""Recordings of the train split beside those of the validation split in the catalogue, and seconds of each at most."""
ELSEWHERE, ELSEWHERE_S = 400, 60
"""Other recordings of the train split that are on air for the tail, and seconds of each. The encoder has learnt by them, and the
cohort is drawn from them: if anything they are told less often by chance than new ones, and yet show more of the tail."""
TWIN, ASKED, KIN = 0.9, 3, 0.05
"""Two recordings share music when more than this share of the windows of one (every third is asked) is so alike to the other."""
Name = tuple[str, int]
"""Split and number of a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """What is catalogued for a fit, and which stretches of other recordings are on air."""

    packages: Mapping[Name, str]
    paths: Mapping[Name, str]
    catalogued: Mapping[Name, NDArray[np.float32]]
    """Fingerprints, in the order of the catalogue."""
    elsewhere: Mapping[Name, NDArray[np.float32]]
    """Sound of the stretches, full scale 1.0."""
    of_elsewhere: Mapping[Name, NDArray[np.float32]]
    """Their fingerprints."""
    twins: Mapping[Name, set[Name]]

    def kin(self, name: Name) -> list[int]:
        """Return the references that have to be away for a recording to be unknown to the catalogue."""
        package, twins = self.packages[name], self.twins[name]
        return [at for at, one in enumerate(self.catalogued, start=1) if self.packages[one] == package or one in twins]

    def right(self, name: Name) -> set[int]:
        """Return the references that are right for a recording that is catalogued."""
        return {at for at, one in enumerate(self.catalogued, start=1) if one == name or one in self.twins[name]}


def cast(
    cache: Path,
    validation: Clips,
    stored: Mapping[int, NDArray[np.float32]],
    encoder: Encoder,
    recipe: Recipe,
    random: np.random.Generator,
) -> Cast:
    """Catalogue the validation split and some of the train split, and put others of that on air.

    Args:
        cache: Where the packed clips are.
        validation: The music of the validation split.
        stored: Fingerprints of those of its recordings that are catalogued, by number.
        encoder: Of the fit.
        recipe: Of the encoder.
        random: Draws which of the train split are catalogued, and which stretches are on air.

    Raises:
        DataMissing: The train split is not packed.
    """
    train = open_split(cache, "train", "music")
    order, length = [int(number) for number in random.permutation(len(train))], ELSEWHERE_S * recipe.sample_rate_hz
    elsewhere = {}
    for number in [one for one in order[FILLING:] if train.length[one] > length][:ELSEWHERE]:
        at = int(random.integers(train.length[number] - length))
        elsewhere["train", number] = train.sound(int(train.start[number]) + at, length)
    catalogued = {("validation", number): rows for number, rows in stored.items()}
    for number in order[:FILLING]:
        sound = train.recording(number)[: FILLING_S * recipe.sample_rate_hz]
        catalogued["train", number] = encoder.encode(windows(sound, recipe))
    of_elsewhere = {one: encoder.encode(windows(sound, recipe)) for one, sound in elsewhere.items()}
    clips = {"validation": validation, "train": train}
    return Cast(
        packages={(split, number): clips[split].packages[number] for split, number in [*catalogued, *elsewhere]},
        paths={(split, number): clips[split].paths[number] for split, number in catalogued},
        catalogued=catalogued,
        elsewhere=elsewhere,
        of_elsewhere=of_elsewhere,
        twins=sharing(catalogued | of_elsewhere),
    )


def sharing(stored: Mapping[Name, NDArray[np.float32]]) -> dict[Name, set[Name]]:
    """Return which recordings share music with which."""
    names = list(stored)
    table, ends = np.concatenate(list(stored.values())), np.cumsum([len(rows) for rows in stored.values()])
    starts = ends - [len(rows) for rows in stored.values()]
    twins: dict[Name, set[Name]] = {name: set() for name in names}
    for name, rows in stored.items():
        alike = np.maximum.reduceat(rows[::ASKED] @ table.T, starts, axis=1) >= TWIN
        for at in np.flatnonzero(alike.mean(axis=0) > KIN):
            if names[at] != name:
                twins[name].add(names[at])
                twins[names[at]].add(name)
    return twins
