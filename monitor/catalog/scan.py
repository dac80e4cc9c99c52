"""Which files are meant when a folder is named.

Knows endings. Knows nothing of what is in the files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.catalog.tags import SHEET_NAME

# fmt: off
ENDINGS = frozenset((
    ".3gp", ".8svx", ".aa3", ".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".asf", ".au", ".avi", ".awb",
    ".bwf", ".caf", ".dff", ".dsf", ".dts", ".eac3", ".flac", ".flv", ".gsm", ".m2ts", ".m4a", ".m4b", ".m4r", ".m4v", ".mka",
    ".mkv", ".mov", ".mp+", ".mp1", ".mp2", ".mp3", ".mp4", ".mpa", ".mpc", ".mpeg", ".mpg", ".mpga", ".mpp", ".mts", ".mxf",
    ".oga", ".ogg", ".ogm", ".ogv", ".oma", ".opus", ".ra", ".rf64", ".rm", ".shn", ".snd", ".spx", ".tak", ".thd", ".ts",
    ".tta", ".voc", ".vob", ".w64", ".wav", ".wave", ".webm", ".wma", ".wmv", ".wv",
))
# fmt: on
"""Files of other endings are left alone in a folder (covers, texts, lists); named by hand, any file is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the paths given stand for."""

    files: dict[Path, Path]
    """Absolute path of each file, and the folder under which it was met."""
    absent: list[Path]
    """Paths given that are neither file nor folder."""
    passed_over: dict[str, int]
    """Number of files left alone, by ending."""


def scan(paths: Sequence[Path]) -> Found:
    """Find the files meant, in a stable order; hidden ones are left alone."""
    files: dict[Path, Path] = {}
    absent: list[Path] = []
    passed_over: Counter[str] = Counter()
    for given in paths:
        top = given.absolute()
        if top.is_dir():
            for folder, folders, names in os.walk(top):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for path in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
                    if path.suffix.lower() in ENDINGS:
                        files.setdefault(path, top)
                    elif path.name != SHEET_NAME:
                        passed_over[path.suffix.lower() or "none"] += 1
        elif top.exists():
            files.setdefault(top, top.parent)
        else:
            absent.append(given)
    return Found(files=files, absent=absent, passed_over=dict(passed_over))
