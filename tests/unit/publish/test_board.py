"""Retained topics say what is true now, newest value only."""

from __future__ import annotations

import json
from collections.abc import Callable

from monitor.messages import Detection, EventKind, StreamState
from monitor.publish import discovery, payload
from monitor.publish.board import Board

Make = Callable[..., Detection]


def board() -> Board:
    made = Board("p")
    made.add("radio-1", now_utc_s=0.0)
    return made


def test_a_new_station_has_nothing_on_air() -> None:
    assert dict(board().take()) == {
        "p/radio-1/now": b"[]",
        "p/radio-1/status": b'{"state":"connecting","since":"1970-01-01T00:00:00.000Z","reason":""}',
    }


def test_several_plays_may_be_on_air_and_go_one_by_one(detection: Make) -> None:
    made = board()
    made.told(detection(1))
    made.told(detection(2))
    made.told(detection(1, kind=EventKind.UPDATED, end_utc_s=1_790_000_060.0))
    playing = json.loads(dict(made.take())["p/radio-1/now"])
    assert [play["id"] for play in playing] == ["play-1", "play-2"]
    assert playing[0]["heard_until"] == "2026-09-21T14:14:20.000Z"
    made.told(detection(1, kind=EventKind.ENDED))
    made.told(detection(3))
    made.told(detection(3, kind=EventKind.RETRACTED))
    assert [play["id"] for play in json.loads(dict(made.take())["p/radio-1/now"])] == ["play-2"]


def test_only_changes_are_due() -> None:
    made = board()
    made.take()
    assert made.take() == []
    made.status("radio-1", StreamState.SILENT, reason="quiet", since_utc_s=1.0)
    assert [topic for topic, _ in made.take()] == ["p/radio-1/status"]
    made.all_changed()
    assert sorted(topic for topic, _ in made.take()) == ["p/radio-1/now", "p/radio-1/status"]


def test_a_removed_station_is_cleared_once() -> None:
    made = board()
    made.take()
    made.remove("radio-1")
    assert made.take() == [("p/radio-1/now", b""), ("p/radio-1/status", b"")]
    made.all_changed()
    assert made.take() == []


def test_a_late_detection_of_a_removed_station_makes_no_topic(detection: Make) -> None:
    made = board()
    made.remove("radio-1")
    made.take()
    made.told(detection(1))
    assert made.take() == []


def test_what_could_not_be_published_is_due_again_unless_newer() -> None:
    made = board()
    due = made.take()
    made.status("radio-1", StreamState.ONLINE, reason="", since_utc_s=0.0)
    made.put_back(due)
    again = dict(made.take())
    assert json.loads(again["p/radio-1/status"])["state"] == "online"
    assert again["p/radio-1/now"] == b"[]"


def test_a_clear_that_could_not_be_published_is_due_again() -> None:
    made = board()
    made.take()
    made.remove("radio-1")
    made.put_back(made.take())
    assert made.take() == [("p/radio-1/now", b""), ("p/radio-1/status", b"")]


def test_silence_takes_everything_off_air(detection: Make) -> None:
    made = board()
    made.told(detection(1))
    made.silence("radio-1")
    assert dict(made.take())["p/radio-1/now"] == b"[]"


def test_home_assistant_is_told_of_a_station_and_of_its_end() -> None:
    made = Board("p", home_assistant="homeassistant")
    made.add("radio-1", now_utc_s=0.0)
    (topic, content), *rest = made.take()
    assert (topic, content) == (
        discovery.topic("homeassistant", "p", "radio-1"),
        payload.encode(discovery.device("p", "radio-1")),
    )
    assert [name for name, _ in rest] == ["p/radio-1/now", "p/radio-1/status"]
    made.remove("radio-1")
    assert made.take()[0] == (topic, b"")


def test_our_own_status_comes_first_after_a_connect_and_last_when_it_changes() -> None:
    made = board()
    made.monitor("online", since_utc_s=0.0)
    made.all_changed()
    assert [topic for topic, _ in made.take()] == ["p/status", "p/radio-1/now", "p/radio-1/status"]
    made.silence("radio-1")
    made.monitor("stopped", since_utc_s=1.0)
    assert made.take()[-1] == ("p/status", b'{"state":"stopped","since":"1970-01-01T00:00:01.000Z","reason":""}')
