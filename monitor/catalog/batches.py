"""Windows of many files in, each file's fingerprints out when it is through; the encoder sees full batches.

Knows counts and order. How to encode it is told; knows nothing of files beyond their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.catalog.supply import Piece, Whole

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Windows [n, window] in, unit vectors [n, dim] out. Called in the caller's thread."""

BATCH = 256
"""Windows encoded at a time: the largest shape of the encoder; gathered across files, or every file would end in a padded one."""


@dataclass(slots=True)
class _Pending:
    """Fingerprints of a file that is not through yet."""

    parts: list[NDArray[np.float16]] = field(default_factory=list)
    awaited: int = 0
    whole: Whole | None = None


class Fingerprints:
    """Gathers windows of several files into batches of one size."""

    def __init__(self, encode: Encode, dim: int) -> None:
        self._encode = encode
        self._dim = dim
        self._waiting: list[Piece] = []
        self._files: dict[Path, _Pending] = {}

    def push(self, item: Piece | Whole) -> Iterator[tuple[Whole, NDArray[np.float16]]]:
        """Take windows or the end of a file; yield the files that are through, [hops, dim]."""
        pending = self._files.setdefault(item.path, _Pending())
        if isinstance(item, Whole):
            pending.whole = item
        else:
            pending.awaited += len(item.windows)
            self._waiting.append(item)
        while sum(len(piece.windows) for piece in self._waiting) >= BATCH:
            self._run()
        yield from self._through()

    def finish(self) -> Iterator[tuple[Whole, NDArray[np.float16]]]:
        """Encode what is left, in one last short batch."""
        if self._waiting:
            self._run()
        yield from self._through()

    def drop(self, path: Path) -> None:
        """Forget a file that turned out to be broken half way."""
        self._files.pop(path, None)
        self._waiting = [piece for piece in self._waiting if piece.path != path]

    def _run(self) -> None:
        batch: list[Piece] = []
        room = BATCH
        while self._waiting and room:
            piece = self._waiting.pop(0)
            if len(piece.windows) > room:
                self._waiting.insert(0, replace(piece, windows=piece.windows[room:]))
                piece = replace(piece, windows=piece.windows[:room])
            batch.append(piece)
            room -= len(piece.windows)
        vectors = self._encode(np.concatenate([piece.windows for piece in batch]))
        if vectors.shape != (BATCH - room, self._dim) or not np.isfinite(vectors).all():
            raise ValueError(f"the encoder returned {list(vectors.shape)} or numbers that are not finite")
        at = 0
        for piece in batch:
            pending = self._files[piece.path]
            pending.parts.append(vectors[at : at + len(piece.windows)].astype(np.float16))
            pending.awaited -= len(piece.windows)
            at += len(piece.windows)

    def _through(self) -> Iterator[tuple[Whole, NDArray[np.float16]]]:
        for path in [path for path, pending in self._files.items() if pending.whole is not None and not pending.awaited]:
            pending = self._files.pop(path)
            if pending.whole is not None:
                yield pending.whole, np.concatenate([np.zeros((0, self._dim), np.float16), *pending.parts])
