"""What `monitor identify` prints is what is promised, field by field."""

from __future__ import annotations

import csv
import json

import pytest

from monitor.cli.identify import COLUMNS, _Writer, clock, record
from monitor.messages import Play, Reference

PLAY = Play(
    stream="a.mp3",
    reference_id=7,
    start_s=10.004,
    end_s=70.126,
    reference_start_s=0.0,
    reference_end_s=61.3251,
    speed=1.020049,
    score=0.81234,
    evidence=99.0,
    confidence=0.999994,
    detected_s=14.0,
)
REFERENCE = Reference(id=7, path="/music/ö, x.opus", title='Say "Ö"', artist="A", album="B", isrc="DEA123456789", duration_s=61.377)


def test_json_holds_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    writer = _Writer("json")
    writer.write("dir/a.mp3", PLAY, REFERENCE)
    writer.write("b.mp3", PLAY, REFERENCE)
    writer.close()
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "file": "dir/a.mp3",
        "start_s": 10.0,
        "end_s": 70.13,
        "reference": {
            "id": 7,
            "path": "/music/ö, x.opus",
            "title": 'Say "Ö"',
            "artist": "A",
            "isrc": "DEA123456789",
            "duration_s": 61.38,
        },
        "reference_start_s": 0.0,
        "reference_end_s": 61.33,
        "confidence": 1.0,
        "score": 0.812,
        "speed": 1.02,
    }
    assert second["file"] == "b.mp3"


def test_csv_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    writer = _Writer("csv")
    writer.write("a,b.mp3", PLAY, REFERENCE)
    writer.close()
    header, row = csv.reader(capsys.readouterr().out.splitlines())
    assert tuple(header) == COLUMNS
    found = dict(zip(header, row, strict=True))
    assert (found["file"], found["title"], found["path"], found["reference_id"]) == ("a,b.mp3", 'Say "Ö"', "/music/ö, x.opus", "7")
    assert float(found["end_s"]) == 70.13


def test_nothing_found_prints_nothing_to_a_machine_and_a_word_to_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    for form, expected in (("json", ""), ("csv", ",".join(COLUMNS) + "\r\n"), ("table", "nothing known was heard\n")):
        writer = _Writer(form)
        writer.heard = True
        writer.close()
        assert capsys.readouterr().out == expected
    _Writer("table").close()
    assert capsys.readouterr().out == "", "no target gave sound: that was said already"


def test_the_table_names_the_recording(capsys: pytest.CaptureFixture[str]) -> None:
    writer = _Writer("table")
    writer.write("a.mp3", PLAY, REFERENCE)
    assert capsys.readouterr().out == ""
    writer.close()
    text = capsys.readouterr().out
    assert "0:00:10.0" in text
    assert "1.020" in text


def test_a_title_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets are markup to rich: once they vanished, and a "[/]" ended the command."""
    writer = _Writer("table")
    writer.write("[x]", PLAY, Reference(id=1, path="/p", title="[b]Z", artist="[/]"))
    writer.close()
    text = capsys.readouterr().out
    assert "[b]Z" in text
    assert "[/]" in text
    assert "[x]" in text


def test_columns_are_the_flattened_record() -> None:
    content = record("a", PLAY, REFERENCE)
    who = content.pop("reference")
    assert set(COLUMNS) == {*content, *who, "reference_id"} - {"id", "duration_s"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00:00.0"), (59.96, "0:01:00.0"), (3599.99, "1:00:00.0"), (36061.25, "10:01:01.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
