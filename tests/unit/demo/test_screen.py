"""The viewer reads the truth, what is said and the sum of it; a terminal gets a table, a pipe gets lines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from monitor.demo.picture import draw
from monitor.demo.plan import Aired, programmes
from monitor.demo.screen import Row, Screen
from monitor.demo.verdict import Told, Verdict, judge

PLAIN, HARD = programmes()
SENT = {"plain": 1000.0, "hard": 1000.5}


def told(clip: str = "a.opus", *, station: str = "plain", start: float = 1010.2, ended: bool = True) -> Told:
    return Told(
        id=f"{station}{clip}",
        station=station,
        clip=clip,
        title="Title [live]",
        artist="Artist",
        confidence=0.97,
        start_utc_s=start,
        end_utc_s=start + 20,
        first_told_utc_s=start + 3,
        ended=ended,
    )


def a_verdict() -> Verdict:
    truth = [
        Aired(station="plain", clip="a.opus", listed=True, start_utc_s=1010, end_utc_s=1030),
        Aired(station="plain", clip="lost.opus", listed=True, start_utc_s=1030, end_utc_s=1050),
        Aired(station="hard", clip="x.opus", listed=False, start_utc_s=1010, end_utc_s=1030),
    ]
    return judge(truth, [told(), told("wrong.opus", station="hard")], 1100)


def screen(*, terminal: bool = False) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, force_terminal=terminal, width=160)), out


@pytest.mark.parametrize(
    ("at_s", "truth"),
    [
        (None, "not yet on air"),
        (1.0, "a voice"),
        (5.0, "sectoid-war-of-freedom"),
        (13.0, "sectoid-war-of-freedom + a voice"),
        (90.0, "paniq-die-gewalt (in no catalogue)"),
        (90.0 + HARD.length_s, "paniq-die-gewalt (in no catalogue)"),
    ],
)
def test_a_row_says_what_is_on_air(at_s: float | None, truth: str) -> None:
    assert Row(programme=HARD, at_s=at_s, told=()).truth == truth


def test_a_pipe_gets_a_line_for_each_change_and_each_event() -> None:
    shown, out = screen()
    with shown.shown():
        for at_s in (5.0, 6.0, 90.0):
            shown.update([Row(programme=HARD, at_s=at_s, told=())], "soon over")
        shown.heard(told(ended=False), first=True, sent_utc_s=1000.0)
        shown.heard(told(ended=False), first=False, sent_utc_s=1000.0)
        shown.heard(told(), first=False, sent_utc_s=1000.0)
    assert [line.split(":", 1)[1].strip() for line in out.getvalue().splitlines()] == [
        "sectoid-war-of-freedom",
        "paniq-die-gewalt (in no catalogue)",
        "Artist: Title [live] since 10.2 s (97%)",
        "Artist: Title [live] from 10.2 to 30.2 s (97%)",
    ]


def test_a_terminal_gets_a_table() -> None:
    shown, out = screen(terminal=True)
    with shown.shown():
        shown.update([Row(programme=PLAIN, at_s=31.0, told=(told(ended=False),))], "9 s to go")
    assert "paniq-randomness-decides + jordan-trudgett-sempridge" in out.getvalue()
    assert "Artist: Title [live] (97%)" in out.getvalue()
    assert "9 s to go" in out.getvalue()


def test_the_conclusion_names_errors_misses_and_falsehoods() -> None:
    shown, out = screen()
    shown.conclude(a_verdict(), SENT)
    text = out.getvalue()
    row = next(line for line in text.splitlines() if "│ a " in line)
    assert [cell.strip() for cell in row.split("│")[3:-1]] == ["10.0", "30.0", "+0.20", "+0.20", "3.2", "found"]
    assert "MISSED" in next(line for line in text.splitlines() if "│ lost " in line)
    assert "rightly not named" in next(line for line in text.splitlines() if "│ x " in line)
    assert "FALSE: on hard at 9.7 s the monitor said Artist: Title [live] (97%)" in text
    assert text.splitlines()[-1] == "1 of 2 plays found, 1 missed, 1 false."


def test_the_conclusion_shows_wrong_times() -> None:
    shown, out = screen()
    truth = [Aired(station="plain", clip="a.opus", listed=True, start_utc_s=1010, end_utc_s=1035)]
    shown.conclude(judge(truth, [told()], 1100), SENT)
    assert "found, wrong times" in next(line for line in out.getvalue().splitlines() if "│ a " in line)
    assert out.getvalue().splitlines()[-1] == "0 of 1 plays found, 1 found with wrong times, 0 missed, 0 false."


def test_the_picture_is_a_png_of_a_readable_size(tmp_path: Path) -> None:
    draw(tmp_path / "timeline.png", a_verdict(), SENT)
    content = (tmp_path / "timeline.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20], "big") >= 1200
