"""What is said when a disk is full, by whichever program finds out.

Knows the error and the words for it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from monitor.errors import Transient

FULL: Final = "No space left on device"
"""What every program says of a full disk (ENOSPC)."""


MAKE_ROOM: Final = "make room"
MAKE_ROOM_OR_MOVE: Final = "make room, or set TMPDIR"
"""Of a folder for a moment."""


class DiskFull(Transient):
    """A disk is full; what is finished stays."""

    def __init__(self, place: Path | str, remedy: str = MAKE_ROOM) -> None:
        super().__init__(f"{place}: the disk is full: {remedy}, then run the same command again; what is finished stays")


def refuse_full(folder: str, said: bytes) -> None:
    """Look whether a program that wrote into a folder for a moment said that the disk is full.

    Raises:
        DiskFull: it did.
    """
    if FULL.encode() in said:
        raise DiskFull(folder, MAKE_ROOM_OR_MOVE)


@contextmanager
def told_when_full(place: Path, remedy: str = MAKE_ROOM) -> Iterator[None]:
    """Has a write that finds no room told as `DiskFull` of this place, unless the error names one.

    Raises:
        DiskFull: there was no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFull(error.filename or place, remedy) from error
