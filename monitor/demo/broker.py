"""An MQTT broker for the occasion, and a subscriber that collects what the monitor says.

Knows amqtt, aiomqtt and the payload as any subscriber sees it. Knows nothing of the truth.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import PurePath
from typing import Any

import aiomqtt
from amqtt.broker import Broker

from monitor.demo.verdict import Told


@asynccontextmanager
async def broker(port: int) -> AsyncIterator[None]:
    """Keep a broker at 127.0.0.1:`port` that lets everybody in while the context is open."""
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    here = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await here.start()
    try:
        yield
    finally:
        await here.shutdown()


class Notebook:
    """What has been said so far, one entry a play."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    def note(self, payload: bytes, now_utc_s: float) -> Told:
        """Take down one event that arrived at `now_utc_s`; say how the play now stands.

        Raises:
            ValueError: The payload is not an event of the promised form.
        """
        try:
            event: dict[str, Any] = json.loads(payload)
            reference = event["reference"]
            before = self.told.get(event["id"])
            entry = Told(
                id=event["id"],
                station=event["station"],
                clip=PurePath(reference["path"]).name,
                title=reference["title"],
                artist=reference["artist"],
                confidence=event["confidence"],
                start_utc_s=_seconds(event["start"]),
                end_utc_s=_seconds(event["heard_until"]),
                first_told_utc_s=before.first_told_utc_s if before else now_utc_s,
                ended=event["type"] in {"ended", "retracted"},
                retracted=event["type"] == "retracted",
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a detection event ({error!r}): {payload[:200]!r}") from error
        if entry.retracted:
            self.told.pop(entry.id, None)
        else:
            self.told[entry.id] = entry
        return entry


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def subscribe(port: int, prefix: str, notebook: Notebook, ready: Callable[[], None], heard: Callable[[Told], None]) -> None:
    """Note every event until cancelled; calls `ready` once subscribed and `heard` after each event."""
    async with aiomqtt.Client("127.0.0.1", port, identifier="demo") as client:
        await client.subscribe(f"{prefix}/+/events", qos=1)
        ready()
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard(notebook.note(message.payload, time.time()))
