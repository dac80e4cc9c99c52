"""Detections through a real Mosquitto: passwords, restarts, a hung broker, a killed publisher."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from monitor.cli import main
from monitor.facts import BrokerStateChanged, EventsSetAside, Fact, MessagePublished, PublishRefused
from monitor.messages import Detection, EventKind, Play, Reference, StreamState
from monitor.publish import discovery, mqtt
from monitor.publish.client import Connection
from monitor.publish.keeper import Keeper
from monitor.publish.mqtt import MOST_ASIDE, MqttPublisher, brokers
from monitor.publish.outbox import DiskOutbox
from monitor.settings import MqttSettings, MqttVersion
from tests import published

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PASSWD = shutil.which("mosquitto_passwd")
pytestmark = pytest.mark.skipif(not (MOSQUITTO and PASSWD) and not os.environ.get("CI"), reason="mosquitto is not installed")
PATIENCE_S = 15.0
FIVE = pytest.mark.parametrize("broker", [MqttVersion.V5], indirect=True)
"""What only MQTT 5 can do, or what does not depend on the version."""


def detection(number: int, *, kind: EventKind = EventKind.STARTED, station: str = "radio-1") -> Detection:
    play = Play(
        stream=station,
        reference_id=7,
        start_s=10.0,
        end_s=25.5,
        reference_start_s=0.0,
        reference_end_s=15.5,
        speed=1.0,
        score=0.8,
        evidence=44.0,
        confidence=0.999,
        detected_s=13.0,
    )
    return Detection(
        id=f"play-{number}",
        kind=kind,
        station=station,
        start_utc_s=1_790_000_000.0,
        end_utc_s=1_790_000_015.5,
        uncertainty_s=0.25,
        detected_utc_s=1_790_000_003.0,
        play=play,
        reference=Reference(id=7, path="a.opus", title="T", artist="A", duration_s=180.0),
        recipe="0123456789abcdef",
        generation=3,
    )


class Broker:
    """A Mosquitto in a folder of its own; anonymous clients are refused."""

    def __init__(self, folder: Path, version: MqttVersion) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        subprocess.run([PASSWD or "mosquitto_passwd", "-b", "-c", folder / "passwords", "monitor", "secret"], check=True)
        (folder / "passwords").chmod(0o644)
        self.extra = ""
        self.version = version
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = (
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {self.folder}/passwords\nuser root\n{self.extra}"
        )
        (self.folder / "mosquitto.conf").write_text(config)
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [MOSQUITTO or "mosquitto", "-c", self.folder / "mosquitto.conf"], stderr=log, stdout=log
            )
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return
            time.sleep(0.02)
        raise AssertionError((self.folder / "mosquitto.log").read_text())

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(timeout=PATIENCE_S)
            self.process = None

    def settings(self, **changes: Any) -> MqttSettings:
        content = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "monitor",
            "password": "secret",
            "ack_timeout_s": 2.0,
            "keepalive_s": 5,
            "version": self.version,
        }
        return MqttSettings(**{**content, **changes})


@pytest.fixture(params=MqttVersion)
def broker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Broker]:
    made = Broker(tmp_path, request.param)
    yield made
    made.stop()


@pytest.fixture
def facts() -> list[Fact]:
    return []


@pytest.fixture
def outbox(tmp_path: Path, facts: list[Fact]) -> Iterator[DiskOutbox]:
    made = DiskOutbox(tmp_path / "outbox.db", keep_days=1.0, tell=facts.append)
    yield made
    made.close()


class Subscriber:
    """Everything under the prefix, as it came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self.came = asyncio.Event()

    async def listen(self, settings: MqttSettings) -> None:
        async with aiomqtt.Client(
            settings.host, settings.port, username=settings.username or None, password=settings.password or None
        ) as client:
            await client.subscribe("monitor/#", qos=1)
            self.came.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                self.got.append((message.topic.value, message.payload, bool(message.retain)))
                self.came.set()

    def sequences(self, station: str = "radio-1") -> list[int]:
        return [json.loads(payload)["sequence"] for topic, payload, _ in self.got if topic == f"monitor/{station}/events"]

    def last(self, topic: str) -> Any:
        found = [payload for name, payload, _ in self.got if name == topic]
        return json.loads(found[-1]) if found and found[-1] else None

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def subscribed(settings: MqttSettings) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()
    task = asyncio.create_task(subscriber.listen(settings))
    await subscriber.until(subscriber.came.is_set)
    try:
        yield subscriber
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def publishing(publisher: MqttPublisher) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(publisher.run())
    try:
        yield task
    finally:
        await publisher.stop(5.0)
        await task


