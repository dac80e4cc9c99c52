"""`monitor airtime`: answers, forms, time zones, days with a change of clocks, and what a person reads when it cannot answer."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.core.airtime import Interval
from monitor.ledger.book import Batch, Book, PlayRow
from monitor.messages import AirState

DAY = datetime(2026, 3, 29, tzinfo=UTC).timestamp()
"""In Berlin the clocks go forward at 01:00 UTC."""
HOUR = 3600.0


def interval(start_h: float, end_h: float, state: AirState) -> Interval:
    return Interval(start_s=DAY + start_h * HOUR, end_s=DAY + end_h * HOUR, state=state)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A day of station `one`: music with two plays, talk, a gap of half an hour; written up to 20:00."""
    path = tmp_path / "ledger.db"
    book = Book(path, keep_days=400.0)
    stretches = [
        interval(-2, 6, AirState.MUSIC),
        interval(6, 7, AirState.SPEECH),
        interval(7, 7.5, AirState.NOT_RECEIVED),
        interval(7.5, 19, AirState.MUSIC),
        interval(19, 20, AirState.SILENCE),
    ]
    plays = {
        number: PlayRow(
            play=number,
            station="one",
            start_s=DAY + hour * HOUR,
            end_s=DAY + hour * HOUR + 180,
            on_air=False,
            reference=1,
            artist="Ä & B",
            title='The "T", really',
        )
        for number, hour in (("p1", 2.0), ("p2", 9.0))
    }
    book.write(Batch(stretches={"one": stretches, "two": [interval(0, 1, AirState.SHED)]}, plays=plays))
    book.close()
    return path


def run(ledger: Path, *arguments: str) -> int:
    return main(["airtime", *arguments, "--ledger", str(ledger)])


def test_a_window_we_listened_to_all_the_time(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ledger, "one", "--from", "2026-03-29T09:00", "--to", "2026-03-29T10:00") == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "one, 2026-03-29T09:00:00.000Z to 2026-03-29T10:00:00.000Z: listened all the time"
    words = " ".join(said.split())
    assert "matched 0:03:00.0 5.00 % music 0:57:00.0 95.00 %" in words


def test_a_window_we_did_not_listen_to(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ledger, "one", "--from", "2026-03-29T07:10", "--to", "2026-03-29T07:20") == 1
    assert capsys.readouterr().out.splitlines()[0].endswith(": did not listen at all")
    assert run(ledger, "one", "--from", "2026-03-29T06:00", "--to", "2026-03-29T08:00") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert ": listened 75.00 % of the time; 0:30:00.0 not" in said
    assert "not received 0:30:00.0 from 2026-03-29T07:00:00.000Z" in said


def test_what_was_shed_was_not_listened_to(ledger: Path) -> None:
    assert run(ledger, "two", "--from", "2026-03-29T00:10", "--to", "2026-03-29T00:20") == 1


def test_what_is_not_written_was_not_received_and_it_says_how_far_it_is(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ledger, "one", "--from", "2026-03-29T19:00", "--to", "2026-03-29T21:00", "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["seconds"] == {"matched": 0.0, "music": 0.0, "speech": 0.0, "silence": 3600.0, "not_received": 3600.0, "shed": 0.0}
    assert told["written_until"] == "2026-03-29T20:00:00.000Z"


def test_a_day_with_a_change_of_clocks_has_23_hours(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = ("--from", "2026-03-29", "--to", "2026-03-29", "--tz", "Europe/Berlin")
    assert run(ledger, "one", *day, "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["to"]) == ("2026-03-29T00:00:00.000+01:00", "2026-03-30T00:00:00.000+02:00")
    assert sum(told["seconds"].values()) == pytest.approx(23 * HOUR)
    assert [play["start"] for play in told["plays"]] == ["2026-03-29T04:00:00.000+02:00", "2026-03-29T11:00:00.000+02:00"]


def test_the_day_as_far_as_it_is_written_is_the_default(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ledger, "one", "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["to"]) == ("2026-03-29T00:00:00.000Z", "2026-03-29T20:00:00.000Z")


def test_csv_touches_and_names_the_plays(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(ledger, "one", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert all(one["end"] == other["start"] for one, other in pairwise(rows))
    assert sum(float(row["seconds"]) for row in rows) == pytest.approx(20 * HOUR)
    matched = [row for row in rows if row["state"] == "matched"]
    assert [(row["play"], row["artist"], row["title"]) for row in matched] == [
        ("p1", "Ä & B", 'The "T", really'),
        ("p2", "Ä & B", 'The "T", really'),
    ]


@pytest.mark.parametrize(("start", "end"), [("2026-03-29", "2026-03-29"), ("2026-03-27", "2026-03-31")])
def test_a_picture_is_written(ledger: Path, tmp_path: Path, start: str, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "day.png"
    run(ledger, "one", "--from", start, "--to", end, "--tz", "Europe/Berlin", "--format", "png", "--out", str(out))
    assert capsys.readouterr().out.strip() == str(out)
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("three",), "nothing is written of a station 'three'; there are: one, two"),
        (("one", "--from", "yesterday"), "'yesterday' is no time; write 2026-11-21"),
        (("one", "--from", "2026-03-29T10:00", "--to", "2026-03-29T09:00"), "--to must be later than --from"),
        (("one", "--tz", "Mars/Olympus"), "no time zone is called 'Mars/Olympus'"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    ledger: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ledger, *arguments) == 78
    told = capsys.readouterr().err
    assert told.startswith("monitor: ")
    assert said in told
    assert len(told.splitlines()) == 1


def test_files_that_are_no_ledger_are_refused_and_not_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.db"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE x (y)")
    database.commit()
    database.close()
    torn = tmp_path / "torn.db"
    torn.write_bytes(b"SQLite format 3\0" + b"\7" * 5000)
    for path, said in ((other, "another program"), (torn, "damaged or not a ledger"), (tmp_path / "none.db", "no such file")):
        before = path.read_bytes() if path.exists() else b""
        assert run(path, "one") == 78
        assert said in capsys.readouterr().err
        assert (path.read_bytes() if path.exists() else b"") == before


def test_it_is_read_while_it_is_written(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Book(ledger, keep_days=400.0)
    book.write(Batch(stretches={"one": [interval(20, 21, AirState.SPEECH)]}, plays={}))
    assert run(ledger, "one", "--from", "2026-03-29T20:00", "--to", "2026-03-29T21:00") == 0
    book.close()
