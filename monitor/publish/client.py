"""One connection to the broker: how it is made, watched and given up, and what the broker answers to a message.

Hides aiomqtt's and paho's sharp edges. Knows nothing of topics or of what messages say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
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
TOO_LARGE = "packet too large"
"""How an answer begins, the broker's (MQTT 5) or ours on its behalf, that the same message will get again and again."""
_ADVICE = (
    ("uthori", "check [mqtt] username and password"),
    ("user name", "check [mqtt] username and password"),
    ("protocol version", 'set [mqtt] version = "3.1.1"'),
    ("alert certificate required", "the broker wants a client certificate: set [mqtt] cert_file and key_file"),
    ("alert unknown ca", "the broker does not trust our client certificate: check [mqtt] cert_file"),
    ("alert bad certificate", "the broker does not take our client certificate: check [mqtt] cert_file"),
    ("alert certificate expired", "our client certificate has expired: renew [mqtt] cert_file"),
    ("unable to get local issuer", "check [mqtt] ca_file: it did not sign the broker's certificate"),
    ("self-signed", "check [mqtt] ca_file: it did not sign the broker's certificate"),
    ("has expired", "renew the broker's certificate"),
    ("mismatch", "set [mqtt] host to a name that the broker's certificate holds"),
    ("session taken over", "another client has the same [mqtt] client_id: give each its own"),
    ("wrong version number", "the broker does not speak TLS on this port: check [mqtt] port and tls"),
)
"""What OpenSSL and brokers say (in lower case), and what a person can do about it."""
_NO_ANSWER = "connected, but no answer"
_CUT = "connection lost"
_LOST_LINE = "failed to receive on socket: "


class _Ear(logging.Filter):
    """Takes what paho logs, as an error, of every line that is lost, and remembers why; nobody else is told the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith(_LOST_LINE):
            self.reason = text.removeprefix(_LOST_LINE)
            return False
        return True


class Connection(aiomqtt.Client):
    """An aiomqtt client that hears what the broker answers to a message: in MQTT 5 whether it took it. aiomqtt drops that."""

    def __init__(self, settings: MqttSettings, address: Address, *, identifier: str, will: aiomqtt.Will | None = None) -> None:
        """Prepare; entering it connects. Sessions are not kept, the outbox is."""
        self._five = settings.version is MqttVersion.V5
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._largest: int | None = None
        self.window = IN_FLIGHT
        """How many messages may be sent ahead of their answers."""
        self._ear = _Ear()
        self.lost = ""
        """Why the connection was lost, as far as broker or system said."""
        log = logging.Logger("mqtt")
        log.parent = logging.getLogger("mqtt")
        log.addFilter(self._ear)
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
            logger=log,
        )

    async def send(self, topic: str, content: bytes, *, retain: bool = False) -> str:
        """Publish at least once and wait for the broker's answer: `ACCEPTED`, or why it refused.

        Raises:
            MqttError: The connection is gone, or no answer came in time.
        """
        if self._largest is not None and len(topic.encode()) + len(content) + 64 > self._largest:
            return f"{TOO_LARGE}: the broker takes {self._largest} bytes"
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

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        """Have the loop write when it can, unless the socket was closed before: its number may be another's by then."""

        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def register() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(register)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        if self._ear.reason:
            self._ear.reason = last_word(sock) or self._ear.reason
        super()._on_socket_close(client, userdata, sock)

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

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Remember why; and give up at once when the line is lost before the broker has answered, where aiomqtt would wait on.

        A broker that does not like our certificate says so only after we believe that we are connected (TLS 1.3).
        """
        said = str(reason_code).lower()
        self.lost = self._ear.reason or ("the broker closed it" if said == "unspecified error" else said)
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(f"{_NO_ANSWER}: {self.lost}"))
            self._connected.exception()  # counts as seen: nobody may be waiting any more
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)


async def until_lost(client: Connection) -> None:
    """Return never, raise when the connection is gone: nothing is subscribed, so no message comes."""
    try:
        async for _ in client.messages:
            pass
    except aiomqtt.MqttError as error:
        raise aiomqtt.MqttError(f"{_CUT}: {client.lost or error}") from error


async def hang_up(client: Connection) -> None:
    """Cut the line without a good-bye, so that the broker publishes the last will."""
    line = client._client.socket()
    if not isinstance(line, socket.socket):
        return
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(aiomqtt.MqttError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await until_lost(client)


def last_word(line: socket.socket) -> str:
    """Return the TLS alert that is still unread where the broker hung up while we were writing; nothing where it sent none.

    `line` does not block, and is about to be closed: what else waits in it is lost.
    """
    try:
        line.recv(1)
    except OSError as error:
        return str(error) if "alert" in str(error).lower() else ""
    return ""


def abandon(client: aiomqtt.Client) -> None:
    """Close what a failed attempt left: aiomqtt keeps the socket open, where a late CONNACK would throw out the next connection."""
    client._client.disconnect()


def explain(error: Exception, *, tls: bool) -> str:
    """Say what went wrong, and what to do where that is known; `tls` is whether TLS was spoken."""
    text = str(error) or type(error).__name__
    for sign, advice in _ADVICE:
        if sign in text.lower():
            return f"{text}; {advice}"
    if not text.startswith(_CUT) and ("reset by peer" in text or "EOF occurred" in text or text.startswith(_NO_ANSWER)):
        return f"{text}; if this goes on, check that [mqtt] tls = {str(tls).lower()} is what the broker expects on this port"
    return text
