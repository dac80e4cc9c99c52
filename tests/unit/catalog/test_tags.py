from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest
from mutagen.id3 import TCOM, TPUB, TSRC, TXXX
from mutagen.mp4 import MP4FreeForm

from monitor.catalog import tags
from monitor.errors import CatalogError

WHO = {"title": "Größe", "artist": "Ä & B", "album": "First"}


@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "opus", "m4a", "wma", "wav", "aiff"])
def test_reads_the_tags_of_every_common_format(sound_file: Callable[..., Path], ending: str) -> None:
    name = f"song.{ending}"
    if ending == "opus":
        path = sound_file("song.ogg", **WHO).rename(sound_file("x.flac").with_name(name))
    else:
        path = sound_file(name, **WHO)
    opened = mutagen.File(path)
    if ending in {"wav", "aiff"}:  # ffmpeg writes their names where mutagen does not look: put an ID3 tag there, as taggers do
        if opened.tags is None:
            opened.add_tags()
        opened.tags.setall("TIT2", [mutagen.id3.TIT2(text=[WHO["title"]])])
        opened.tags.setall("TPE1", [mutagen.id3.TPE1(text=[WHO["artist"]])])
        opened.tags.setall("TALB", [mutagen.id3.TALB(text=[WHO["album"]])])
    if ending in {"mp3", "wav", "aiff"}:
        opened.tags.add(TSRC(text=["de-a12-34-56789"]))
        for frame in (TCOM(text=["C"]), TPUB(text=["L"]), TXXX(desc="BARCODE", text=["4006381333931"])):
            opened.tags.add(frame)
    elif ending == "m4a":
        opened.tags["\xa9wrt"] = ["C"]
        for name, value in (("ISRC", b"de-a12-34-56789"), ("LABEL", b"L"), ("BARCODE", b"4006381333931")):
            opened.tags[f"----:com.apple.iTunes:{name}"] = [MP4FreeForm(value)]
    elif ending == "wma":
        for name, value in (("ISRC", "de-a12-34-56789"), ("Composer", "C"), ("Publisher", "L"), ("Barcode", "4006381333931")):
            opened.tags[f"WM/{name}"] = [value]
    else:
        for name, value in (("isrc", "de-a12-34-56789"), ("composer", "C"), ("label", "L"), ("barcode", "4006381333931")):
            opened.tags[name] = [value]
    opened.save()
    custom = {"composer": "C", "label": "L", "upc": "4006381333931"}
    assert tags.read(path) == tags.Names(**WHO, isrc="DEA123456789", custom=custom)
    assert tags.read(path, {"label": "Big", "path": "x"}).custom == {**custom, "label": "Big"}, "the CSV goes before the tags"


def test_without_tags_the_title_is_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "A - B.mp3"
    path.write_text("no sound")
    assert tags.read(path) == tags.Names(title="A - B")


@pytest.mark.parametrize("text", ["", "DEA123456789", "de-a12-34-56789", "ISRC DE A12 34 56789"])
def test_an_isrc_is_brought_into_one_form(text: str) -> None:
    assert tags.normal_isrc(text) == ("DEA123456789" if text else "")


@pytest.mark.parametrize("text", ["123456789012", "DEA12345678", "DEA1234567890", "none"])
def test_what_is_no_isrc_is_left_out_and_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is no ISRC"):
        tags.normal_isrc(text)
    path = tmp_path / "a.mp3"
    path.write_text("no sound")
    names = tags.read(path, {"isrc": text})
    assert names.isrc == ""
    assert "is no ISRC" in names.complaints[0]


def test_a_sheet_goes_before_the_tags_and_its_other_columns_are_kept(sound_file: Callable[..., Path], tmp_path: Path) -> None:
    path = sound_file("music/deep/a.flac", **WHO)
    (tmp_path / "music/catalog.csv").write_text("\ufeffFile;Title;Label;artist\ndeep/a.flac;Other;Big; \n", encoding="utf-8")
    sheets = tags.Sheets()
    names = tags.read(path, sheets.row(path, tmp_path / "music"))
    assert names == tags.Names(title="Other", artist=WHO["artist"], album=WHO["album"], custom={"label": "Big"})
    assert sheets.missing() == []
    assert tags.Sheets().row(path, tmp_path / "music/deep") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title,artist\nx,y\n", "needs a column `path` or `file`"),
        ("", "has nothing"),
        ("path,title\n,x\n", "line 2: no path"),
        ("path,title\na.mp3,x\n./a.mp3,y\n", "line 3: ./a.mp3 stands there twice"),
        ("path,title\na\xff.mp3,x\n", "cannot be read as UTF-8"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "names.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CatalogError, match=complaint) as caught:
        tags.Sheets(path)
    assert "\n" not in str(caught.value)


def test_a_sheet_tells_which_of_its_files_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("path,title\ngone.mp3,x\n")
    assert tags.Sheets(path).missing() == [(path, tmp_path / "gone.mp3")]
