"""deploy/mosquitto as it is shipped, in a real Mosquitto: who may write, who may read, and who may not come in."""

from __future__ import annotations

import queue
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SHIPPED = Path(__file__).parents[2] / "deploy/mosquitto"
PASSWORDS = {"monitor": "m-secret", "reader": "r-secret", "stranger": "s-secret"}
NOT_AUTHORISED, BAD_PASSWORD = 135, 134


class Broker:
    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.port, self._log = port, folder / "log"
        config = (SHIPPED / "mosquitto.conf").read_text()
        for shipped, here in (
            ("listener 1883\n", f"listener {port} 127.0.0.1\nuser root\n"),
            ("/mosquitto/config/passwords", f"{folder}/passwords"),
            ("/mosquitto/config/acl", f"{SHIPPED}/acl"),
            ("/mosquitto/data/", f"{folder}/"),
        ):
            assert shipped in config
            config = config.replace(shipped, here, 1)
        (folder / "mosquitto.conf").write_text(config)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([program, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log)

    def wait_until_it_listens(self) -> None:
        give_up_s = time.monotonic() + 10
        with socket.socket() as line:
            while line.connect_ex(("127.0.0.1", self.port)):
                assert self.process.poll() is None, self.said()
                assert time.monotonic() < give_up_s, self.said()
                time.sleep(0.02)

    def said(self) -> str:
        return self._log.read_text()


class Client:
    """An MQTT 5 client, which hears why it is refused."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.answers: queue.Queue[int] = queue.Queue()
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"{user}-client", protocol=paho.MQTTv5)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: self.answers.put(reason.value)
        self._client.on_publish = lambda _c, _u, _m, reason, _p: self.answers.put(reason.value)
        self._client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.answers.put(reasons[0].value)
        self._client.on_message = lambda _c, _u, message: self.heard.put((message.topic, message.payload))
        self._client.connect("127.0.0.1", port, properties=Properties(PacketTypes.CONNECT))
        self._client.loop_start()
        self.connected = self.answers.get(timeout=10)

    def publish(self, topic: str, *, retain: bool = False) -> int:
        self._client.publish(topic, b"x", qos=1, retain=retain)
        return self.answers.get(timeout=10)

    def subscribe(self, topic: str) -> int:
        self._client.subscribe(topic, qos=1)
        return self.answers.get(timeout=10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(need: Callable[[str], Path], free_port: Callable[[], int], tmp_path: Path) -> Iterator[Broker]:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    for user, password in PASSWORDS.items():
        subprocess.run([need("mosquitto_passwd"), "-b", passwords, user, password], check=True, capture_output=True)
    made = Broker(need("mosquitto"), tmp_path, free_port())
    try:
        made.wait_until_it_listens()
        yield made
    finally:
        made.process.terminate()
        made.process.wait(10)


@pytest.fixture
def enter(broker: Broker) -> Iterator[Callable[..., Client]]:
    """Connect as a user."""
    clients: list[Client] = []

    def connect(user: str, password: str | None = None) -> Client:
        clients.append(Client(broker.port, user, PASSWORDS.get(user, "") if password is None else password))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def test_the_file_is_taken_without_a_word_of_warning(broker: Broker) -> None:
    complaints = [line for line in broker.said().splitlines() if "Error" in line or "Warning" in line or "Note" in line]
    assert [line for line in complaints if "run as root" not in line] == []


def test_the_monitor_writes_below_its_prefix_only(enter: Callable[..., Client]) -> None:
    monitor = enter("monitor")
    assert monitor.connected == 0
    for topic in ("monitor/status", "monitor/one/events", "monitor/one/now", "monitor/one/status", "monitor/status/2"):
        assert monitor.publish(topic) in (0, 16), topic  # 16: nobody has subscribed
    for topic in ("other/one/events", "monitors/one", "homeassistant/device/x/config"):
        assert monitor.publish(topic) == NOT_AUTHORISED, topic


def test_readers_read_and_do_not_write(enter: Callable[..., Client]) -> None:
    reader, monitor = enter("reader"), enter("monitor")
    assert reader.subscribe("monitor/#") == 1
    assert reader.publish("monitor/one/events") == NOT_AUTHORISED
    assert reader.publish("monitor/one/status", retain=True) == NOT_AUTHORISED
    assert monitor.publish("monitor/one/events") == 0
    assert reader.heard.get(timeout=10) == ("monitor/one/events", b"x"), "and nothing of what it tried to publish itself"


def test_a_password_alone_is_no_right(enter: Callable[..., Client]) -> None:
    stranger, monitor = enter("stranger"), enter("monitor")
    assert stranger.connected == 0
    assert stranger.publish("monitor/one/events") == NOT_AUTHORISED
    stranger.subscribe("monitor/#")
    monitor.publish("monitor/one/events")
    assert monitor.publish("monitor/one/now") in (0, 16)
    assert stranger.heard.empty()


@pytest.mark.parametrize(("user", "password"), [("monitor", "wrong"), ("nobody", "x"), ("", "")])
def test_who_has_no_password_does_not_come_in(broker: Broker, enter: Callable[..., Client], user: str, password: str) -> None:
    client = enter(user, password)
    client.close()
    assert client.connected in (BAD_PASSWORD, NOT_AUTHORISED)
    assert "not authorised" in broker.said()
