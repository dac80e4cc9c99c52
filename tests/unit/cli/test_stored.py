"""`monitor events` and `monitor report` read what is stored, in the time zone that is asked for."""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.cli import main, stored
from monitor.errors import ConfigError
from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.outbox import DiskOutbox

MIDNIGHT = 1_793_055_600.0
"""2026-10-27 in Zurich, 23:00 the day before in UTC."""


def said(number: int, kind: EventKind, start_s: float, end_s: float, *, station: str = "one", who: int = 7) -> Detection:
    play = Play(
        stream=station,
        reference_id=who,
        start_s=start_s,
        end_s=end_s,
        reference_start_s=0.0,
        reference_end_s=end_s - start_s,
        speed=1.0,
        score=0.8,
        evidence=44.0,
        confidence=0.99,
        detected_s=start_s + 3.0,
    )
    return Detection(
        id=f"play-{number}",
        kind=kind,
        station=station,
        start_utc_s=MIDNIGHT + start_s,
        end_utc_s=MIDNIGHT + end_s,
        uncertainty_s=0.25,
        detected_utc_s=MIDNIGHT + start_s + 3.0,
        play=play,
        reference=Reference(id=who, path=f"{who}.opus", title=f"T{who}", artist="A", isrc="CHA012345678", duration_s=180.0),
        recipe="0123456789abcdef",
        generation=3,
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[str]:
    """A running monitor's, with four plays, one of them taken back, one still on air."""
    made = DiskOutbox(tmp_path / "outbox.db", keep_days=30.0, tell=lambda fact: None, utc_s=lambda: MIDNIGHT + 900.0)
    made.put([said(1, EventKind.STARTED, -50, -40), said(1, EventKind.ENDED, -50, 100), said(2, EventKind.ENDED, 110, 200)])
    made.put([said(3, EventKind.STARTED, 300, 310, who=8), said(3, EventKind.RETRACTED, 300, 310, who=8)])
    made.put([said(4, EventKind.STARTED, 400, 450, station="two", who=9)])
    made.acknowledge([1, 2, 3])
    yield str(tmp_path / "outbox.db")
    made.close()


DAY = ("--tz", "Europe/Zurich", "--from", "2026-10-27", "--to", "2026-10-27")


def test_events_as_they_were_published(outbox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--outbox", outbox, "--format", "json", "--station", "one", *DAY]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["sequence"], event["type"]) for event in events] == [
        (2, "ended"),
        (3, "ended"),
        (4, "started"),
        (5, "retracted"),
    ]
    assert events[0]["start"] == "2026-10-26T22:59:10.000Z", "a payload stays in UTC"


def test_events_as_csv_have_local_times_and_their_delivery(outbox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--outbox", outbox, "--format", "csv", *DAY]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["station"] for row in rows] == ["one"] * 4 + ["two"]
    assert rows[0]["start"] == "2026-10-26T23:59:10.000+01:00"
    assert [bool(row["delivered"]) for row in rows] == [True, True, False, False, False]
    assert rows[0]["stored"] == "2026-10-27T00:15:00+01:00"


def test_events_as_a_table(outbox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--outbox", outbox, *DAY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "A – T" in line]) == 5
    assert any("retracted" in line and "waits" in line for line in lines)
    assert main(["events", "--outbox", outbox, "--from", "2020-01-01", "--to", "2020-01-02"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no events are stored of that time\n")


def test_a_report_counts_what_was_on_air_that_day(outbox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--outbox", outbox, *DAY]) == 0
    captured = capsys.readouterr()
    first, second = csv.DictReader(io.StringIO(captured.out, newline=""))
    assert (first["start"], first["seconds"], first["pieces"]) == ("2026-10-27T00:00:00.000+01:00", "190.0", "2")
    assert (second["station"], second["title"], second["on_air"]) == ("two", "T9", "yes")
    assert captured.err == "2 plays of 2 recordings on 2 stations, 240 s; 1 still on air, counted as far as heard\n"
    assert main(["report", "--outbox", outbox, *DAY, "--merge-gap", "0", "--station", "one"]) == 0
    assert capsys.readouterr().err == "2 plays of 1 recordings on 1 stations, 190 s\n"


def test_a_report_that_cannot_be_printed_says_so_as_every_command_does(outbox: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-u", "-m", "monitor", "report", "--outbox", outbox, *DAY],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 75
    assert done.stderr.startswith("monitor: the disk is full ([Errno 28]")


def test_a_report_says_that_it_reaches_back_to_what_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A month's report was made when its first days were no longer kept: it lacked them, and nothing said so.
    clock = [MIDNIGHT]
    path = str(tmp_path / "outbox.db")
    outbox = DiskOutbox(Path(path), keep_days=1.0, tell=lambda fact: None, utc_s=lambda: clock[0], now_s=lambda: clock[0])
    outbox.put([said(1, EventKind.ENDED, 10, 100)])
    clock[0] += 2 * 86400.0
    outbox.acknowledge([1])
    outbox.put([said(2, EventKind.ENDED, 2 * 86400 - 90, 2 * 86400)])
    outbox.acknowledge([2])
    clock[0] += 0.6 * 86400.0
    outbox.put([said(3, EventKind.ENDED, 2.6 * 86400 - 90, 2.6 * 86400)])
    outbox.acknowledge([3])

    def complaint(begin: str, end: str = "2026-10-29") -> list[str]:
        assert main(["report", "--outbox", path, "--tz", "Europe/Zurich", "--from", begin, "--to", end]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("monitor: ")]

    assert complaint("2026-10-27") == [], "as long as all is there"
    clock[0] += 0.6 * 86400.0
    assert outbox.prune() == 2
    says = "monitor: not all that was on air before {} is stored any more (keep_days, max_mb of [outbox])"
    assert complaint("2026-10-27") == [says.format("2026-10-29T14:24")]
    assert complaint("2026-10-27", "2026-10-27") == [says.format("2026-10-28T00:00")], "nor of all that is asked for"
    assert complaint("2026-10-29T14:24") == []
    outbox.close()


def test_a_report_goes_to_a_file_whose_ending_says_how(outbox: str, tmp_path: Path) -> None:
    assert main(["report", "--outbox", outbox, *DAY, "--layout", "suisa", "--out", str(tmp_path / "r.xlsx")]) == 0
    with zipfile.ZipFile(tmp_path / "r.xlsx") as book:
        assert "Sendedatum" in book.read("xl/sharedStrings.xml").decode()
    assert main(["report", "--outbox", outbox, *DAY, "--layout", "totals", "--out", str(tmp_path / "r.csv")]) == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text(), newline="")))
    assert [(row["title"], row["plays"], row["seconds"]) for row in rows] == [("T7", "1", "190.0"), ("T9", "1", "50.0")]


def test_what_is_wrong_is_one_line(outbox: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, complaint in (
        (("--station", "three"), "monitor: --station three: no events are stored; there are some of one, two\n"),
        (("--tz", "Mars/Base"), "monitor: --tz Mars/Base: no such time zone; write it as Europe/Zurich\n"),
        (("--from", "yesterday"), "monitor: --from yesterday: no time; write 2026-11-21 or 2026-11-21T06:30\n"),
        (("--from", "2026-10-27", "--to", "2026-10-26"), "monitor: --to does not come after --from\n"),
        (("--merge-gap", "-1"), "monitor: --merge-gap: must not be negative\n"),
        (("--out", str(tmp_path)), f"monitor: {tmp_path}: cannot be written: Is a directory\n"),
    ):
        assert main(["report", "--outbox", outbox, *wrong]) == 78
        assert capsys.readouterr().err == complaint


def test_the_outbox_is_the_one_of_the_configuration(outbox: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text(f'[outbox]\npath = "{outbox}"\n')
    assert main(["events", "-c", str(tmp_path / "config.toml"), "--format", "csv", *DAY]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def asked(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"begin": None, "end": None, "tz": None, **given})


def test_a_day_is_as_long_as_the_clocks_make_it() -> None:
    when = stored.period(asked(begin="2026-10-25", end="2026-10-25", tz="Europe/Zurich"))
    assert when.to_utc_s - when.from_utc_s == 25 * 3600.0, "summer time ends"


def test_without_times_the_last_day_is_meant() -> None:
    when = stored.period(asked(), now_utc_s=1_000_000.0)
    assert (when.from_utc_s, when.to_utc_s) == (1_000_000.0 - 86400.0, 1_000_000.0)


def test_an_offset_within_a_time_goes_before_the_zone() -> None:
    when = stored.period(asked(begin="2026-10-25T00:00+00:00", end="2026-10-25T12:00", tz="Europe/Zurich"))
    assert when.to_utc_s - when.from_utc_s == 11 * 3600.0


@pytest.mark.parametrize("zone", ["../etc/passwd", "/etc/passwd", "a\0b"])
def test_a_zone_is_no_path(zone: str) -> None:
    with pytest.raises(ConfigError, match="no such time zone"):
        stored.period(asked(tz=zone))
