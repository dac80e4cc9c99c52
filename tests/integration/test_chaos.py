"""The chaos run in its short form: one of each fault, in order. And whether its judge would notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import judge, plan
from tests.chaos.plan import Kind
from tests.chaos.rig import PREFIX
from tests.chaos.run import Life, Outcome, Record
from tests.chaos.witness import Heard

LIMIT_S = 580.0
"""Three starts of the daemon on a machine that does other things too."""


def test_everything_arrives_whatever_happens(need: Callable[[str], Path], tmp_path: Path) -> None:
    for program in ("mosquitto", "ffmpeg", "faketime"):
        need(program)
    if os.getuid() and not os.environ.get("CI"):
        pytest.skip("a small disk can only be mounted by root")
    command = [sys.executable, "-m", "tests.chaos", "--short", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "out" / "chaos.json").read_text())
    assert {fault["kind"] for fault in content["faults"]} == {kind.value for kind in Kind}
    assert all(fault["seen"] for fault in content["faults"])
    assert content["figures"]["events in the store"] > 10


def test_a_seed_decides_everything() -> None:
    assert plan.by_chance(7, 3600.0) == plan.by_chance(7, 3600.0)
    assert plan.by_chance(7, 3600.0) != plan.by_chance(8, 3600.0)
    assert {fault.kind for fault in plan.by_chance(7, 3600.0)} == set(Kind)
    for track in plan.TRACKS:
        faults = [fault for fault in plan.by_chance(7, 3600.0) if fault.kind in track.kinds]
        assert all(before.at_s + before.for_s <= after.at_s for before, after in pairwise(faults))


def event(sequence: int, kind: str, **changes: Any) -> bytes:
    reference = {"id": 1, "title": "T", "artist": "A", "album": "", "isrc": "", "duration_s": 9.0, "custom": {}, "path": "a.opus"}
    said = {
        "station": "one",
        "sequence": sequence,
        "type": kind,
        "id": "play",
        "start": "2026-11-21T10:00:00.000Z",
        "reference": reference,
    }
    return json.dumps({**said, **changes}).encode()


def told(*payloads: bytes) -> list[Heard]:
    return [Heard(0.0, f"{PREFIX}/one/events", False, payload) for payload in payloads]


GOOD = {("one", 1): event(1, "started"), ("one", 2): event(2, "updated"), ("one", 3): event(3, "ended")}
FIRST, SECOND, THIRD = GOOD.values()


def record(**changes: Any) -> Record:
    """A run that went well."""
    left = {
        f"{PREFIX}/status": b'{"state": "stopped"}',
        f"{PREFIX}/one/now": b"[]",
        f"{PREFIX}/one/status": b'{"state": "offline"}',
    }
    content = {"retained": left, "on_air_utc_s": {"one": 0.0}, "lives": [Life(began_s=0.0, code=0, told=3.0)]}
    return Record(**{**content, **changes})


def failures(
    heard: list[Heard], store: dict[judge.EVENT_KEY, bytes] = GOOD, undelivered: int = 0, log: str = "", **changes: Any
) -> list[str]:
    """Names of what is wrong; the made-up events are too short for the schema, which is left out."""
    found = judge.judge(record(**changes), store, undelivered, heard, log).failures
    return [one.partition(":")[0] for one in found if "schema" not in one]


def test_a_run_that_went_well_passes() -> None:
    assert failures(told(FIRST, SECOND, THIRD)) == []
    assert failures(told(FIRST, SECOND, FIRST, SECOND, THIRD)) == [], "repetitions are expected"


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        (told(FIRST, THIRD), "holes in a sequence"),
        (told(FIRST, SECOND), "events in the store that were not received"),
        (told(FIRST, SECOND), "plays that began and never ended"),
        (told(FIRST, SECOND, THIRD, event(4, "updated")), "events received that are not in the store"),
        (told(FIRST, SECOND, THIRD, event(4, "updated")), "plays told of after their end"),
        (told(FIRST, THIRD, SECOND), "stations whose events came out of order"),
        (told(FIRST, SECOND, event(2, "updated", id="other"), THIRD), "sequence numbers received with differing contents"),
        (told(FIRST, event(2, "updated", note=1), THIRD), "events that differ from the store"),
        (told(FIRST, SECOND, event(3, "started")), "plays started twice"),
        (told(SECOND, THIRD), "plays that did not begin with their start"),
        (told(FIRST, SECOND, event(3, "ended", note=1)), "plays whose folded state differs from the store's"),
        ([*told(FIRST, SECOND), Heard(0.0, f"{PREFIX}/one/events", True, THIRD)], "events on a wrong topic, or retained"),
    ],
)
def test_the_judge_notices(heard: list[Heard], wrong: str) -> None:
    assert wrong in failures(heard)


def test_the_judge_notices_what_no_event_tells() -> None:
    heard = told(FIRST, SECOND, THIRD)
    lost = [Life(began_s=0.0, code=0, told=5.0)]
    assert failures(heard, lives=lost) == ["events lost between counting and storing"]
    assert failures(heard, lives=[Life(began_s=0.0, code=-9, told=5.0, held=2.0)]) == [], "killed with a full disk: documented"
    assert failures(heard, undelivered=1) == ["events the store still holds for the broker"]
    assert failures(heard, log="Traceback (most recent call last):") == ["tracebacks in the daemon's log"]
    assert failures(heard, retained={}) == ["retained topics that are not what a stopped monitor leaves"]
    assert failures(heard, orphans=1) == ["decoders left behind by a dead daemon"]
    missed = Outcome(fault=plan.in_order()[0], began_s=1.0)
    assert "| 1 | 0 |" in judge.table(record(outcomes=[missed]), judge.Verdict(), ""), "a fault that was not seen to bite"
