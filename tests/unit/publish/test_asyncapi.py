"""deploy/asyncapi.yaml hangs together, and every schema it names is one.

The document itself was judged with AsyncAPI's own parser by hand; that one needs Node. Here stands what would break a reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from monitor.messages import Detection, StreamState
from monitor.publish import discovery, mqtt, payload
from monitor.publish.board import Board
from monitor.settings import MqttSettings
from tests.published import DEPLOY, DOCUMENT, channel_of, check, resolve, schema_of, strict, validator

SCHEMAS = sorted((DEPLOY / "schema").glob("*.json"))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert resolve(reference)
        else:
            assert (DEPLOY / reference).is_file()


def test_every_channel_is_sent_on_as_it_is() -> None:
    sent = {operation["channel"]["$ref"]: operation for operation in DOCUMENT["operations"].values()}
    assert set(sent) == {f"#/channels/{name}" for name in DOCUMENT["channels"]}
    for channel, operation in sent.items():
        assert operation["action"] == "send"
        assert operation["bindings"]["mqtt"]["qos"] == 1
        assert operation["bindings"]["mqtt"]["retain"] is (channel != "#/channels/events")
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


def test_every_parameter_of_an_address_is_described() -> None:
    for channel in DOCUMENT["channels"].values():
        assert {part[1:-1] for part in channel["address"].split("/") if part.startswith("{")} == set(channel["parameters"])


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_schema_is_one_and_is_used(path: Any) -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(path.read_text()))
    assert f"schema/{path.name}" in {schema_of(name) for name in DOCUMENT["channels"]}


def test_the_example_of_the_server_is_what_the_defaults_are() -> None:
    server, settings = DOCUMENT["servers"]["broker"], MqttSettings()
    assert server["host"] == f"{settings.host}:{settings.port}"
    assert server["protocolVersion"] == settings.version
    bound = server["bindings"]["mqtt"]
    assert (bound["clientId"], bound["keepAlive"]) == (settings.client_id, settings.keepalive_s)
    assert bound["lastWill"]["message"].encode() == mqtt.LAST_WILL
    check(bound["lastWill"]["topic"], mqtt.LAST_WILL)


@pytest.mark.parametrize("prefix", ["monitor", "radio/zurich"])
def test_what_the_board_retains_is_what_is_promised(detection: Callable[..., Detection], prefix: str) -> None:
    board = Board(prefix, home_assistant="homeassistant")
    board.add("a.b", now_utc_s=0.0)
    said = board.take()
    for state in StreamState:
        board.status("a.b", state, reason="because", since_utc_s=1.0)
        said += board.take()
    board.told(detection(station="a.b"))
    said += board.take()
    board.remove("a.b")
    said += board.take()
    channels = {check(topic, content) for topic, content in said}
    assert channels == {"now", "stationStatus", "homeAssistantDevice"}
    assert discovery.topic("homeassistant", prefix, "a.b") in {topic for topic, _ in said}


@pytest.mark.parametrize(
    ("topic", "broken"),
    [
        ("monitor/a/status", {"state": "asleep", "since": "2026-01-01T00:00:00.000Z", "reason": ""}),
        ("monitor/a/status", {"state": "online", "since": "yesterday", "reason": ""}),
        ("monitor/status", {"state": "online", "reason": ""}),
        ("monitor/a/now", [{"id": "x"}]),
        ("monitor/a/status", {"state": "online", "since": "2026-01-01T00:00:00.000Z", "reason": "", "new": 1}),
    ],
)
def test_what_is_not_promised_is_refused(topic: str, broken: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(topic, payload.encode(broken))


def test_topics_of_nobody_are_found_out() -> None:
    assert channel_of("monitor/status") == channel_of("monitor/status/3") == "monitorStatus"
    assert channel_of("a/b/c/status") == "stationStatus"
    with pytest.raises(AssertionError, match="no channel"):
        channel_of("monitor/a/else")


def test_a_strict_reading_finds_fields_that_no_schema_describes() -> None:
    assert strict({"type": "object", "properties": {"a": {}}})["additionalProperties"] is False
    assert validator("schema/monitor-status-1.json").is_valid({"state": "offline", "reason": ""})
