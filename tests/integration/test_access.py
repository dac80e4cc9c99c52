"""Who may not in stays out, is told why in one line, and comes in as soon as that is mended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.errors import BrokerUnreachable
from monitor.observe.hub import Hub
from monitor.publish.client import last_word
from monitor.publish.mqtt import MqttPublisher, brokers
from monitor.publish.outbox import DiskOutbox
from monitor.publish.probe import try_broker
from monitor.settings import MqttSettings, MqttVersion
from tests.integration.authority import Authority, Certificate
from tests.integration.test_mosquitto import detection

PATIENCE_S = 60.0
ATTEMPTS = 3
"""So often it is refused before the fault is mended: one line all the same."""


class Broker:
    """A Mosquitto whose configuration is changed from one start to the next."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        folder.mkdir()
        self._program, self._folder, self.port = program, folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *lines: str) -> None:
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text("\n".join((f"listener {self.port} 127.0.0.1", "user root", "log_type all", *lines, "")))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", configuration], stdout=log, stderr=log)
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            time.sleep(0.02)
        raise AssertionError(self.said)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def said(self) -> str:
        return (self._folder / "log").read_text()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What is wrong at the broker, how the monitor is set up, and what a person must be able to read."""

    name: str
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    settings: dict[str, Any]
    sign: str
    version: MqttVersion = MqttVersion.V5


@pytest.fixture
def refusals(need: Callable[[str], Path], tmp_path: Path) -> list[Refusal]:
    openssl = need("openssl")
    ours, theirs = Authority(openssl, tmp_path, "ours"), Authority(openssl, tmp_path, "theirs")
    good, client = ours.issue("broker"), ours.issue("monitor", alternative="DNS:monitor")
    foreign, expired = theirs.issue("foreign"), ours.issue("expired", days=-1)
    elsewhere, stranger = ours.issue("elsewhere", alternative="DNS:mqtt.example"), theirs.issue("stranger")
    for name, password in (("right", "secret"), ("wrong", "changed")):
        subprocess.run([need("mosquitto_passwd"), "-b", "-c", tmp_path / name, "monitor", password], check=True)

    def tls(certificate: Certificate, *more: str) -> tuple[str, ...]:
        return (f"certfile {certificate.certificate}", f"keyfile {certificate.key}", "allow_anonymous true", *more)

    def passwords(name: str) -> tuple[str, ...]:
        return ("allow_anonymous false", f"password_file {tmp_path / name}")

    asks = (f"cafile {ours.certificate}", "require_certificate true")
    trust = {"tls": True, "ca_file": str(ours.certificate)}
    user = {"username": "monitor", "password": "secret"}
    shows = {"cert_file": str(stranger.certificate), "key_file": str(stranger.key)}
    assert client.certificate.exists()
    return [
        Refusal(
            name="wrong password", wrong=passwords("wrong"), right=passwords("right"), settings=user, sign="username and password"
        ),
        Refusal(
            name="wrong password, MQTT 3.1.1",
            wrong=passwords("wrong"),
            right=passwords("right"),
            settings=user,
            sign="username and password",
            version=MqttVersion.V311,
        ),
        Refusal(name="wrong authority", wrong=tls(foreign), right=tls(good), settings=trust, sign="certificate verify failed"),
        Refusal(name="expired certificate", wrong=tls(expired), right=tls(good), settings=trust, sign="certificate has expired"),
        Refusal(name="another host's certificate", wrong=tls(elsewhere), right=tls(good), settings=trust, sign="127.0.0.1"),
        Refusal(
            name="client certificate wanted", wrong=tls(good, *asks), right=tls(good), settings=trust, sign="client certificate"
        ),
        Refusal(
            name="client certificate of a stranger",
            wrong=tls(good, *asks),
            right=tls(good, f"cafile {theirs.certificate}", "require_certificate true"),
            settings={**trust, **shows},
            sign="client certificate",
        ),
        Refusal(
            name="no TLS to a broker that wants it",
            wrong=tls(good),
            right=("allow_anonymous true",),
            settings={},
            sign="check that [mqtt] tls = ",
        ),
        Refusal(
            name="TLS to a broker without",
            wrong=("allow_anonymous true",),
            right=tls(good),
            settings=trust,
            sign="check that [mqtt] tls = ",
        ),
    ]


# paho leaves the socket of a failed TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_each_refusal_is_one_line_and_ends_when_it_is_mended(
    refusals: list[Refusal], need: Callable[[str], Path], tmp_path: Path
) -> None:
    with contextlib.ExitStack() as held:  # all at once: asked for one by one, two of them were the same now and then
        ports = [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in refusals]
    brokers = {
        one.name: Broker(need("mosquitto"), tmp_path / one.name.replace(" ", "-"), port)
        for one, port in zip(refusals, ports, strict=True)
    }
    try:
        with capture_logs() as lines:
            async with asyncio.timeout(4 * PATIENCE_S):
                results = await asyncio.gather(
                    *(_refused_then_let_in(one, brokers[one.name], tmp_path, lines) for one in refusals), return_exceptions=True
                )
    finally:
        for broker in brokers.values():
            broker.stop()
    gc.collect()  # those sockets, here and not in somebody else's test
    assert not [f"{one.name}: {result!r}" for one, result in zip(refusals, results, strict=True) if result is not None]


def test_a_broker_that_hangs_up_while_we_write_is_heard_out(
    need: Callable[[str], Path], free_port: Callable[[], int], tmp_path: Path
) -> None:
    ours = Authority(need("openssl"), tmp_path, "ours")
    good = ours.issue("broker")
    broker = Broker(need("mosquitto"), tmp_path / "broker", free_port())
    broker.start(f"certfile {good.certificate}", f"keyfile {good.key}", f"cafile {ours.certificate}", "require_certificate true")
    try:
        trust = ssl.create_default_context(cafile=str(ours.certificate))
        with (
            socket.create_connection(("127.0.0.1", broker.port)) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            line.setblocking(False)
            with pytest.raises(OSError, match=r"EOF|reset|pipe") as written:  # what an operator was told before
                _write_for_ever(line)
            assert "alert" not in str(written.value)
            assert "certificate required" in last_word(line)
    finally:
        broker.stop()


def _write_for_ever(line: ssl.SSLSocket) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s:
        line.send(b"\0")
        time.sleep(0.01)


async def _refused_then_let_in(one: Refusal, broker: Broker, folder: Path, lines: list[Any]) -> None:
    await asyncio.to_thread(broker.start, *one.wrong)
    settings = MqttSettings(host="127.0.0.1", port=broker.port, version=one.version, ack_timeout_s=5.0, **one.settings)
    with pytest.raises(BrokerUnreachable) as checked:
        await try_broker(settings, brokers(settings)[0])
    assert one.sign in str(checked.value), "what `monitor check` prints"
    hub = Hub(["radio-1"])
    outbox = DiskOutbox(folder / f"{broker.port}.db", keep_days=1.0, tell=hub.tell)
    outbox.put([detection(1)])
    publisher = MqttPublisher(settings, outbox, stations=["radio-1"], tell=hub.tell)
    task = asyncio.create_task(publisher.run())

    def logged() -> list[tuple[str, str]]:
        return [(line["log_level"], line["event"]) for line in list(lines) if line.get("broker") == f"127.0.0.1:{broker.port}"]

    try:
        before = broker.said.count("New connection")
        await _until(lambda: broker.said.count("New connection") >= before + ATTEMPTS)
        # The broker counts a connection before our side knows that it was refused.
        await _until(lambda: "monitor_broker_disconnects_total 1.0" in hub.metrics.exposition().decode())
        assert "monitor_broker_connected 0.0" in hub.metrics.exposition().decode()
        assert outbox.depth == 1
        (reason,) = {
            line["reason"] for line in list(lines) if line.get("broker") == f"127.0.0.1:{broker.port}" and "reason" in line
        }
        assert one.sign in reason
        assert [level for level, _ in logged() if level in {"warning", "error"}] == ["warning"], logged()
        broker.stop()
        await asyncio.to_thread(broker.start, *one.right)
        await _until(lambda: outbox.depth == 0)
        assert "monitor_broker_connected 1.0" in hub.metrics.exposition().decode()
    finally:
        await publisher.stop(1.0)
        await task
        outbox.close()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the conditions are in other processes
            await asyncio.sleep(0.05)
