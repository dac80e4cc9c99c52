"""The payload keeps the promise of deploy/schema/detection-1.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.messages import Detection, EventKind, Reference
from monitor.publish import payload
from tests.published import validator

VALIDATOR = validator("schema/detection-1.json")
Make = Callable[..., Detection]


def said(detection: Detection, sequence: int = 1) -> dict[str, Any]:
    return json.loads(payload.encode(payload.describe(detection, sequence=sequence, store="s")))


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_is_valid(detection: Make, kind: EventKind) -> None:
    VALIDATOR.validate(said(detection(kind=kind)))


def test_a_reference_without_path_and_tags_is_valid(detection: Make) -> None:
    content = said(detection(reference=Reference(id=1, path="")))
    VALIDATOR.validate(content)
    assert "path" not in content["reference"]


@pytest.mark.parametrize(
    ("field", "value"), [("end", "2026-01-01T00:00:00.000Z"), ("confidence", 1.5), ("station", "a/b"), ("new", 1)]
)
def test_the_schema_refuses_what_breaks_the_promise(detection: Make, field: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**said(detection()), field: value})


def test_times_are_utc_with_milliseconds(detection: Make) -> None:
    content = said(detection(kind=EventKind.ENDED))
    assert content["start"] == "2026-09-21T14:13:20.000Z"
    assert content["end"] == content["heard_until"] == "2026-09-21T14:13:35.500Z"
    assert content["played_duration_s"] == 15.5


def test_end_is_unknown_until_it_has_ended(detection: Make) -> None:
    content = said(detection(kind=EventKind.UPDATED))
    assert content["end"] is None
    assert content["heard_until"] == "2026-09-21T14:13:35.500Z"


@given(st.integers(0, 4_000_000_000_000))
def test_milliseconds_are_exact(milliseconds: int) -> None:
    assert payload.utc(milliseconds / 1000).endswith(f".{milliseconds % 1000:03d}Z")


def test_text_stays_readable(detection: Make) -> None:
    assert "Ö".encode() in payload.encode(payload.describe(detection(), sequence=1, store="s"))


def test_a_number_json_cannot_say_is_refused(detection: Make) -> None:
    broken = detection()
    with pytest.raises(ValueError, match="JSON"):
        payload.encode(payload.describe(replace(broken, play=replace(broken.play, speed=float("nan"))), sequence=1, store="s"))


def test_codes_come_from_the_columns_of_the_csv(detection: Make) -> None:
    custom = {"ISWC": "T-034.524.680-1", "Barcode": "4006381333931", "EAN": "1"}
    reference = said(detection(reference=Reference(id=1, path="", custom=custom)))["reference"]
    assert (reference["iswc"], reference["upc"]) == ("T-034.524.680-1", "1")
    assert reference["custom"] == custom


def test_alternatives_are_named_and_valid(detection: Make) -> None:
    content = said(detection(alternatives=(Reference(id=2, path="b.opus", title="B"),), encoder="compact"))
    VALIDATOR.validate(content)
    assert [other["title"] for other in content["alternatives"]] == ["B"]
    assert content["encoder"] == "compact"


def test_a_replay_says_so_and_changes_nothing_else(detection: Make) -> None:
    content = said(detection(kind=EventKind.ENDED), 7)
    again = payload.replayed(content, now_utc_s=1_790_000_100.0)
    VALIDATOR.validate(again)
    assert again == {**content, "replayed_at": "2026-09-21T14:15:00.000Z"}
