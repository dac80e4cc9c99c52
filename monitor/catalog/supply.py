"""Files decoded by several threads into one short queue, so that the encoder never waits and memory stays small.

Knows threads, files and their hashes. Knows nothing of fingerprints or of the database.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import GeneratorType, TracebackType

import numpy as np
from numpy.typing import NDArray

from monitor.catalog.sound import Framer
from monitor.core.recipe import Recipe
from monitor.errors import MonitorError

Decode = Callable[[Path], Iterator[NDArray[np.float32]]]
"""A file's sound, mono at the recipe's rate, full scale 1.0, in pieces of any length. Raises `NotAudio`."""

BLOCK = 64
"""Windows handed over at a time: 2 MB, half a minute of sound."""
WAIT_S = 0.2
"""How often a thread that waits looks whether it is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A file as the file system sees it."""

    bytes: int
    mtime_ns: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some windows of a file."""

    path: Path
    windows: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A file has been read to its end; all its pieces came before."""

    path: Path
    mark: Mark
    samples: int
    pcm_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A file need not be decoded: its size and time, or all its bytes, are those of a file met before."""

    path: Path
    mark: Mark
    reference_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A file cannot be decoded or read."""

    path: Path
    reason: str


Item = Piece | Whole | Known | Unusable


Recognise = Callable[[Path, Mark], int | None]
"""Which reference a file is: from size and time or, when those are new, from the hash of its bytes. Called in decoding threads."""


class Supply:
    """At most `2 * jobs` items wait; a decoder that is ahead blocks, nothing is lost."""

    def __init__(
        self, paths: Iterable[Path], decode: Decode, recipe: Recipe, jobs: int, known: Callable[[Path, Mark], int | None]
    ) -> None:
        """Prepare to decode.

        Args:
            paths: The files, in order.
            decode: How.
            recipe: How to cut.
            jobs: Files decoded at a time.
            known: Says which files need not be decoded.
        """
        self._paths = iter(paths)
        self._decode = decode
        self._recipe = recipe
        self._known = known
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(2 * jobs)
        self._threads = [threading.Thread(target=self._work, name=f"decode-{n}", daemon=True) for n in range(jobs)]

    def __enter__(self) -> Supply:
        """Start decoding."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop decoding; files half read are let go."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def items(self) -> Iterator[Item]:
        """Yield what comes, until all files are through. A bug in a decoding thread is raised here."""
        running = len(self._threads)
        while running:
            item = self._queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    path = next(self._paths, None)
                if path is None:
                    break
                self._file(path)
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _file(self, path: Path) -> None:
        try:
            status = path.stat()
            mark = Mark(bytes=status.st_size, mtime_ns=status.st_mtime_ns)
            number = self._known(path, mark)
            if number is None:
                with path.open("rb") as file:
                    mark = Mark(bytes=mark.bytes, mtime_ns=mark.mtime_ns, sha256=hashlib.file_digest(file, "sha256").hexdigest())
                number = self._known(path, mark)
            if number is not None:
                self._put(Known(path=path, mark=mark, reference_id=number))
                return
            framer = Framer(self._recipe, BLOCK)
            for windows in self._windows(path, framer):
                if not self._put(Piece(path=path, windows=windows)):
                    return
            self._put(Whole(path=path, mark=mark, samples=framer.samples, pcm_sha256=framer.pcm_sha256))
        except MonitorError as error:
            self._put(Unusable(path=path, reason=str(error).removeprefix(f"{path}: ")))
        except OSError as error:
            self._put(Unusable(path=path, reason=error.strerror or str(error)))

    def _windows(self, path: Path, framer: Framer) -> Iterator[NDArray[np.float32]]:
        with _closed(self._decode(path)) as chunks:
            for chunk in chunks:
                if self._stop.is_set():
                    return
                yield from framer.push(chunk)
        yield from framer.finish()

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=WAIT_S)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def _closed(chunks: Iterator[NDArray[np.float32]]) -> Iterator[Iterator[NDArray[np.float32]]]:
    """End a decoder that is left half way, with its child process, at once and not at the next garbage collection."""
    if isinstance(chunks, GeneratorType):
        with closing(chunks):
            yield chunks
    else:
        yield chunks
