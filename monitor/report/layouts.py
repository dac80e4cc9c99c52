"""Which columns a list has, and what stands in them.

Knows the lists: our own of plays and of totals, a cue sheet, and what SUISA and SoundExchange ask for. Knows no files. What is not
known of a recording is an empty cell: names and codes come from the tags or from columns of the operator's CSV (composer, label,
publisher, society, iswc, upc …).

Sources: SUISA's columns and formats as the open tool suisa_sendemeldung delivers them; SoundExchange's as 37 CFR 370.4 names them,
with the play frequency, since how many listened is not known here. A cue sheet has no common standard.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from monitor.report.airplay import Airplay

Cell = str | int | float
_SPELT = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "’": "'", "–": "-"})
ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One kind of list."""

    name: str
    about: str
    columns: tuple[str, ...]
    rows: Callable[[Sequence[Airplay], tzinfo], list[list[Cell]]]
    """From airplays by start and the time zone to be written in."""
    dialect: type[csv.Dialect] = csv.excel
    """Of its CSV."""
    headed: bool = True
    """Its CSV begins with the columns' names."""


class Carets(csv.Dialect):
    """Files without headers of 37 CFR 370.4: pipes between, carets around texts and none around numbers."""

    delimiter = "|"
    quotechar = "^"
    doublequote = True
    lineterminator = "\r\n"
    quoting = csv.QUOTE_NONNUMERIC


