"""Whatever a detection says: JSON that keeps the published schema and comes back from the outbox as it went in, or a refusal."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.messages import Detection, EventKind, Hint, HintKind, Play, Reference, Usage
from monitor.publish import payload
from monitor.publish.board import Board
from monitor.publish.outbox import DiskOutbox

SCHEMA = json.loads((Path(__file__).parents[2] / "deploy/schema/detection-1.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["\x00", "\u2028\u2029", "\ufeff", "\U0010ffff", '"\\', "</script>", "𝕏" * 200, "é\u0301", "\x7f\x80"]
)
STATIONS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True).filter(lambda name: name.strip("."))
MOMENTS = st.floats(-62_000_000_000, 253_000_000_000)
"""UTC seconds from the year 5 to 9987: a clock that was never set, and one that was set wildly."""
REFERENCES = st.builds(
    Reference,
    id=st.integers(0, 2**63 - 1),
    path=TEXT,
    title=TEXT,
    artist=TEXT,
    album=TEXT,
    isrc=TEXT,
    duration_s=st.floats(0, 1e6),
    custom=st.dictionaries(TEXT, TEXT, max_size=3),
)
PLAYS = st.builds(
    Play,
    stream=STATIONS,
    reference_id=st.integers(0, 2**63 - 1),
    start_s=st.floats(0, 1e9),
    end_s=st.floats(0, 1e9),
    reference_start_s=st.floats(-1e6, 1e6),
    reference_end_s=st.floats(-1e6, 1e6),
    speed=st.floats(0.5, 2.0),
    score=st.floats(-1, 1),
    evidence=st.floats(0, 1e9),
    confidence=st.floats(0, 1),
    detected_s=st.floats(0, 1e9),
    usage=st.sampled_from(Usage),
    complete=st.booleans(),
)


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    """Any detection that the types and the documented ranges allow; one play's times are those of one clock."""
    start_utc_s = draw(MOMENTS)
    hint = draw(st.none() | st.builds(Hint, kind=st.sampled_from(HintKind), title=TEXT))
    return Detection(
        id=draw(st.uuids().map(str)),
        kind=draw(st.sampled_from(EventKind)),
        station=draw(STATIONS),
        start_utc_s=start_utc_s,
        end_utc_s=start_utc_s + draw(st.floats(0, 86400.0)),
        uncertainty_s=draw(st.floats(0, 1e6)),
        detected_utc_s=draw(MOMENTS),
        play=draw(PLAYS),
        reference=draw(REFERENCES),
        recipe=draw(TEXT),
        generation=draw(st.integers(0, 2**63 - 1)),
        alternatives=tuple(draw(st.lists(REFERENCES, max_size=2))),
        hint=hint,
        hint_utc_s=draw(MOMENTS) if hint else None,
    )


@settings(deadline=None, max_examples=100)
@given(detections(), st.integers(1, 2**63 - 1))
def test_every_detection_keeps_the_schema(detection: Detection, sequence: int) -> None:
    text = payload.encode(payload.describe(detection, sequence=sequence, store="s"))
    content = json.loads(text)
    VALIDATOR.validate(content)
    assert b"\n" not in text
    assert content["reference"]["title"] == detection.reference.title
    assert payload.seconds(content["start"]) == pytest.approx(detection.start_utc_s, abs=0.0011)
    VALIDATOR.validate(json.loads(payload.encode(payload.ended(content, sequence=sequence, store="s"))))
    board = Board("monitor")
    board.add(detection.station, now_utc_s=detection.start_utc_s)
    board.told(detection)
    for _, value in board.take():
        json.loads(value)


@settings(deadline=None, max_examples=100)
@given(
    detections(),
    st.sampled_from(["start_s", "speed", "score", "confidence", "reference_start_s", "start_utc_s", "end_utc_s", "uncertainty_s"]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300]),
)
def test_a_number_that_is_none_is_refused_or_said(detection: Detection, field: str, value: float) -> None:
    broken = (
        replace(detection, play=replace(detection.play, **{field: value}))
        if hasattr(detection.play, field)
        else replace(detection, **{field: value})
    )
    try:
        text = payload.encode(payload.describe(broken, sequence=1, store="s"))
    except (ValueError, OverflowError):
        return
    json.loads(text, parse_constant=pytest.fail)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.tuples(detections(), st.booleans()), max_size=4) | st.sampled_from(["open again", "deliver"]), max_size=8)
)
def test_what_the_outbox_takes_comes_back_without_a_hole(steps: Sequence[Any]) -> None:
    """Batches with a broken detection in them are refused whole and take no number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        outbox = DiskOutbox(path, keep_days=1.0, tell=lambda _: None)
        taken: dict[str, list[Detection]] = {}
        waiting = 0
        for step in steps:
            if step == "open again":
                outbox.close()
                outbox = DiskOutbox(path, keep_days=1.0, tell=lambda _: None)
            elif step == "deliver":
                some = outbox.pending(3)
                outbox.acknowledge([message.number for message in some])
                waiting -= len(some)
            else:
                batch = [replace(one, uncertainty_s=math.nan) if broken else one for one, broken in step]
                if any(broken for _, broken in step):
                    with pytest.raises(ValueError, match="JSON"):
                        outbox.put(batch)
                    continue
                outbox.put(batch)
                waiting += len(batch)
                for one in batch:
                    taken.setdefault(one.station, []).append(one)
        assert outbox.depth == waiting == len(outbox.pending(10**6))
        assert outbox.stations() == sorted(taken)
        for message in outbox.pending(10**6):
            expected = taken[message.station][message.sequence - 1]
            store = json.loads(message.payload)["store"]
            assert message.payload == payload.encode(payload.describe(expected, sequence=message.sequence, store=store))
        outbox.close()
