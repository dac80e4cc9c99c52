"""Who a recording is: from the tags of its file, or from a CSV that knows better.

Knows tag formats and columns. Knows nothing of sound or of the database.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mutagen
from mutagen.apev2 import APEv2
from mutagen.asf import ASFTags
from mutagen.id3 import ID3
from mutagen.mp4 import MP4Tags

from monitor.errors import CatalogError

SHEET_NAME = "catalog.csv"
FIELDS = ("title", "artist", "album", "isrc")
PATH_COLUMNS = ("path", "file")
ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
"""Country, registrant, year and designation: ISO 3901."""

MORE = ("composer", "label", "upc")
"""Read from tags too, because reports ask for them; kept among the columns of the CSV, which go before them."""
KEYS: dict[type, tuple[str, ...]] = {
    ID3: ("TIT2", "TPE1", "TALB", "TSRC", "TCOM", "TPUB", "TXXX:BARCODE"),
    MP4Tags: (
        *("\xa9nam", "\xa9ART", "\xa9alb", "----:com.apple.iTunes:ISRC"),
        *("\xa9wrt", "----:com.apple.iTunes:LABEL", "----:com.apple.iTunes:BARCODE"),
    ),
    ASFTags: ("Title", "Author", "WM/AlbumTitle", "WM/ISRC", "WM/Composer", "WM/Publisher", "WM/Barcode"),
    APEv2: ("Title", "Artist", "Album", "ISRC", "Composer", "Label", "Barcode"),
}
"""Names of FIELDS and MORE by kind of tag."""
VORBIS = (*FIELDS, "composer", "label", "barcode")
"""All others: Vorbis comments of FLAC, Ogg, Opus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is known of a recording but its sound."""

    title: str = ""
    artist: str = ""
    album: str = ""
    isrc: str = ""
    custom: dict[str, str] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    """What was found but could not be used, in words."""


def read(path: Path, row: Mapping[str, str] | None = None) -> Names:
    """Return the names of an audio file.

    Args:
        path: The file; unreadable tags count as none. Without a title its name without ending is taken.
        row: Its row of a CSV, by column; what is not empty there goes before the tags, other columns become `custom`.
    """
    found = _tags(path)
    row = row or {}
    found |= {name: row[name].strip() for name in FIELDS if row.get(name, "").strip()}
    isrc, complaints = "", []
    try:
        isrc = normal_isrc(found.get("isrc", ""))
    except ValueError as error:
        complaints.append(f"{error}; left out")
    return Names(
        title=found.get("title") or path.stem,
        artist=found.get("artist", ""),
        album=found.get("album", ""),
        isrc=isrc,
        custom={name: found[name] for name in MORE if name in found}
        | {column: value.strip() for column, value in row.items() if column not in {*FIELDS, *PATH_COLUMNS} and value.strip()},
        complaints=tuple(complaints),
    )


def normal_isrc(text: str) -> str:
    """Return an ISRC as twelve characters, or the empty string for none.

    Raises:
        ValueError: It does not have the form of an ISRC.
    """
    plain = re.sub(r"[\s\-.]|^ISRC", "", text.strip().upper())
    if plain and not ISRC.fullmatch(plain):
        raise ValueError(f"{text!r} is no ISRC (two letters, three letters or digits, seven digits)")
    return plain


def _tags(path: Path) -> dict[str, str]:
    try:
        opened = mutagen.File(path)
    except mutagen.MutagenError:
        return {}
    tags = opened.tags if opened is not None else None
    if tags is None:
        return {}
    keys = next((names for kind, names in KEYS.items() if isinstance(tags, kind)), VORBIS)
    return {name: text for name, key in zip((*FIELDS, *MORE), keys, strict=True) if (text := _text(tags.get(key)))}


def _text(value: object) -> str:
    """Turn what a kind of tag keeps under a key into text; several values are joined."""
    if value is None:
        return ""
    values = getattr(value, "text", value)  # an ID3 frame keeps its values in `text`
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        values = [values]
    parts = [part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in values]
    return ", ".join(dict.fromkeys(part.strip() for part in parts if part.strip()))


class Sheet:
    """A CSV of names, by file. Paths in it count from its own folder."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            CatalogError: Not readable, no `path` or `file` column, a row without a path, or two rows for one file.
        """
        self.path = path
        self._rows: dict[Path, dict[str, str]] = {}
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: cannot be read as UTF-8 text ({error})") from error
        header = text.partition("\n")[0]
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), restval="", restkey="")
        columns = [column.strip().lower() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        name = next((column for column in PATH_COLUMNS if column in columns), None)
        if name is None:
            raise CatalogError(f"{path}: needs a column `path` or `file`; its first line has {', '.join(columns) or 'nothing'}")
        try:
            for row in reader:
                row.pop("", None)
                file = row[name].strip()
                if not file:
                    raise CatalogError(f"{path}, line {reader.line_num}: no {name}; give the audio file's name")
                if "\0" in file:
                    raise CatalogError(f"{path}, line {reader.line_num}: {name} holds a zero byte; save the sheet as UTF-8 text")
                if (key := (path.parent / file).absolute().resolve()) in self._rows:
                    raise CatalogError(f"{path}, line {reader.line_num}: {file} stands there twice; keep one of the lines")
                self._rows[key] = row
        except csv.Error as error:
            raise CatalogError(f"{path}, line {reader.line_num}: {error}") from error

    def row(self, path: Path) -> Mapping[str, str] | None:
        """Return the row of an audio file, if it has one."""
        return self._rows.get(path.resolve())

    def missing(self) -> list[Path]:
        """Return the files it names that are not there."""
        return [path for path in self._rows if not os.path.exists(path)]  # noqa: PTH110 - Path.exists raises where a name is too long


class Sheets:
    """The CSV given by hand, or else the `catalog.csv` nearest above each file, up to the folder that is being added."""

    def __init__(self, given: Path | None = None) -> None:
        """Read the one given, if any.

        Raises:
            CatalogError: It cannot be used.
        """
        self._given = Sheet(given) if given is not None else None
        self._found: dict[Path, Sheet | None] = {}

    def row(self, path: Path, top: Path) -> Mapping[str, str] | None:
        """Return the row of a file that was met under the folder `top`.

        Raises:
            CatalogError: A `catalog.csv` on the way cannot be used.
        """
        if self._given is not None:
            return self._given.row(path)
        for folder in path.parents:
            if folder not in self._found:
                sheet = folder / SHEET_NAME
                self._found[folder] = Sheet(sheet) if sheet.is_file() else None
            found = self._found[folder]
            if found is not None and (row := found.row(path)) is not None:
                return row
            if folder == top:
                return None
        return None

    def missing(self) -> list[tuple[Path, Path]]:
        """Return each CSV read and each file it names that is not there."""
        sheets = [self._given, *self._found.values()]
        return [(sheet.path, path) for sheet in sheets if sheet is not None for path in sheet.missing()]
