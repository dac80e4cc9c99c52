"""The catalogue of a run: the split's known recordings, the made spots and jingles, and others up to the size asked for.

Knows the format that `catalog/` hands to `index/`, so that the search is the product's own, exact or compressed; and asks
`catalog/` what those share that are played, as when they are added. The others are recordings made of sound as far as
there are any, and then impostors.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.catalog.kinship import compare
from monitor.catalog.writer import FileMark, Writer
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.impostors import Impostors
from monitor.index import faiss_store
from monitor.messages import Kinship, Reference, Table
from monitor.pipeline.ports import Library

IMPOSTOR_S = (120.0, 360.0)
"""Length of an impostor: mean 240 s, a song's."""
IMPOSTOR = "impostor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What is looked in."""

    library: Library
    stored: Mapping[str, NDArray[np.float32]]
    """Fingerprints of what is played, by name."""
    unplayed: int
    """Recordings made of sound that are never played."""
    names: Mapping[int, str]

    @property
    def recordings(self) -> int:
        """How many references there are."""
        return len(self.names)


def build(
    stored: Mapping[str, NDArray[np.float32]],
    unplayed: Mapping[str, NDArray[Any]],
    impostors: Impostors,
    *,
    recordings: int,
    folder: Path,
    recipe: Recipe,
    seed: int,
) -> Catalogue:
    """Write the fingerprints into the folder and load them as the daemon does.

    Args:
        stored: What is played, by name.
        unplayed: What is not, by name; as many of these as there is room for.
        impostors: Makes the rest.
        recordings: Size of the catalogue.
        folder: Where it is kept.
        recipe: Of the encoder.
        seed: Of the impostors' lengths.
    """
    random = np.random.default_rng(seed)
    path = folder / "fingerprints-0.f16"
    real = {**stored, **dict(islice(unplayed.items(), max(recordings - len(stored), 0)))}
    names = [*real, *(f"{IMPOSTOR} {number + 1}" for number in range(recordings - len(real)))]
    hops: list[int] = []
    with path.open("wb") as file:
        for name in names:
            rows = real.get(name)
            if rows is None:
                rows = impostors.recording(int(random.uniform(*IMPOSTOR_S) / recipe.hop_s))
            file.write(rows.astype(np.float16).tobytes())
            hops.append(len(rows))
    starts = np.cumsum([0, *hops])
    table = Table(
        path=path,
        dim=recipe.dim,
        generation=1,
        rows=int(starts[-1]),
        reference_ids=np.arange(1, len(names) + 1),
        row_starts=starts[:-1],
        hops=np.array(hops),
        kin=_kin(stored, folder / "catalog", recipe),
        references={at: Reference(id=at, path=name, duration_s=hops[at - 1] * recipe.hop_s) for at, name in enumerate(names, 1)},
    )
    library = faiss_store.load(table)
    return Catalogue(library=library, stored=stored, unplayed=len(real) - len(stored), names=dict(enumerate(names, 1)))


def _kin(stored: Mapping[str, NDArray[np.float32]], folder: Path, recipe: Recipe) -> dict[int, tuple[Kinship, ...]]:
    """Return what those that are played share, by id; ids count from 1 in their order."""
    shutil.rmtree(folder, ignore_errors=True)
    with Writer(folder, recipe, create=True) as store:
        for number, (name, rows) in enumerate(stored.items(), 1):
            mark = FileMark(path=name, bytes=0, mtime_ns=0, sha256=str(number), reference_id=number)
            store.add(Reference(id=number, path=name), str(number), rows.astype(np.float16), mark)
        compare(store)
        kin = store.kin()
    shutil.rmtree(folder)
    return kin
