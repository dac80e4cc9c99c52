"""Each list has its columns, its formats and its time zone."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from monitor.report import files
from monitor.report.airplay import Airplay
from monitor.report.layouts import LAYOUTS

ZURICH = ZoneInfo("Europe/Zurich")
REFERENCE: dict[str, Any] = {
    "id": 7,
    "title": "Über-Café",
    "artist": "Bjørk",
    "album": "Alb|um",
    "isrc": "CHA012345678",
    "path": "a/b.flac",
    "custom": {"Composer": "C. Omponist", "label": "L^abel", "UPC": "4006381333931", "publisher": "P", "society": "SUISA"},
}
PLAY = Airplay(
    station="one",
    start_utc_s=1_793_054_100.25,  # 2026-10-26T22:35:00.250Z
    end_utc_s=1_793_054_340.75,
    seconds=200.5,
    reference=REFERENCE,
    confidence=0.99,
    usage="background",
    complete=True,
    ids=("x", "y"),
)
NAMELESS = Airplay(
    station="one",
    start_utc_s=1_793_057_000.0,
    end_utc_s=1_793_057_010.0,
    seconds=10.0,
    reference={"id": 8, "isrc": "wrong"},
    confidence=0.5,
)


def rows(name: str, *plays: Airplay) -> list[dict[str, Any]]:
    layout = LAYOUTS[name]
    found = layout.rows(plays, ZURICH)
    assert all(len(row) == len(layout.columns) for row in found)
    return [dict(zip(layout.columns, row, strict=True)) for row in found]


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_not_known_is_an_empty_cell(name: str) -> None:
    assert rows(name) == []
    (row,) = rows(name, NAMELESS)
    assert "wrong" not in row.values(), "an ISRC of another form is refused by those who read it"
    assert None not in row.values()


def test_every_play() -> None:
    (row,) = rows("plays", PLAY)
    assert (row["start"], row["end"]) == ("2026-10-26T23:35:00.250+01:00", "2026-10-26T23:39:00.750+01:00")
    assert (row["seconds"], row["pieces"], row["ids"], row["usage"], row["complete"], row["on_air"]) == (
        *(200.5, 2, "x y", "background"),
        *("yes", "no"),
    )
    assert (row["isrc"], row["upc"], row["composer"], row["label"]) == ("CHA012345678", "4006381333931", "C. Omponist", "L^abel")


def test_totals_count_each_recording_on_each_station() -> None:
    found = rows("totals", PLAY, PLAY, NAMELESS)
    assert [(row["title"], row["plays"], row["seconds"]) for row in found] == [("Über-Café", 2, 401.0), ("", 1, 10.0)]


def test_a_cue_sheet() -> None:
    first, second = rows("cue", PLAY, NAMELESS)
    assert (first["No."], first["Air date"], first["In"], first["Out"], first["Duration"], first["Usage"]) == (
        *(1, "2026-10-26", "23:35:00", "23:39:00"),
        *("00:03:20", "B"),
    )
    assert (first["Composer"], first["Publisher"], first["Society"], second["No."]) == ("C. Omponist", "P", "SUISA", 2)


def test_what_suisa_reads() -> None:
    (row,) = rows("suisa", PLAY)
    wanted = {"Sender": "one", "Titel": "Über-Café", "Komponist": "C. Omponist", "Interpret": "Bjørk", "Label": "L^abel"}
    wanted |= {"Sendedatum": "20261026", "Sendezeit": "23:35:00", "Sendedauer": "00:03:20", "Albumtitel": "Alb|um"}
    wanted |= {"ISRC": "CHA012345678", "EAN/GTIN": "4006381333931", "Identifikationsnummer": "7"}
    assert {name: row[name] for name in wanted} == wanted


def test_what_soundexchange_reads() -> None:
    layout = LAYOUTS["soundexchange"]
    out = io.StringIO(newline="")
    files.write_csv(layout, layout.rows([PLAY, PLAY], ZURICH), out)
    assert out.getvalue() == "^one^|^^|^Bjork^|^Uber-Cafe^|^CHA012345678^|^Alb|um^|^L^^abel^|^^|^one^|2\r\n"
    assert out.getvalue().isascii()


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"soundexchange"}))
def test_csv_comes_back_as_it_was(name: str) -> None:
    out = io.StringIO(newline="")
    content = LAYOUTS[name].rows([PLAY, NAMELESS], ZURICH)
    files.write_csv(LAYOUTS[name], content, out)
    head, *lines = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert tuple(head) == LAYOUTS[name].columns
    assert lines == [[str(cell) for cell in row] for row in content]


def value(cell: ElementTree.Element, tag: str, shared: list[str]) -> str | float:
    text = cell.findtext(tag)
    assert text is not None
    return shared[int(text)] if cell.get("t") == "s" else float(text)


def sheets(book: bytes) -> dict[str, list[list[str | float]]]:
    """Read a workbook without the library that wrote it."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        shared = ["".join(node.itertext()) for node in ElementTree.fromstring(parts.read("xl/sharedStrings.xml"))]
        names = [sheet.get("name") for sheet in ElementTree.fromstring(parts.read("xl/workbook.xml")).iter(f"{space}sheet")]
        found = {}
        for number, name in enumerate(names, 1):
            tree = ElementTree.fromstring(parts.read(f"xl/worksheets/sheet{number}.xml"))
            assert not list(tree.iter(f"{space}f")), "no formulas"
            found[str(name)] = [[value(cell, f"{space}v", shared) for cell in row] for row in tree.iter(f"{space}row")]
    return found


def test_a_workbook_has_the_rows_and_the_totals_and_no_formulas() -> None:
    layout, totals = LAYOUTS["plays"], LAYOUTS["totals"]
    sly = Airplay(
        station="one",
        start_utc_s=0.0,
        end_utc_s=1.0,
        seconds=1.0,
        confidence=1.0,
        reference={"id": 9, "title": "=1+1", "artist": "https://a.example"},
    )
    content, sums = layout.rows([PLAY, sly], ZURICH), totals.rows([PLAY, sly], ZURICH)
    found = sheets(files.xlsx(layout, content, (totals, sums)))
    assert list(found) == ["plays", "totals"]
    assert found["plays"][0] == list(layout.columns)
    assert found["plays"][2][layout.columns.index("title")] == "=1+1"
    assert found["totals"][1] == sums[0]
    assert list(sheets(files.xlsx(totals, sums, (totals, sums)))) == ["totals"]
