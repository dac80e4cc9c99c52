"""What Home Assistant is told has the documented form, and its templates read what our topics say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jinja2
import pytest

from monitor.messages import Detection, Reference, StreamState
from monitor.publish import discovery, payload

Make = Callable[..., Detection]
SENSOR = {
    *("platform", "unique_id", "name", "icon", "device_class", "options", "entity_category"),
    *("state_topic", "value_template", "json_attributes_topic", "json_attributes_template"),
}
"""Keys of an MQTT sensor, from home-assistant.io/integrations/sensor.mqtt, as far as they are used here."""
SHARED = {"device", "origin", "availability", "qos", "components"}
"""Keys of a device's payload, from home-assistant.io/integrations/mqtt, as far as they are used here."""


def rendered(template: str, content: bytes) -> str:
    """As Home Assistant renders a value template; its `tojson` is Jinja's, but for the escapes of HTML."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(value_json=json.loads(content))


def components(station: str = "radio-1") -> dict[str, Any]:
    return discovery.device("monitor", station)["components"]


def test_it_has_the_documented_form() -> None:
    content = json.loads(payload.encode(discovery.device("monitor", "radio-1")))
    assert set(content) == SHARED
    assert set(content["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert content["device"]["identifiers"], "a device has at least one identifier"
    assert content["origin"]["name"], "required in a device's payload"
    for component in content["components"].values():
        assert set(component) <= SENSOR
        assert {"platform", "unique_id", "state_topic"} <= set(component)
        assert component["platform"] == "sensor"
    status = content["components"]["status"]
    assert set(status["options"]) == {state.value for state in StreamState}, "an enum sensor refuses what is not among its options"
    assert "state_class" not in status, "not allowed beside device_class enum"


@pytest.mark.parametrize(("prefix", "station"), [("monitor", "radio-1"), ("a/b", "r.1"), ("monitor", "x" * 64)])
def test_topics_and_identities_have_the_allowed_characters(prefix: str, station: str) -> None:
    topic = discovery.topic("homeassistant", prefix, station)
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
    assert all(
        re.fullmatch(r"[a-zA-Z0-9_-]+", one["unique_id"]) for one in discovery.device(prefix, station)["components"].values()
    )


def test_no_two_stations_are_one_device() -> None:
    names = [("m", "a.b"), ("m", "a_b"), ("m/a", "b"), ("m_a", "b"), ("m", "a-b")]
    assert len({discovery.topic("ha", prefix, station) for prefix, station in names}) == len(names)
    ids = [one["unique_id"] for prefix, station in names for one in discovery.device(prefix, station)["components"].values()]
    assert len(set(ids)) == 2 * len(names)


def test_its_templates_read_what_is_on_air(detection: Make) -> None:
    template = components()["now_playing"]["value_template"]
    details = components()["now_playing"]["json_attributes_template"]
    nothing, one = payload.encode([]), payload.encode([payload.on_air(detection())])
    assert rendered(template, nothing) == "nothing known"
    assert json.loads(rendered(details, nothing)) == {}
    assert rendered(template, one) == "A: Ö"
    assert json.loads(rendered(details, one))["id"] == "play-1"
    nameless = payload.encode([payload.on_air(detection(reference=Reference(id=1, path="", title="t" * 300)))])
    assert rendered(template, nameless) == "t" * 255, "a longer state is no state there"


def test_its_templates_read_the_states(detection: Make) -> None:
    assert rendered(components()["status"]["value_template"], b'{"state":"silent","since":"","reason":""}') == "silent"
    (availability,) = discovery.device("monitor", "radio-1", status_topic="status/2")["availability"]
    assert availability["topic"] == "monitor/status/2"
    said = [rendered(availability["value_template"], b'{"state":"%s"}' % state) for state in (b"online", b"offline", b"stopped")]
    assert said == ["online", "offline", "offline"]