def keep(outbox: DiskOutbox, publisher: MqttPublisher, facts: list[Fact]) -> Keeper:
    return Keeper(outbox, told=publisher.told, tell=facts.append)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the conditions are set in other threads and processes
            await asyncio.sleep(0.02)


async def test_events_and_retained_topics(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1", "radio-2"], tell=facts.append)
    keeper = keep(outbox, publisher, facts)
    async with subscribed(broker.settings()) as live:
        async with publishing(publisher):
            await live.until(lambda: live.last("monitor/radio-2/status"))
            assert live.last("monitor/status")["state"] == "online"
            assert live.last("monitor/radio-1/now") == []
            assert live.last("monitor/radio-1/status")["state"] == "connecting"
            publisher.set_status("radio-1", StreamState.ONLINE)
            await asyncio.to_thread(keeper.put, [detection(1), detection(2)])
            await live.until(lambda: len(live.last("monitor/radio-1/now") or []) == 2)
            await asyncio.to_thread(keeper.put, [detection(1, kind=EventKind.ENDED)])
            await live.until(lambda: len(live.last("monitor/radio-1/now")) == 1 and len(live.sequences()) == 3)
            assert live.last("monitor/radio-1/now")[0]["id"] == "play-2"
            assert live.sequences() == [1, 2, 3]
            assert live.last("monitor/radio-1/status")["state"] == "online"
            await until(lambda: outbox.depth == 0)
            async with subscribed(broker.settings()) as late:
                await late.until(lambda: len(late.got) >= 5)
                assert {topic for topic, _, retained in late.got if retained} == {
                    "monitor/status",
                    "monitor/radio-1/now",
                    "monitor/radio-1/status",
                    "monitor/radio-2/now",
                    "monitor/radio-2/status",
                }
                assert late.sequences() == [], "events are not retained"
            publisher.set_stations(["radio-1"])
            await live.until(lambda: ("monitor/radio-2/now", b"", False) in live.got)
        await live.until(lambda: live.last("monitor/status")["state"] == "stopped")
        assert live.last("monitor/radio-1/now") == []
        assert live.last("monitor/radio-1/status")["state"] == "offline"
    assert sum(isinstance(fact, MessagePublished) for fact in facts) == 3


@FIVE
async def test_it_waits_for_a_broker_that_is_not_there(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    async with publishing(publisher):
        await until(lambda: facts and isinstance(facts[-1], BrokerStateChanged))
        keep(outbox, publisher, facts).put([detection(1)])
        await asyncio.sleep(1.5)  # at least one more attempt
        lost = [fact for fact in facts if isinstance(fact, BrokerStateChanged)]
        assert len(lost) == 1, "one fact, not one for each attempt"
        assert "refused" in lost[0].reason
        broker.start()
        await until(lambda: outbox.depth == 0)


async def test_a_wrong_password_is_explained_and_retried(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(password="wrong"), outbox, stations=[], tell=facts.append)
    async with publishing(publisher):
        await until(lambda: any(isinstance(fact, BrokerStateChanged) for fact in facts))
    lost = next(fact for fact in facts if isinstance(fact, BrokerStateChanged))
    assert "check [mqtt] username and password" in lost.reason


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_restart_loses_nothing(broker: Broker, outbox: DiskOutbox, facts: list[Fact], how: signal.Signals) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    keeper = keep(outbox, publisher, facts)
    seen: list[int] = []
    async with publishing(publisher):
        async with subscribed(broker.settings()) as live:
            for number in range(30):
                await asyncio.to_thread(keeper.put, [detection(number)])
            await live.until(lambda: len(live.sequences()) >= 30)
            seen += live.sequences()
        broker.signal(how)
        assert broker.process is not None
        await asyncio.to_thread(broker.process.wait)
        for number in range(30, 90):
            await asyncio.to_thread(keeper.put, [detection(number)])
        broker.start()
        async with subscribed(broker.settings()) as live:
            await live.until(lambda: live.last("monitor/radio-1/now"))
            assert len(live.last("monitor/radio-1/now")) == 90, "retained state comes back to a broker that forgot it"
            await until(lambda: outbox.depth == 0)
            await asyncio.sleep(0.1)
            seen += live.sequences()
    once = list(dict.fromkeys(seen))
    assert sorted(once) == once, "in order; what the broker took but could not acknowledge before it died comes twice"
    # The subscriber's own way back is a race with ours; what the broker took before it returned is its to lose, not ours.
    with contextlib.closing(outbox._database.cursor()) as cursor:
        assert cursor.execute("SELECT count(*), sum(delivered_utc_s IS NULL) FROM message").fetchone() == (90, 0)


async def test_a_hung_broker_is_left_and_everything_sent_again(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(ack_timeout_s=0.5), outbox, stations=["radio-1"], tell=facts.append)
    keeper = keep(outbox, publisher, facts)
    async with subscribed(broker.settings()) as live, publishing(publisher):
        await live.until(lambda: live.last("monitor/status"))
        broker.signal(signal.SIGSTOP)
        await asyncio.to_thread(keeper.put, [detection(number) for number in range(50)])
        await until(lambda: any(isinstance(fact, BrokerStateChanged) and not fact.connected for fact in facts))
        assert outbox.depth == 50, "nothing was acknowledged"
        broker.signal(signal.SIGCONT)
        await until(lambda: outbox.depth == 0)
        await live.until(lambda: live.sequences()[-1:] == [50])
        first_time = list(dict.fromkeys(live.sequences()))
        assert first_time == list(range(1, 51)), "in order and complete, repetitions aside"


VICTIM = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_mosquitto import detection
from monitor.publish.keeper import Keeper
from monitor.publish.mqtt import MqttPublisher
from monitor.publish.outbox import DiskOutbox
from monitor.settings import MqttSettings, MqttVersion

async def main():
    outbox = DiskOutbox(Path(sys.argv[2]), keep_days=1, tell=lambda fact: None)
    version = MqttVersion(sys.argv[4])
    settings = MqttSettings(
        host="127.0.0.1", port=int(sys.argv[3]), version=version, username="monitor", password="secret", keepalive_s=5
    )
    publisher = MqttPublisher(settings, outbox, stations=["radio-1"], tell=lambda fact: print(type(fact).__name__, flush=True))
    keeper = Keeper(outbox, told=publisher.told, tell=lambda fact: None)
    task = asyncio.create_task(publisher.run())
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.to_thread(keeper.put, [detection(number) for number in range(40)])
    print("put", flush=True)
    await task

asyncio.run(main())
"""


async def test_a_publisher_killed_between_put_and_acknowledgement_loses_nothing(
    broker: Broker, tmp_path: Path, facts: list[Fact]
) -> None:
    broker.start()
    here = str(Path(__file__).parent)
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VICTIM, here, str(tmp_path / "outbox.db"), str(broker.port), broker.version),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert victim.stdin is not None
    assert victim.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await victim.stdout.readline() == b"BrokerStateChanged\n"
        async with subscribed(broker.settings()) as live:
            await live.until(lambda: live.last("monitor/radio-1/now") == [])
            broker.signal(signal.SIGSTOP)  # takes bytes, acknowledges nothing
            victim.stdin.write(b"\n")
            assert await victim.stdout.readline() == b"put\n"
            await asyncio.sleep(0.1)
            victim.kill()
            await victim.wait()
            broker.signal(signal.SIGCONT)
            await live.until(lambda: live.last("monitor/status")["state"] == "offline")
            assert live.last("monitor/status") == {"state": "offline", "reason": "connection lost"}, "the last will"
            outbox = DiskOutbox(tmp_path / "outbox.db", keep_days=1.0, tell=facts.append)
            assert outbox.depth == 40
            async with publishing(MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)):
                await until(lambda: outbox.depth == 0)
                await live.until(lambda: live.sequences()[-1:] == [40])
            outbox.close()
        assert list(dict.fromkeys(live.sequences())) == list(range(1, 41))


# Found by tests/chaos: on a full disk the publisher left the broker again and again, as if it were lost, and sent all again.
async def test_a_disk_that_takes_no_note_of_deliveries_is_waited_for(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path
) -> None:
    broker.start()
    outbox.put([detection(1), detection(2)])
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with subscribed(broker.settings()) as live:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "outbox.db-wal").stat().st_size, hard))
        try:
            async with publishing(publisher):
                await live.until(lambda: live.sequences() == [1, 2])
                await asyncio.sleep(1.5)  # time for a second attempt, were there one
                assert outbox.depth == 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                await until(lambda: outbox.depth == 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert live.sequences() == [1, 2]
    assert [fact.connected for fact in facts if isinstance(fact, BrokerStateChanged)] == [True]


# Found by tests/chaos: aiomqtt asked the loop to watch a socket that was closed by then, or its number, which may be another's.
async def test_a_socket_that_was_closed_before_its_turn_is_left_alone() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    settings = MqttSettings(host="127.0.0.1")
    connection = Connection(settings, brokers(settings)[0], identifier="x")
    near, far = socket.socketpair()
    connection._on_socket_register_write(connection._client, None, near)
    near.close()
    far.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_crashing_publisher_leaves_its_last_will(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    async with subscribed(broker.settings()) as live:
        task = asyncio.create_task(publisher.run())
        await live.until(lambda: live.last("monitor/status"))
        task.cancel()  # what supervision does when another stage has crashed
        with pytest.raises(asyncio.CancelledError):
            await task
        await live.until(lambda: live.last("monitor/status")["state"] == "offline")


async def test_stop_sends_what_waits(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    outbox.put([detection(number) for number in range(200)])
    async with subscribed(broker.settings()) as live:
        task = asyncio.create_task(publisher.run())
        await live.until(lambda: live.last("monitor/status"))
        await publisher.stop(10.0)
        await task
        await live.until(lambda: (live.last("monitor/status") or {})["state"] == "stopped")
        assert live.sequences() == list(range(1, 201))


@FIVE
async def test_stop_does_not_wait_for_a_broker_that_is_away(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    outbox.put([detection(1)])
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    task = asyncio.create_task(publisher.run())
    await until(lambda: any(isinstance(fact, BrokerStateChanged) for fact in facts))
    started_s = time.monotonic()
    await publisher.stop(3.0)
    await task
    assert time.monotonic() - started_s < 1.0
    assert outbox.depth == 1


@FIVE
async def test_stop_says_good_bye_to_a_broker_that_is_back_before_it_was_noticed(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)  # the longest wait that the backoff may ask for
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    task = asyncio.create_task(publisher.run())
    await until(lambda: any(isinstance(fact, BrokerStateChanged) for fact in facts))
    outbox.put([detection(1)])
    broker.start()
    await publisher.stop(5.0)
    await task
    assert outbox.depth == 0
    async with subscribed(broker.settings()) as late:
        await late.until(lambda: late.last("monitor/status") and late.last("monitor/radio-1/status"))
        assert late.last("monitor/status")["state"] == "stopped"
        assert late.last("monitor/radio-1/status")["state"] == "offline"


def make_certificate(folder: Path, name: str, *extra: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}", *extra]
    command += ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
    subprocess.run(command, check=True, capture_output=True)


# paho leaves the socket of a failed TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_with_our_own_authority_and_a_client_certificate(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path
) -> None:
    await asyncio.to_thread(make_certificate, tmp_path, "broker", "-addext", "subjectAltName=IP:127.0.0.1")
    await asyncio.to_thread(make_certificate, tmp_path, "client")
    broker.extra = (
        f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\ncafile {tmp_path}/client.pem\nrequire_certificate true\n"
    )
    broker.start()
    distrusting = MqttPublisher(broker.settings(tls=True), outbox, stations=[], tell=facts.append)
    async with publishing(distrusting):
        await until(lambda: any(isinstance(fact, BrokerStateChanged) for fact in facts))
    assert "certificate verify failed" in next(fact.reason for fact in facts if isinstance(fact, BrokerStateChanged))
    outbox.put([detection(1)])
    trust = {"tls": True, "ca_file": str(tmp_path / "broker.pem")}
    nameless = MqttPublisher(broker.settings(**trust), outbox, stations=[], tell=facts.append)
    facts.clear()
    async with publishing(nameless):
        await until(lambda: any(isinstance(fact, BrokerStateChanged) for fact in facts))
        await asyncio.sleep(0.2)
        assert outbox.depth == 1, "without a certificate of ours the broker does not let us in"
    known = {"cert_file": str(tmp_path / "client.pem"), "key_file": str(tmp_path / "client.key")}
    trusting = MqttPublisher(broker.settings(**trust, **known), outbox, stations=[], tell=facts.append)
    async with publishing(trusting):
        await until(lambda: outbox.depth == 0)


@FIVE
async def test_what_the_broker_refuses_stays_and_the_other_stations_go_on(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only MQTT 5 tells: with 3.1.1 the broker acknowledges the message and drops it.
    monkeypatch.setattr(mqtt, "REFUSED_S", 0.5)
    rules = "user monitor\ntopic readwrite monitor/radio-1/#\n"
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "rules").chmod(0o644)
    broker.extra = f"acl_file {tmp_path}/rules\n"
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1", "radio-2"], tell=facts.append)
    outbox.put([detection(number, station=f"radio-{1 + number % 2}") for number in range(60)])
    async with publishing(publisher):
        await until(lambda: outbox.depth == 30)
        await asyncio.sleep(1.2)  # some tries more
        assert [m.sequence for m in outbox.pending(100)] == list(range(1, 31)), "all of radio-2, none of radio-1"
        refused = {fact.topic for fact in facts if isinstance(fact, PublishRefused)}
        assert refused == {"monitor/status", *(f"monitor/radio-2/{leaf}" for leaf in ("events", "now", "status"))}
        assert {fact.reason for fact in facts if isinstance(fact, PublishRefused)} == {"not authorized"}
        assert [fact.connected for fact in facts if isinstance(fact, BrokerStateChanged)] == [True], "no reason to hang up"
        (tmp_path / "rules").write_text(rules + "topic readwrite monitor/#\n")
        broker.signal(signal.SIGHUP)  # it reads its rules again
        async with subscribed(broker.settings()) as live:
            await until(lambda: outbox.depth == 0)
            await live.until(lambda: live.last("monitor/radio-2/now") == [] and live.sequences("radio-2")[-1:] == [30])
            assert live.sequences("radio-2") == list(range(1, 31))
            await live.until(lambda: live.last("monitor/status"))
            assert live.last("monitor/status")["state"] == "online"
    assert not [fact for fact in facts if isinstance(fact, PublishRefused)][-1].reason


@FIVE
async def test_the_next_broker_is_taken_when_one_is_lost_and_kept(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "STABLE_S", 0.0)  # a connection counts as good from the start
    (tmp_path / "second").mkdir()
    second = Broker(tmp_path / "second", broker.version)
    second.start()
    publisher = MqttPublisher(
        broker.settings(standby=(f"127.0.0.1:{second.port}",)), outbox, stations=["radio-1"], tell=facts.append
    )
    try:
        async with publishing(publisher):
            outbox.put([detection(1)])
            await until(lambda: outbox.depth == 0)
            addresses = [f"127.0.0.1:{one.port}" for one in (broker, second)]
            states = [(fact.broker, fact.connected) for fact in facts if isinstance(fact, BrokerStateChanged)]
            assert states == [(addresses[0], False), (addresses[1], True)]
            broker.start()
            async with subscribed(second.settings()) as live:
                await live.until(lambda: live.last("monitor/radio-1/status"))
                await asyncio.sleep(1.0)
                assert live.last("monitor/status")["state"] == "online", "what works is kept, though the first is back"
            second.stop()
            async with subscribed(broker.settings()) as live:
                await live.until(lambda: live.last("monitor/radio-1/status"))
                outbox.put([detection(2)])
                await live.until(lambda: live.sequences() == [2])
    finally:
        second.stop()


@FIVE
async def test_home_assistant_keeps_a_device_until_its_station_goes(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(home_assistant="monitor/ha"), outbox, stations=["a", "b"], tell=facts.append)
    topics = {station: discovery.topic("monitor/ha", "monitor", station) for station in "ab"}
    async with publishing(publisher), subscribed(broker.settings()) as live:
        await live.until(lambda: all(live.last(topic) for topic in topics.values()))
        publisher.set_stations(["a"])
        await live.until(lambda: (topics["b"], b"", False) in live.got)
        async with subscribed(broker.settings()) as late:
            await late.until(lambda: late.last("monitor/status") and late.last("monitor/a/now") == [])
            assert {topic for topic, _, retained in late.got if retained and topic.startswith("monitor/ha")} == {topics["a"]}


def large(number: int) -> Detection:
    one = detection(number)
    return replace(one, reference=replace(one.reference, custom={"notes": "n" * 4000}))


@FIVE
async def test_an_event_larger_than_the_broker_takes_holds_nobody_up(broker: Broker, outbox: DiskOutbox, facts: list[Fact]) -> None:
    # It held its station's queue for ever: no waiting makes it smaller.
    def aside() -> list[EventsSetAside]:
        return [fact for fact in facts if isinstance(fact, EventsSetAside)]

    broker.extra = "max_packet_size 2500\n"
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=[], tell=facts.append)
    outbox.put([detection(1), large(2), detection(3), detection(4, station="b")])
    async with subscribed(broker.settings()) as live, publishing(publisher):
        await live.until(lambda: live.sequences() == [1, 3] and live.sequences("b") == [1])
        await until(lambda: outbox.depth == 1)
        outbox.put([detection(5)])
        await live.until(lambda: live.sequences() == [1, 3, 4])
    said = "radio-1, sequence 2: packet too large: the broker takes 2500 bytes"
    assert aside() == [EventsSetAside(count=1, newest=said)]
    assert not [fact for fact in facts if isinstance(fact, PublishRefused)]

    again = MqttPublisher(broker.settings(), outbox, stations=[], tell=facts.append)
    async with publishing(again):
        await until(lambda: len(aside()) == 2)  # another life of the monitor tells it, too
        broker.stop()
        broker.start()  # and another connection asks again, without a word
        await until(lambda: sum(isinstance(fact, BrokerStateChanged) and fact.connected for fact in facts) == 3)
        outbox.put([detection(6)])
        await until(lambda: outbox.depth == 1)
        assert len(aside()) == 2
        broker.stop()
        broker.extra = ""
        broker.start()
        async with subscribed(broker.settings()) as live:
            await until(lambda: outbox.depth == 0)
    assert aside()[2:] == [EventsSetAside(count=0)]
    assert live.sequences() in ([2], [])  # it may have come before we listened


@FIVE
async def test_a_broker_that_takes_only_small_messages_keeps_the_order(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact]
) -> None:
    broker.extra = "max_packet_size 600\n"
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=[], tell=facts.append)
    outbox.put([detection(number) for number in range(MOST_ASIDE + 50)])
    async with publishing(publisher):
        await until(lambda: any(isinstance(fact, PublishRefused) for fact in facts))
        assert outbox.depth == MOST_ASIDE + 50
    counts = [fact.count for fact in facts if isinstance(fact, EventsSetAside)]
    assert counts == list(range(1, MOST_ASIDE + 1))


async def test_all_that_is_said_is_what_is_promised_to_subscribers(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path
) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(home_assistant="monitor/ha"), outbox, stations=["radio-1", "gone"], tell=facts.append)
    keeper = keep(outbox, publisher, facts)
    async with subscribed(broker.settings()) as live:
        async with publishing(publisher):
            for state in StreamState:
                publisher.set_status("radio-1", state, reason="because")
                await asyncio.sleep(0.02)
            for kind in EventKind:
                await asyncio.to_thread(keeper.put, [detection(1, kind=kind)])
            publisher.set_stations(["radio-1"])
            await live.until(lambda: live.sequences() == [1, 2, 3, 4] and ("monitor/gone/now", b"", False) in live.got)
            await until(lambda: outbox.depth == 0)
            assert await asyncio.to_thread(main, [*configured(broker, tmp_path), "--from", "1"]) == 0
        await live.until(lambda: live.last("monitor/status")["state"] == "stopped")
        again = asyncio.create_task(MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append).run())
        await live.until(lambda: live.last("monitor/status")["state"] == "online")
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        await live.until(lambda: live.last("monitor/status")["state"] == "offline")
    channels = [published.check(topic, content) for topic, content, _ in live.got]
    assert set(channels) == set(published.DOCUMENT["channels"]), "all of them were heard"
    assert channels.count("events") == 8


def configured(broker: Broker, tmp_path: Path) -> list[str]:
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nversion = "{broker.version}"\n'
    mqtt += 'username = "monitor"\npassword = "secret"\n'
    (tmp_path / "config.toml").write_text(f'{mqtt}[outbox]\npath = "outbox.db"\n')
    return ["replay-events", "-c", str(tmp_path / "config.toml"), "--station", "radio-1"]


async def test_stored_events_are_sent_once_more_beside_the_monitor(
    broker: Broker, outbox: DiskOutbox, facts: list[Fact], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.start()
    publisher = MqttPublisher(broker.settings(), outbox, stations=["radio-1"], tell=facts.append)
    again = configured(broker, tmp_path)
    async with publishing(publisher):
        outbox.put([detection(number) for number in range(50)])
        await until(lambda: outbox.depth == 0)
        async with subscribed(broker.settings()) as live:
            replaying = asyncio.create_task(asyncio.to_thread(main, [*again, "--from", "11"]))
            for number in range(50, 80):
                outbox.put([detection(number)])
                await asyncio.sleep(0.01)
            assert await replaying == 0
            await until(lambda: outbox.depth == 0)
            await live.until(lambda: 80 in live.sequences())
            events = [json.loads(payload) for topic, payload, _ in live.got if topic.endswith("/events")]
    replayed = [event["sequence"] for event in events if "replayed_at" in event]
    new = [event["sequence"] for event in events if "replayed_at" not in event]
    assert new == list(range(51, 81)), "what is new keeps its order, and comes once"
    assert replayed == list(range(11, replayed[-1] + 1))
    assert replayed[-1] >= 50
    assert capsys.readouterr().out == f"sent once more: {len(replayed)} events (11 to {replayed[-1]}) of radio-1\n"
    assert not any(isinstance(fact, BrokerStateChanged) and not fact.connected for fact in facts), "nobody was thrown out"


@FIVE
async def test_what_cannot_be_sent_once_more_is_said(
    broker: Broker, outbox: DiskOutbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = configured(broker, tmp_path)
    outbox.put([detection(number) for number in range(10)])
    outbox.acknowledge([1, 2, 3, 4, 5])
    outbox._database.execute("DELETE FROM message WHERE sequence < 3")
    assert await asyncio.to_thread(main, [*again, "--from", "1"]) == 75
    assert capsys.readouterr().err.startswith(f"monitor: 127.0.0.1:{broker.port}: ")
    (tmp_path / "rules").write_text("user monitor\ntopic read #\n")
    (tmp_path / "rules").chmod(0o644)
    broker.extra = f"acl_file {tmp_path}/rules\n"
    broker.start()
    assert await asyncio.to_thread(main, [*again, "--from", "1"]) == 78
    assert capsys.readouterr().err == (
        "monitor: the broker refuses monitor/radio-1/events: not authorized; give the user write access\n"
    )
    (tmp_path / "rules").write_text("user monitor\ntopic readwrite #\n")
    broker.signal(signal.SIGHUP)
    await asyncio.sleep(0.3)
    assert await asyncio.to_thread(main, [*again, "--from", "1", "--to", "8"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "sent once more: 3 events (3 to 5) of radio-1\n"
    assert captured.err == (
        "monitor: not sent: 3 events (6 to 8), which wait in the outbox for the monitor to send them\n"
        "monitor: 2 of those asked for are not stored (keep_days, max_mb of [outbox])\n"
    )
