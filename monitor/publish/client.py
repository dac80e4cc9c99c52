"""One connection to the broker: how it is made, watched and given up.

Hides aiomqtt's sharp edges. Knows nothing of topics or messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiomqtt

from monitor.settings import MqttSettings

IN_FLIGHT = 20
"""Messages sent ahead of their acknowledgement: hides the round trip; the order stays, since the connection keeps it."""


def make_client(settings: MqttSettings, *, identifier: str, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
    """Prepare a connection; entering it connects. MQTT 3.1.1, which every broker speaks; sessions are not kept, the outbox is."""
    trust = aiomqtt.TLSParameters(
        ca_certs=settings.ca_file or None, certfile=settings.cert_file or None, keyfile=settings.key_file or None
    )
    client = aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username or None,
        password=settings.password or None,
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V311,
        will=will,
        clean_session=True,
        timeout=settings.ack_timeout_s,
        keepalive=settings.keepalive_s,
        max_inflight_messages=IN_FLIGHT,
        tls_params=trust if settings.tls else None,
    )
    client.pending_calls_threshold = IN_FLIGHT + 1  # aiomqtt warns of more than ten
    return client


async def until_lost(client: aiomqtt.Client) -> None:
    """Return never, raise when the connection is gone: nothing is subscribed, so no message comes."""
    async for _ in client.messages:
        pass


async def hang_up(client: aiomqtt.Client) -> None:
    """Cut the line without a good-bye, so that the broker publishes the last will."""
    line = client._client.socket()
    if not isinstance(line, socket.socket):
        return
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(aiomqtt.MqttError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await until_lost(client)


def abandon(client: aiomqtt.Client) -> None:
    """Close what a failed attempt left: aiomqtt keeps the socket open, where a late CONNACK would throw out the next connection."""
    client._client.disconnect()


def explain(error: Exception) -> str:
    """Say what went wrong, and what to do where that is known."""
    text = str(error) or type(error).__name__
    return f"{text}; check [mqtt] username and password" if "uthori" in text else text
