"""What deploy/ promises to subscribers: which channel a topic belongs to, and whether a message is what the channel says.

Knows deploy/asyncapi.yaml and the schemas it names. A promise is read strictly here: a field that no schema describes is refused,
though readers would ignore it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCUMENT: dict[str, Any] = yaml.safe_load((DEPLOY / "asyncapi.yaml").read_text(encoding="utf-8"))
BASE = "file:///schema/"
NOT_OURS = {"home-assistant-device.json"}
"""Forms that others made, of which ours describe only a part."""


def resolve(reference: str) -> Any:
    """Follow a reference within the document."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return resolve(found["$ref"]) if isinstance(found, dict) and set(found) == {"$ref"} else found


def pattern(channel: dict[str, Any]) -> re.Pattern[str]:
    """Return what topics of a channel look like; a prefix may have several levels."""
    names = {"prefix": r".+", "discoveryPrefix": r".+", "statusTopic": r"status(?:/\d+)?"}
    parts = re.split(r"\{(\w+)\}", channel["address"])
    return re.compile("".join(names.get(part, r"[^/]+") if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def channel_of(topic: str) -> str:
    """Return the name of the channel that a topic belongs to; the most particular one."""
    found = [name for name, channel in DOCUMENT["channels"].items() if pattern(channel).fullmatch(topic)]
    assert found, f"{topic}: no channel of deploy/asyncapi.yaml is so addressed"
    return max(found, key=lambda name: len(DOCUMENT["channels"][name]["address"].split("/")))


def schema_of(channel: str) -> str:
    """Return the file name of the schema that messages of a channel follow."""
    (message,) = DOCUMENT["channels"][channel]["messages"].values()
    return str(resolve(message["$ref"])["payload"]["schema"]["$ref"])


def validator(path: str) -> jsonschema.Draft7Validator:
    """Return what judges by a schema, given as the document names it."""
    files = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in (DEPLOY / "schema").glob("*.json")}
    files = {name: content if name in NOT_OURS else strict(content) for name, content in files.items()}
    registry = Registry().with_resources((f"{BASE}{name}", Resource.from_contents(content)) for name, content in files.items())
    return jsonschema.Draft7Validator({"$ref": f"{BASE}{Path(path).name}"}, registry=registry)


def check(topic: str, payload: bytes) -> str:
    """Judge a message; return the name of its channel.

    Raises:
        jsonschema.ValidationError: It is not what is promised.
    """
    channel = channel_of(topic)
    if payload:  # an empty one clears a retained topic
        validator(schema_of(channel)).validate(json.loads(payload))
    return channel


def strict(schema: Any) -> Any:
    """Let every object that names its properties have no others."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found
