"""The short form of the fault run (tests/faults): what breaks is told, comes back, and its neighbour notices nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import cases
from tests.faults.__main__ import run
from tests.faults.servers import RTMP_MODULE, SYSTEM_PYTHON

HAS_RTSP = 'import gi; gi.require_version("GstRtspServer", "1.0")'


def _need_servers() -> None:
    """Ask for what is no program: a module and a binding."""
    if RTMP_MODULE.exists() and subprocess.run([SYSTEM_PYTHON, "-c", HAS_RTSP], capture_output=True, check=False).returncode == 0:
        return
    text = "nginx's RTMP module or GStreamer's RTSP server is not installed; `make test` installs them"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


async def test_what_breaks_comes_back_and_its_neighbour_notices_nothing(need: Callable[[str], Path]) -> None:
    for program in ("icecast2", "nginx", "liquidsoap"):
        need(program)
    _need_servers()
    report = await run((cases.SHORT,), short=True)
    assert report.failed == []
    assert (report.neighbour_restarts, report.neighbour_gaps_s) == (0, 0.0)
    rows = {row.case: row for row in report.rows}
    assert len(rows) == len(cases.SHORT)
    for row in rows.values():
        # Servers and segments hold back some seconds, and the machine may be slow; but what was away is missed, and little more.
        assert row.missed_s <= row.unavailable_s + 6.0, row
        assert row.recover_s is None or row.recover_s < 15.0, row
        assert row.restarts <= 8, row
        if row is not rows["Liquidsoap switches sources"]:  # its second source is behind the first, and nothing was lost on the way
            assert row.ledger_s == pytest.approx(row.missed_s, abs=2.0), row  # missed are whole seconds
    switched = rows["Liquidsoap switches sources"]
    assert (switched.restarts, switched.ledger_s, switched.note) == (0, pytest.approx(0.0, abs=0.5), "said: Böb - One, Böb - Two")
    assert rows["half-open connection"].reason == "no sound for 5 s"
    assert 3.0 < (rows["half-open connection"].detect_s or 0.0) < 8.0
    assert "404 Not Found" in rows["playlist 404"].reason
    away = rows["sender away"]
    assert (away.restarts, away.reason) == (0, ""), "a pause within the time-out is no loss of the connection"
    assert 2.0 < away.gap_s < 5.0, "but the sender's time stamps say what is missing"
