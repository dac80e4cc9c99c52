"""A monitor killed again and again, in the middle of whatever it does: sequences have no hole, and no play is on air for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import jsonschema

from monitor.publish.history import History
from monitor.publish.outbox import DiskOutbox
from tests.published import validator

ROUNDS = 4
STATIONS = ("a", "b", "c")
WRITER = """
import itertools, sys
from pathlib import Path
from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.outbox import DiskOutbox

def said(station, number, kind):
    times = {"start_s": 0.0, "end_s": 9.0, "reference_start_s": 0.0, "reference_end_s": 9.0, "detected_s": 3.0}
    play = Play(stream=station, reference_id=1, speed=1.0, score=0.8, evidence=44.0, confidence=0.99, **times)
    times = {"start_utc_s": 1.79e9 + number, "end_utc_s": 1.79e9 + number + 9, "detected_utc_s": 1.79e9 + number + 3}
    return Detection(id=f"{sys.argv[2]}-{station}-{number}", kind=kind, station=station, uncertainty_s=0.2, play=play,
        reference=Reference(id=1, path="a.opus", title="T"), recipe="r", generation=1, **times)

outbox = DiskOutbox(Path(sys.argv[1]), keep_days=30, tell=lambda fact: None)
print("left", outbox.end_left_over(), flush=True)
for number in itertools.count():
    outbox.put([said(station, number, EventKind.STARTED) for station in "abc"])
    outbox.put([said(station, number, EventKind.UPDATED) for station in "ab"])
    outbox.acknowledge([message.number for message in outbox.pending(5)])
    outbox.put([said("a", number, EventKind.RETRACTED), said("b", number, EventKind.ENDED), said("c", number, EventKind.ENDED)])
    print("put", number, flush=True)
"""


def test_sequences_have_no_hole_whenever_the_monitor_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    returned: dict[str, int] = {}
    for number in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"run{number}"], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(8 + 3 * number)]
            os.kill(writer.pid, signal.SIGKILL)
            lines += list(writer.stdout)
        assert lines[0].startswith("left"), lines
        returned[f"run{number}"] = sum(line.startswith("put") and line.endswith("\n") for line in lines)
    outbox = DiskOutbox(path, keep_days=30.0, tell=lambda fact: None)
    outbox.end_left_over()
    outbox.close()
    judge: jsonschema.Draft7Validator = validator("schema/detection-1.json")
    with History(path) as history:
        assert history.stations() == list(STATIONS)
        for station in STATIONS:
            events = [event.content for event in history.sequence(station, 1, 10**9)]
            assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
            plays: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for event in events:
                judge.validate(event)
                plays[event["id"]].append(event)
            for identity, said in plays.items():
                kinds = [event["type"] for event in said]
                assert kinds[0] == "started", identity
                assert kinds[-1] in {"ended", "retracted"}, f"{identity} is on air for ever: {json.dumps(kinds)}"
                assert sum(kind in {"ended", "retracted"} for kind in kinds) == 1
            for run, count in returned.items():
                assert {f"{run}-{station}-{number}" for number in range(count)} <= set(plays), "what `put` returned from is there"
