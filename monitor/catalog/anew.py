"""All fingerprints of a catalogue made again, when the encoder has changed or the old ones are damaged.

Knows the order of things: find the files, decode, encode, write to a new file, switch. Knows neither ffmpeg nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.catalog.batches import Encode, Fingerprints
from monitor.catalog.ingest import FileDone, Outcome, Progress
from monitor.catalog.store import Entry
from monitor.catalog.supply import Decode, Mark, Piece, Supply, Unusable, Whole
from monitor.catalog.writer import Writer
from monitor.core.recipe import Recipe


def fingerprint_anew(store: Writer, decode: Decode, encode: Encode, recipe: Recipe, *, jobs: int, progress: Progress) -> None:
    """Make all fingerprints again, with this encoder, from the files the catalogue knows; names and ids stay.

    A reference none of whose files is there, or can be decoded, is refused: it stays in the catalogue without fingerprints until
    its file is added again. The old fingerprints are in use until all new ones are on disk.

    Raises:
        CatalogError: No space, or the folder cannot be written; the old fingerprints stay.
    """

    def refused(entry: Entry, path: Path, reason: str) -> None:
        note = f"{reason}; reference {entry.reference.id} keeps its names and has no fingerprints until its file is added again"
        progress(FileDone(path=path, outcome=Outcome.REFUSED, reference_id=entry.reference.id, notes=(note,)))

    def through(done: Iterator[tuple[Whole, NDArray[np.float16]]]) -> None:
        for whole, vectors in done:
            entry, duration_s = present[whole.path], whole.samples / recipe.sample_rate_hz
            if len(vectors):
                move.put(entry, whole.pcm_sha256, vectors, duration_s)
                added = FileDone(path=whole.path, outcome=Outcome.ADDED, reference_id=entry.reference.id, duration_s=duration_s)
                progress(added)
            else:
                refused(entry, whole.path, f"too short ({duration_s:.2f} s)")

    present: dict[Path, Entry] = {}
    for entry in store.entries():
        path = next((path for path in map(Path, store.files(entry.reference.id)) if path.is_file()), None)
        if path is None:
            refused(entry, Path(entry.reference.path), "the file is gone")
        else:
            present[path] = entry
    fingerprints = Fingerprints(encode, recipe.dim)
    with store.moving(recipe) as move, Supply(list(present), decode, recipe, jobs=jobs, known=_never) as supply:
        for item in supply.items():
            if isinstance(item, Unusable):
                fingerprints.drop(item.path)
                refused(present[item.path], item.path, item.reason)
            elif isinstance(item, Piece | Whole):
                through(fingerprints.push(item))
        through(fingerprints.finish())


def _never(_path: Path, _mark: Mark) -> None:
    """Every file is decoded, however well known."""