def _local(utc_s: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(round(utc_s, 3), zone)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"


def _isrc(one: Airplay) -> str:
    """A code of another form is not told: societies refuse the line."""
    plain = re.sub(r"[\s\-.]", "", one.named("isrc").upper())
    return plain if ISRC.fullmatch(plain) else ""


def _who(reference: Mapping[str, object]) -> str:
    return f"{reference['artist']}: {reference['title']}" if reference.get("artist") else str(reference.get("title", ""))


def _plays(airplays: Sequence[Airplay], zone: tzinfo) -> list[list[Cell]]:
    return [
        [
            one.station,
            _local(one.start_utc_s, zone).isoformat(timespec="milliseconds"),
            _local(one.end_utc_s, zone).isoformat(timespec="milliseconds"),
            round(one.seconds, 3),
            *(one.named(name) for name in ("artist", "title", "album")),
            _isrc(one),
            *(one.named(name) for name in ("iswc", "upc", "label", "composer")),
            round(one.confidence, 6),
            one.usage,
            "yes" if one.complete else "no",
            "no" if one.ended else "yes",
            len(one.ids),
            "; ".join(_who(other) for other in one.alternatives),
            one.reference["id"],
            one.named("path"),
            " ".join(one.ids),
        ]
        for one in airplays
    ]


def _totals(airplays: Sequence[Airplay], zone: tzinfo) -> list[list[Cell]]:
    grouped: dict[tuple[str, object], list[Airplay]] = {}
    for one in airplays:
        grouped.setdefault((one.station, one.reference["id"]), []).append(one)
    rows: list[list[Cell]] = [
        [
            station,
            *(group[-1].named(name) for name in ("artist", "title", "album")),
            _isrc(group[-1]),
            len(group),
            round(sum(one.seconds for one in group), 3),
            _local(group[0].start_utc_s, zone).isoformat(timespec="seconds"),
            _local(group[-1].start_utc_s, zone).isoformat(timespec="seconds"),
            group[-1].reference["id"],
        ]
        for (station, _), group in grouped.items()
    ]
    return sorted(rows, key=lambda row: (str(row[0]), -float(row[6])))


def _cue(airplays: Sequence[Airplay], zone: tzinfo) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for number, one in enumerate(airplays, 1):
        start, end = _local(one.start_utc_s, zone), _local(one.end_utc_s, zone)
        names = (("title",), ("composer",), ("publisher",), ("society",), ("artist",), ("label",))
        rows.append(
            [
                one.station,
                start.date().isoformat(),
                number,
                *(one.named(*name) for name in names),
                start.strftime("%H:%M:%S"),
                end.strftime("%H:%M:%S"),
                _clock(one.seconds),
                {"background": "B", "foreground": "F"}.get(one.usage, ""),
                _isrc(one),
                one.named("iswc"),
            ]
        )
    return rows


def _suisa(airplays: Sequence[Airplay], zone: tzinfo) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for one in airplays:
        start = _local(one.start_utc_s, zone)
        rows.append(
            [
                one.station,
                one.named("title"),
                one.named("komponist", "composer"),
                one.named("artist"),
                start.strftime("%Y%m%d"),
                _clock(one.seconds),
                start.strftime("%H:%M:%S"),
                _isrc(one),
                one.named("label"),
                str(one.reference["id"]),
                one.named("eigenaufnahmen"),
                one.named("ean/gtin", "upc"),
                one.named("album"),
                one.named("aufnahmedatum", "recording_date"),
                one.named("aufnahmeland", "recording_country"),
                one.named("erstveröffentlichungsdatum", "release_date"),
                one.named("katalognummer", "catalog_number"),
                one.named("werkverzeichnisangaben", "opus"),
                one.named("bestellnummer", "order_number"),
            ]
        )
    return rows


def _soundexchange(airplays: Sequence[Airplay], zone: tzinfo) -> list[list[Cell]]:  # noqa: ARG001 - counts have no time of day
    grouped: dict[tuple[str, object], list[Airplay]] = {}
    for one in airplays:
        grouped.setdefault((one.station, one.reference["id"]), []).append(one)
    rows: list[list[Cell]] = []
    for (station, _), group in grouped.items():
        one = group[-1]
        names = (one.named("artist"), one.named("title"), _isrc(one), one.named("album"), one.named("label"))
        rows.append([station, one.named("transmission_category"), *map(_ascii, names), "", station, len(group)])
    return sorted(rows, key=lambda row: [str(cell) for cell in row[:4]])


def _ascii(text: str) -> str:
    """Report files are ASCII: letters lose their accents, what has no such letter becomes a question mark."""
    parts = unicodedata.normalize("NFKD", text.translate(_SPELT))
    return "".join(part for part in parts if not unicodedata.combining(part)).encode("ascii", "replace").decode()


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="plays",
            about="every play",
            columns=(
                *("station", "start", "end", "seconds", "artist", "title", "album", "isrc", "iswc", "upc", "label", "composer"),
                *("confidence", "usage", "complete", "on_air", "pieces", "or_else", "reference_id", "path", "ids"),
            ),
            rows=_plays,
        ),
        Layout(
            name="totals",
            about="plays and seconds of each recording on each station",
            columns=("station", "artist", "title", "album", "isrc", "plays", "seconds", "first", "last", "reference_id"),
            rows=_totals,
        ),
        Layout(
            name="cue",
            about="a cue sheet",
            columns=(
                *(
                    "Programme",
                    "Air date",
                    "No.",
                    "Cue title",
                    "Composer",
                    "Publisher",
                    "Society",
                    "Performer",
                    "Label",
                    "In",
                    "Out",
                ),
                *("Duration", "Usage", "ISRC", "ISWC"),
            ),
            rows=_cue,
        ),
        Layout(
            name="suisa",
            about="what SUISA asks broadcasters for",
            columns=(
                *("Sender", "Titel", "Komponist", "Interpret", "Sendedatum", "Sendedauer", "Sendezeit", "ISRC", "Label"),
                *("Identifikationsnummer", "Eigenaufnahmen", "EAN/GTIN", "Albumtitel", "Aufnahmedatum", "Aufnahmeland"),
                *("Erstveröffentlichungsdatum", "Katalognummer", "Werkverzeichnisangaben", "Bestellnummer"),
            ),
            rows=_suisa,
        ),
        Layout(
            name="soundexchange",
            about="a report of use as SoundExchange asks for, with the play frequency: ASCII, pipes, carets, no header",
            columns=(
                *("NAME_OF_SERVICE", "TRANSMISSION_CATEGORY", "FEATURED_ARTIST", "SOUND_RECORDING_TITLE", "ISRC", "ALBUM_TITLE"),
                *("MARKETING_LABEL", "AGGREGATE_TUNING_HOURS", "CHANNEL_OR_PROGRAM_NAME", "PLAY_FREQUENCY"),
            ),
            rows=_soundexchange,
            dialect=Carets,
            headed=False,
        ),
    )
}
