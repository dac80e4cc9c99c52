"""Lines people and machines can read, without secrets."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from monitor.observe.logs import setup
from monitor.settings import LogFormat, LogSettings


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def json_to(out: io.StringIO, *, level: str = "info", secrets: tuple[str, ...] = ()) -> Any:
    setup(LogSettings(level=level, format=LogFormat.JSON), environ={}, secrets=secrets, out=out)
    return structlog.get_logger()


def test_json_has_time_level_and_fields() -> None:
    out = io.StringIO()
    json_to(out).warning("stream is lost", stream="a", retry_in_s=1.5)
    (line,) = lines(out)
    assert (line["event"], line["level"], line["stream"], line["retry_in_s"]) == ("stream is lost", "warning", "a", 1.5)
    assert line["timestamp"].endswith("Z")


def test_the_level_holds_for_libraries_too() -> None:
    out = io.StringIO()
    log = json_to(out)
    log.debug("no")
    logging.getLogger("aiohttp").info("yes")
    logging.getLogger("aiohttp").debug("no")
    assert [(line["event"], line["level"]) for line in lines(out)] == [("yes", "info")]


def test_secrets_are_masked_wherever_they_are() -> None:
    out = io.StringIO()
    log = json_to(out, secrets=("hunter2", ""))
    log.info("open http://u:p@h/x", password="a", nested={"token": "b", "l": ["hunter2!"]}, error=OSError("for hunter2"))
    logging.getLogger("library").warning("hunter2 sent to %s", "rtsp://u:pw@cam/1")
    text = out.getvalue()
    assert "hunter2" not in text
    assert "u:p" not in text
    first, second = lines(out)
    assert first["event"] == "open http://***@h/x"
    assert (first["password"], first["nested"]) == ("***", {"token": "***", "l": ["***!"]})
    assert second["event"] == "*** sent to rtsp://***@cam/1"


def test_exceptions_are_in_the_line_and_masked() -> None:
    out = io.StringIO()
    log = json_to(out, secrets=("hunter2",))
    try:
        raise ValueError("bad hunter2")
    except ValueError:
        log.exception("crash")
    (line,) = lines(out)
    assert "ValueError: bad ***" in line["exception"]


def test_console_is_for_people() -> None:
    out = io.StringIO()
    setup(LogSettings(format=LogFormat.CONSOLE), environ={}, secrets=("hunter2",), out=out)
    structlog.get_logger().info("catalogue in service", generation=3, url="http://u:hunter2@h/")
    assert "catalogue in service" in out.getvalue()
    assert "generation=3" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_auto_is_json_in_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as out:
        setup(LogSettings(), environ={}, out=out)
        structlog.get_logger().info("x")
    assert json.loads((tmp_path / "log").read_text())["event"] == "x"


def test_the_journal_gets_priorities(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as out:
        status = os.fstat(out.fileno())
        setup(LogSettings(), environ={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, out=out)
        structlog.get_logger().warning("x")
        structlog.get_logger().error("y")
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.startswith("<4>{")
    assert second.startswith("<3>{")
    assert json.loads(first[3:])["event"] == "x"


def test_a_journal_stream_inherited_by_another_output_is_not_ours(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as out:
        setup(LogSettings(), environ={"JOURNAL_STREAM": "1:2"}, out=out)
        structlog.get_logger().warning("x")
    assert (tmp_path / "log").read_text().startswith("{")


def test_what_a_reload_brings_is_masked_from_then_on() -> None:
    # The password of a stream that SIGHUP had added was masked within addresses only.
    out = io.StringIO()
    masker = setup(LogSettings(format=LogFormat.JSON), environ={}, secrets=("hunter2",), out=out)
    masker.add(["hunter2-and-more", ""])
    structlog.get_logger().info("said hunter2-and-more and hunter2")
    assert lines(out)[0]["event"] == "said *** and ***"
