"""Recordings into the catalogue: each is there wholly or not at all, and a second run goes on where the first was stopped.

Knows the order of things: find, pass over what is known, decode, encode in full batches across files, commit. How to decode and
encode it is told; it knows neither ffmpeg nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.catalog import kinship, tags
from monitor.catalog.batches import Encode, Fingerprints
from monitor.catalog.store import Entry
from monitor.catalog.supply import Decode, Known, Mark, Supply, Unusable, Whole
from monitor.catalog.writer import FileMark, Writer
from monitor.core.recipe import Recipe
from monitor.messages import Reference


class Outcome(StrEnum):
    """What became of a file."""

    ADDED = "added"
    PRESENT = "present"
    """Its sound is in the catalogue already."""
    UPDATED = "updated"
    """Its sound was there already, its names have changed."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDone:
    """What became of one file, for whoever watches."""

    path: Path
    outcome: Outcome
    reference_id: int | None = None
    duration_s: float = 0.0
    notes: tuple[str, ...] = ()
    """Why it was refused; what of its tags could not be used."""


Progress = Callable[[FileDone], None]


class _Addition:
    """One run of `add`."""

    def __init__(self, store: Writer, recipe: Recipe, progress: Progress) -> None:
        self._store = store
        self._recipe = recipe
        self._progress = progress
        marks = store.marks()
        self._by_id: dict[int, Entry] = {entry.reference.id: entry for entry in store.entries()}
        self._by_pcm = {entry.pcm_sha256: number for number, entry in self._by_id.items()}
        self._by_path = {mark.path: mark for mark in marks}
        self._by_sha256 = {mark.sha256: mark.reference_id for mark in marks}

    def known(self, path: Path, mark: Mark) -> int | None:
        """Say which reference a file is, if it can be said without decoding. Called in the decoding threads."""
        if mark.sha256:
            number = self._by_sha256.get(mark.sha256)
        else:
            seen = self._by_path.get(str(path))
            number = seen.reference_id if seen and (seen.bytes, seen.mtime_ns) == (mark.bytes, mark.mtime_ns) else None
        return number if number is not None and self._by_id[number].hops else None

    def refused(self, path: Path, reason: str) -> None:
        self._progress(FileDone(path=path, outcome=Outcome.REFUSED, notes=(reason,)))

    def present(self, path: Path, mark: Mark, number: int, names: tags.Names) -> None:
        """The sound is there: take over new names from the file it was added from; from a copy only its place."""
        self._note(path, mark, number)
        entry = self._by_id[number]
        told = replace(_named(names), id=number, path=entry.reference.path, duration_s=entry.reference.duration_s)
        changed = told.path == str(path) and told != entry.reference
        if changed:
            self._store.describe(told)
            self._by_id[number] = replace(entry, reference=told)
        self._told(path, Outcome.UPDATED if changed else Outcome.PRESENT, entry, names)

    def through(self, whole: Whole, vectors: NDArray[np.float16], names: tags.Names) -> None:
        """All fingerprints of a file are there."""
        path, number = whole.path, self._by_pcm.get(whole.pcm_sha256)
        duration_s = whole.samples / self._recipe.sample_rate_hz
        if not len(vectors):
            self.refused(path, f"too short: {duration_s:.2f} s of sound, at least {self._recipe.window_s / 2:g} s are needed")
            return
        if number is not None and self._by_id[number].hops:
            self.present(path, whole.mark, number, names)
            return
        number = number or self._owner(path)
        mark = _file_mark(path, whole.mark, number or 0)
        if number is not None and self._by_id[number].hops:
            self.refused(path, f"its sound is no longer that of reference {number}: `monitor catalog remove {number}`, then add it")
            return
        if number is not None:
            self._store.refill(self._by_id[number], whole.pcm_sha256, vectors, mark)
        else:
            reference = replace(_named(names), path=str(path), duration_s=duration_s)
            number = self._store.add(reference, whole.pcm_sha256, vectors, mark)
        entry = self._by_id[number] = self._store.entry(number)
        self._by_pcm[whole.pcm_sha256] = number
        self._remember(replace(mark, reference_id=number))
        self._told(path, Outcome.ADDED, entry, names)

    def _owner(self, path: Path) -> int | None:
        """Say which reference was added from this very path."""
        seen = self._by_path.get(str(path))
        return seen.reference_id if seen and self._by_id[seen.reference_id].reference.path == str(path) else None

    def _told(self, path: Path, outcome: Outcome, entry: Entry, names: tags.Names) -> None:
        number, duration_s = entry.reference.id, entry.reference.duration_s
        self._progress(FileDone(path=path, outcome=outcome, reference_id=number, duration_s=duration_s, notes=names.complaints))

    def _note(self, path: Path, mark: Mark, number: int) -> None:
        seen = self._by_path.get(str(path))
        if seen is None or (seen.bytes, seen.mtime_ns) != (mark.bytes, mark.mtime_ns):
            noted = _file_mark(path, mark, number)
            self._store.note_file(noted)
            self._remember(noted)

    def _remember(self, mark: FileMark) -> None:
        self._by_path[mark.path] = mark
        self._by_sha256[mark.sha256] = mark.reference_id


def _file_mark(path: Path, mark: Mark, number: int) -> FileMark:
    return FileMark(path=str(path), bytes=mark.bytes, mtime_ns=mark.mtime_ns, sha256=mark.sha256, reference_id=number)


def _named(names: tags.Names) -> Reference:
    return Reference(id=0, path="", title=names.title, artist=names.artist, album=names.album, isrc=names.isrc, custom=names.custom)


def add(
    paths: Sequence[Path],
    store: Writer,
    decode: Decode,
    encode: Encode,
    recipe: Recipe,
    *,
    jobs: int,
    progress: Progress,
    names: Callable[[Path], tags.Names] = tags.read,
) -> None:
    """Add audio files to a catalogue, each committed when it is through; memory does not grow with their number or length.

    At the end it is found out what the new ones share with others.

    Args:
        paths: Absolute paths of the files, each once.
        store: The catalogue.
        decode: A file's sound; called in `jobs` threads.
        encode: Windows to fingerprints; called in this thread.
        recipe: The encoder's.
        jobs: Files decoded at a time.
        progress: Told what became of each file.
        names: A file's names.

    Raises:
        CatalogError: No space, or the folder cannot be written; all that was added before is kept. The same holds for a
            KeyboardInterrupt: run it again and it goes on from there.
    """
    run = _Addition(store, recipe, progress)
    fingerprints = Fingerprints(encode, recipe.dim)
    with Supply(paths, decode, recipe, jobs=jobs, known=run.known) as supply:
        for item in supply.items():
            match item:
                case Known():
                    run.present(item.path, item.mark, item.reference_id, names(item.path))
                case Unusable():
                    fingerprints.drop(item.path)
                    run.refused(item.path, item.reason)
                case _:
                    for whole, vectors in fingerprints.push(item):
                        run.through(whole, vectors, names(whole.path))
        for whole, vectors in fingerprints.finish():
            run.through(whole, vectors, names(whole.path))
    kinship.compare(store)
