"""An independent subscriber: paho with a session that the broker keeps, and a log on disk before anything is acknowledged.

Imports nothing of the monitor, so that what it believes is only what was said.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came."""

    at_s: float
    topic: str
    retained: bool
    payload: bytes


class Witness:
    """Hears everything under a prefix."""

    def __init__(self, port: int, prefix: str, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._prefix = prefix
        self.there = threading.Event()
        """It is connected and subscribed."""
        self.count = 0
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="witness", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_disconnect = lambda *_: self.there.clear()
        self._client.on_subscribe = lambda *_: self.there.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, keepalive=600)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._log.close()

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe(f"{self._prefix}/#", qos=1)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        said = {"at": time.time(), "topic": message.topic, "retained": message.retain, "payload": message.payload.decode()}
        self._log.write(json.dumps(said) + "\n")
        self._log.flush()
        self.count += 1


def read(log: Path) -> list[Heard]:
    """Return what a witness wrote down."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [Heard(line["at"], line["topic"], line["retained"], line["payload"].encode()) for line in lines]


def retained(port: int, prefix: str, within_s: float = 1.5) -> dict[str, bytes]:
    """Return what the broker tells somebody who has just come."""
    found: dict[str, bytes] = {}
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe(f"{prefix}/#", qos=1)
    client.on_message = lambda _client, _userdata, message: found.__setitem__(message.topic, message.payload)
    client.connect("127.0.0.1", port)
    client.loop_start()
    time.sleep(within_s)
    client.disconnect()
    client.loop_stop()
    return found
