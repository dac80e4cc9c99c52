"""One connection to the broker: how it is made, watched and given up, and what the broker answers to a message.

Hides aiomqtt's and paho's sharp edges. Knows nothing of topics or of what messages say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from monitor.core.brokers import Address
from monitor.settings import MqttSettings, MqttVersion

IN_FLIGHT = 20
"""Messages sent ahead of their acknowledgement: hides the round trip; the order stays, since the connection keeps it."""
ACCEPTED = ""


class Connection(aiomqtt.Client):
    """An aiomqtt client that hears what the broker answers to a message: in MQTT 5 whether it took it. aiomqtt drops that."""

    def __init__(self, settings: MqttSettings, address: Address, *, identifier: str, will: aiomqtt.Will | None = None) -> None:
        """Prepare; entering it connects. Sessions are not kept, the outbox is."""
        self._five = settings.version is MqttVersion.V5
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._largest: int | None = None
        self.window = IN_FLIGHT
        """How many messages may be sent ahead of their answers."""
        trust = aiomqtt.TLSParameters(
            ca_certs=settings.ca_file or None, certfile=settings.cert_file or None, keyfile=settings.key_file or None
        )
        super().__init__(
            address.host,
            address.port,
            username=settings.username or None,
            password=settings.password or None,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if self._five else aiomqtt.ProtocolVersion.V311,
            will=will,
            clean_session=None if self._five else True,
            clean_start=True if self._five else paho.MQTT_CLEAN_START_FIRST_ONLY,
            timeout=settings.ack_timeout_s,
            keepalive=settings.keepalive_s,
            max_inflight_messages=IN_FLIGHT,
            tls_params=trust if settings.tls else None,
        )

    async def send(self, topic: str, content: bytes, *, retain: bool = False) -> str:
        """Publish at least once and wait for the broker's answer: `ACCEPTED`, or why it refused.

        Raises:
            MqttError: The connection is gone, or no answer came in time.
        """
        if self._largest is not None and len(topic.encode()) + len(content) + 64 > self._largest:
            return f"larger than the {self._largest} bytes the broker takes"
        info = self._client.publish(topic, content, 1, retain, self._described() if self._five and content else None)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        answer = self._answers[info.mid] = asyncio.get_running_loop().create_future()
        try:
            return await self._wait_for(answer, None)
        finally:
            self._answers.pop(info.mid, None)

    @staticmethod
    def _described() -> Properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.PayloadFormatIndicator = 1
        properties.ContentType = "application/json"
        return properties

    def _on_publish(
        self,
        client: paho.Client,  # noqa: ARG002 - what paho calls with
        userdata: Any,  # noqa: ARG002
        mid: int,
        reason_code: ReasonCode,
        properties: Properties | None,  # noqa: ARG002
    ) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(str(reason_code).lower() if reason_code.is_failure else ACCEPTED)

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self.window = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        super()._on_connect(client, userdata, flags, reason_code, properties)


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
    if "uthori" in text or "user name" in text:
        return f"{text}; check [mqtt] username and password"
    if "protocol version" in text.lower():
        return f'{text}; set [mqtt] version = "3.1.1"'
    return text
