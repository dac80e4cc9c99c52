"""The broadcast benchmark from the plan to the page, on the clips that come with the program and through a real ffmpeg."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main

CONDITIONS = ("foreground", "speech -6 dB", "unknown")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("broadcast")
    arguments = [
        "evaluate",
        "broadcast",
        "--split",
        "demo",
        "--hours",
        "0.03",
        "--seed",
        "2",
        "--catalogue",
        "80",
        "--larger",
        "150",
        "--device",
        "cpu",
    ]
    arguments += ["--cache", str(folder / "cache"), "--out", str(folder / "out"), "--conditions", *CONDITIONS]
    assert main(arguments) == 0
    return folder / "out", arguments


def test_recordings_are_found_and_nothing_else_is(run: tuple[Path, list[str]]) -> None:
    """Music in front, and under a voice twice as loud, is found for nearly all of its time; the unknown stays so."""
    out, _ = run
    figures: dict[str, Any] = json.loads((out / "broadcast.json").read_text())
    assert tuple(figures) == (*CONDITIONS, "all")
    for condition in CONDITIONS[:2]:
        seconds, matches = figures[condition]["seconds"], figures[condition]["matches"]
        assert matches["true_found"] >= 1
        assert matches["true_missed"] == matches["told_false"] == 0
        assert seconds["right"] > 0.9 * (seconds["right"] + seconds["missed"])
        assert seconds["false"] < 0.1 * seconds["right"]
    assert figures["unknown"]["matches"] == {"told_right": 0, "told_false": 0, "true_found": 0, "true_missed": 0}


def test_the_page_has_its_tables_and_its_pictures(run: tuple[Path, list[str]]) -> None:
    out, _ = run
    page = (out / "broadcast.md").read_text(encoding="utf-8")
    for wanted in (
        "| foreground |",
        "| speech -6 dB | F1 in seconds | ≥ 0.93 |",
        "80 recordings in the catalogue",
        "## False alarms",
        "\n| 80 | ",
        "\n| 150 | ",
    ):
        assert wanted in page
    for picture in ("conditions", "errors", "reliability", "alarms", "timelines"):
        assert f"{picture}.png" in page
        assert (out / f"{picture}.png").stat().st_size > 5000
    assert "| foreground |" in (out / "readme.md").read_text(encoding="utf-8")


def test_chromaprint_finds_the_music_in_front_in_the_same_sound(need: Callable[[str], Path], run: tuple[Path, list[str]]) -> None:
    """In front, in one station's minutes, it does; the voice hides the rest from it."""
    need("fpcalc")
    page = (run[0] / "broadcast.md").read_text(encoding="utf-8")
    table = page[page.index("## Chromaprint") :]
    f1 = {cells[1].strip(): cells[2].strip() for line in table.splitlines() if len(cells := line.split("|")) == 8}
    assert float(f1["foreground"]) > 0.8
    assert float(f1["speech -6 dB"]) < 0.5


def test_a_second_run_renders_nothing_again_and_says_the_same(run: tuple[Path, list[str]]) -> None:
    """With what the encoder made of one scene gone, as after a change of the encoder, the scene is still there as it was sent."""
    out, arguments = run
    next((out / "heard").glob("foreground-*-heard-*")).unlink()
    kept = {path: path.stat().st_mtime_ns for path in (out / "heard").iterdir()}
    before = json.loads((out / "broadcast.json").read_text())
    assert main([*arguments[: -len(CONDITIONS)], "foreground"]) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    again = json.loads((out / "broadcast.json").read_text())
    assert again["foreground"]["matches"] == before["foreground"]["matches"]
    # Scenes side by side are one product of matrices: which there are changes its last digits.
    assert again["foreground"]["seconds"] == pytest.approx(before["foreground"]["seconds"], abs=1e-6)
    assert "## False alarms" not in (out / "broadcast.md").read_text(encoding="utf-8")  # nothing unknown was played


def test_a_condition_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "broadcast", "--split", "demo", "--out", str(tmp_path), "--conditions", "loud"]) == 78
    assert "no such condition: loud" in capsys.readouterr().err
