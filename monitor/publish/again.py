"""Stored events once more to the broker, beside a running monitor.

On the topic they belong to, in their order, each with `replayed_at`, by a client of its own: what the monitor sends meanwhile keeps
its own order, and who counts sequences leaves replays aside or fills its holes with them. Knows nothing of what events say.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Iterable

import aiomqtt

from monitor.errors import BrokerRefuses, BrokerUnreachable
from monitor.publish import payload
from monitor.publish.client import ACCEPTED, Connection, abandon, explain
from monitor.publish.history import Event
from monitor.publish.mqtt import brokers
from monitor.settings import MqttSettings


async def send_again(settings: MqttSettings, events: Iterable[Event]) -> None:
    """Send events to the first broker that answers; when this returns it has them all.

    Raises:
        BrokerUnreachable: None answers, or the one that did was lost.
        BrokerRefuses: It does not take them.
    """
    complaints = []
    for address in brokers(settings):
        client = Connection(settings, address, identifier=f"{settings.client_id}-replay-{os.getpid()}")
        connected = False
        try:
            async with client:
                connected = True
                return await _send(client, settings.prefix, events)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            abandon(client)
            complaints.append(f"{address}: {explain(error, tls=settings.tls)}")
            if connected:  # some are sent already
                break
    raise BrokerUnreachable("; ".join(complaints))


async def _send(client: Connection, prefix: str, events: Iterable[Event]) -> None:
    rest = iter(events)
    while batch := list(itertools.islice(rest, client.window)):
        answers = await asyncio.gather(*(_send_one(client, prefix, event) for event in batch))
        refused = next((answer for answer in answers if answer != ACCEPTED), None)
        if refused is not None:
            raise BrokerRefuses(f"the broker refuses {prefix}/{batch[0].station}/events: {refused}; give the user write access")


async def _send_one(client: Connection, prefix: str, event: Event) -> str:
    content = payload.encode(payload.replayed(event.content, now_utc_s=time.time()))
    return await client.send(f"{prefix}/{event.station}/events", content)
