"""What Home Assistant is told so that each station becomes a device there, with what is on air and how the station is.

Knows the form of Home Assistant's device discovery (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload) and
what our own retained topics say. Knows nothing of brokers.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from monitor import __version__
from monitor.messages import StreamState

NOTHING = "nothing known"
LONGEST = 255
"""Characters that a state may have in Home Assistant; a longer one is shown as unknown."""
_PLAYING = (
    "{% if value_json %}{% set who = value_json[-1].reference %}"
    "{{ (who.artist ~ ': ' ~ who.title if who.artist else who.title)[:" + str(LONGEST) + "] }}"
    "{% else %}" + NOTHING + "{% endif %}"
)
_DETAILS = "{{ (value_json[-1] if value_json else {}) | tojson }}"


def topic(discovery_prefix: str, prefix: str, station: str) -> str:
    """Return where a station's device is described; an empty message there removes the device."""
    return f"{discovery_prefix}/device/{_identity(prefix, station)}/config"


def device(prefix: str, station: str, *, status_topic: str = "status") -> dict[str, Any]:
    """Describe a station as a device with two sensors, fed by its topics under `prefix`; the monitor's own status is there too."""
    who = _identity(prefix, station)
    return {
        "device": {
            "identifiers": [who],
            "name": station,
            "manufacturer": "Broadcast monitor",
            "model": "Station",
            "sw_version": __version__,
        },
        "origin": {"name": "Broadcast monitor", "sw_version": __version__},
        "availability": [
            {"topic": f"{prefix}/{status_topic}", "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}"}
        ],
        "qos": 1,
        "components": {
            "now_playing": {
                "platform": "sensor",
                "unique_id": f"{who}_now_playing",
                "name": "Now playing",
                "icon": "mdi:music-note",
                "state_topic": f"{prefix}/{station}/now",
                "value_template": _PLAYING,
                "json_attributes_topic": f"{prefix}/{station}/now",
                "json_attributes_template": _DETAILS,
            },
            "status": {
                "platform": "sensor",
                "unique_id": f"{who}_status",
                "name": "Status",
                "icon": "mdi:radio-tower",
                "device_class": "enum",
                "options": [state.value for state in StreamState],
                "entity_category": "diagnostic",
                "state_topic": f"{prefix}/{station}/status",
                "value_template": "{{ value_json.state }}",
                "json_attributes_topic": f"{prefix}/{station}/status",
            },
        },
    }


def _identity(prefix: str, station: str) -> str:
    """Return a name of letters, digits, `_` and `-` only; a checksum keeps apart what differs in other characters."""
    plain = f"{prefix}/{station}"
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', plain)}_{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
