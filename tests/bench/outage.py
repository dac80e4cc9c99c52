"""`python -m tests.bench.outage`: what a broker that is away does to the delivery of a hundred stations.

Real Mosquitto, and in a process of its own the real keeper, outbox and publisher, fed at the pace of the clock as the matcher's
thread feeds them. A subscriber whose session the broker keeps takes down what comes. Measured are the memory of that process while
the broker is away, and after its return the time until everything is delivered, the order, and whether subscriber and store agree.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.history import History
from monitor.publish.keeper import Keeper
from monitor.publish.mqtt import MqttPublisher
from monitor.publish.outbox import DiskOutbox
from monitor.settings import MqttSettings
from tests.bench.table import Section
from tests.conftest import find

BEFORE_S = 10.0
"""With the broker there, before it goes."""
PATIENCE_S = 300.0
SAYS = "fed:"
CYCLE = (EventKind.STARTED, *(EventKind.UPDATED,) * 4, EventKind.ENDED)
"""What is said of each play, one event after the other."""


@dataclass(kw_only=True)
class Result:
    """What was seen."""

    stations: int
    events_a_minute: float
    away_s: float
    samples: list[tuple[float, int]] = field(default_factory=list)
    """While the broker was away: seconds since it went, resident kB of the delivering process."""
    waiting: int = 0
    """Events in the outbox when it came back."""
    delivered_after_s: float = 0.0
    """From the moment the broker listened again until it had taken all that waited then."""
    received_after_s: float = 0.0
    """The same until the subscriber had them all."""
    stored: int = 0
    received: int = 0
    repeated: int = 0
    missing: int = 0
    disordered: int = 0
    plays: int = 0
    differing: int = 0
    """Plays of which the subscriber's last event is not the store's."""
    outbox_kb: int = 0

    def at_kb(self, first_s: float, last_s: float) -> float:
        """Median memory in a part of the time away."""
        return statistics.median(kb for at_s, kb in self.samples if first_s <= at_s <= last_s)

    def section(self) -> Section:
        """Write it as a table."""
        part_s = min(60.0, self.away_s / 4)
        rows = [
            ("stations, events a minute of each", f"{self.stations}, {self.events_a_minute:g}"),
            ("broker away", f"{self.away_s / 60:.1f} min"),
            (f"memory, its first {part_s:.0f} s", f"{self.at_kb(0.0, part_s) / 1024:.1f} MB"),
            (f"memory, its last {part_s:.0f} s", f"{self.at_kb(self.away_s - part_s, self.away_s) / 1024:.1f} MB"),
            ("memory, most", f"{max(kb for _, kb in self.samples) / 1024:.1f} MB"),
            ("events waiting when it came back", f"{self.waiting}"),
            ("all of them delivered after", f"{self.delivered_after_s:.1f} s"),
            ("subscriber had them all after", f"{self.received_after_s:.1f} s"),
            ("events stored, received (repeated)", f"{self.stored}, {self.received} ({self.repeated})"),
            ("missing, out of order", f"{self.missing}, {self.disordered}"),
            ("plays, whose last event differs", f"{self.plays}, {self.differing}"),
            ("outbox on disk", f"{self.outbox_kb / 1024:.1f} MB"),
        ]
        return Section(title="Broker away", columns=("measured", "value"), rows=rows)


def measure(*, away_s: float, stations: int, events_a_minute: float) -> Result:
    """Let the broker go for so long, and see."""
    result = Result(stations=stations, events_a_minute=events_a_minute, away_s=away_s)
    with tempfile.TemporaryDirectory(prefix="outage-") as name:
        folder = Path(name)
        broker = _Broker(folder)
        try:
            broker.start()
            with closing(_Subscriber(broker.port)) as subscriber, closing(_Feeder(folder, broker.port, result)) as feeder:
                _watch(result, broker, feeder, subscriber)
                feeder.close()
                subscriber.settle(sum(len(events) for events in _stored(folder).values()))
        finally:
            broker.stop()
        _compare(result, _stored(folder), subscriber.got)
        result.outbox_kb = (folder / "outbox.db").stat().st_size // 1024
    return result


def _watch(result: Result, broker: _Broker, feeder: _Feeder, subscriber: _Subscriber) -> None:
    time.sleep(min(BEFORE_S, result.away_s))
    broker.stop()
    gone_s = time.monotonic()
    while (at_s := time.monotonic() - gone_s) < result.away_s:
        result.samples.append((at_s, feeder.resident_kb()))
        time.sleep(min(1.0, result.away_s / 20))
    result.waiting, due = feeder.depth, feeder.put
    broker.start()
    back_s = time.monotonic()
    while feeder.put - feeder.depth < due and time.monotonic() - back_s < PATIENCE_S:  # the feeding goes on
        time.sleep(0.05)
    result.delivered_after_s = time.monotonic() - back_s
    while len(subscriber.seen) < due and time.monotonic() - back_s < PATIENCE_S:
        time.sleep(0.05)
    result.received_after_s = time.monotonic() - back_s


def _stored(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    with History(folder / "outbox.db") as history:
        for station in history.stations():
            found[station] = [event.content for event in history.sequence(station, 1, 10**9)]
    return found


def _compare(result: Result, stored: dict[str, list[dict[str, Any]]], got: Sequence[dict[str, Any]]) -> None:
    received: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in got:
        received[event["station"]].append(event)
    for station, events in stored.items():
        sequences = [event["sequence"] for event in received[station]]
        once = list(dict.fromkeys(sequences))
        result.repeated += len(sequences) - len(once)
        result.missing += len({event["sequence"] for event in events} - set(once))
        result.disordered += sum(later < before for before, later in itertools.pairwise(once))
        result.stored += len(events)
        result.received += len(once)
        last = {event["id"]: event for event in events}
        theirs = {event["id"]: event for event in sorted(received[station], key=lambda event: event["sequence"])}
        result.plays += len(last)
        result.differing += sum(theirs.get(play) != event for play, event in last.items())


class _Broker:
    """A Mosquitto that keeps its subscriber's session, however much waits there, over its own end."""

    def __init__(self, folder: Path) -> None:
        found = find("mosquitto")
        if found is None:
            raise SystemExit("mosquitto is not installed; deploy/setup.sh bench installs it")
        self._program, self._folder = found, folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "max_queued_messages 0\nuser root\n"
        )

    def start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._folder / "mosquitto.conf"], stdout=log, stderr=log)
        for _ in range(1000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return
            time.sleep(0.01)
        raise RuntimeError((self._folder / "mosquitto.log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30.0)
            self._process = None


class _Subscriber:
    """Takes down every event."""

    def __init__(self, port: int) -> None:
        self.got: list[dict[str, Any]] = []
        self.seen: set[tuple[str, int]] = set()
        subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="outage", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("monitor/+/events", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not subscribed.wait(10.0):
            raise RuntimeError("could not subscribe")

    def _note(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        event = json.loads(message.payload)
        self.got.append(event)
        self.seen.add((event["station"], event["sequence"]))

    def settle(self, count: int) -> None:
        """Wait until so many different events are here."""
        give_up_s = time.monotonic() + 30.0
        while len(self.seen) < count and time.monotonic() < give_up_s:
            time.sleep(0.05)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class _Feeder:
    """The delivering process, and what it says of itself."""

    def __init__(self, folder: Path, port: int, result: Result) -> None:
        self.put, self.depth = 0, 0
        command = [sys.executable, "-m", "tests.bench.outage", "--feed", str(folder), "--port", str(port)]
        command += ["--stations", str(result.stations), "--rate", str(result.events_a_minute)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        if not self._ready.wait(60.0):
            self.close()
            raise RuntimeError("the delivering process does not start")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith(SAYS):  # the rest is the publisher's log
                    self.put, self.depth = map(int, line.split()[1:])
                    self._ready.set()

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def close(self) -> None:
        """Let it send what waits, and end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()


async def feed(folder: Path, *, port: int, stations: int, events_a_minute: float) -> None:
    """Deliver at the pace of the clock until SIGTERM; print what was put and what waits, several times a second."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    names = [f"station-{number:03}" for number in range(stations)]
    outbox = DiskOutbox(folder / "outbox.db", keep_days=30.0, tell=lambda fact: None)
    publisher = MqttPublisher(MqttSettings(host="127.0.0.1", port=port), outbox, stations=names, tell=lambda fact: None)
    keeper = Keeper(outbox, told=publisher.told, tell=lambda fact: None)
    tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(keeper.run())]
    began_s, put, a_second = time.monotonic(), 0, stations * events_a_minute / 60.0
    while not stop.is_set():
        due = int((time.monotonic() - began_s) * a_second)
        if due > put:
            await asyncio.to_thread(keeper.put, [_event(names, number) for number in range(put, due)])
            put = due
        print(SAYS, put, outbox.depth, flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)
    await publisher.stop(30.0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(SAYS, put, outbox.depth, flush=True)
    outbox.close()


def _event(names: Sequence[str], number: int) -> Detection:
    """The events of all stations in turn; each goes through one play after the other."""
    at, station = divmod(number, len(names))
    play, step = divmod(at, len(CYCLE))
    now_s = time.time()
    return Detection(
        id=f"{names[station]}-{play}",
        kind=CYCLE[step],
        station=names[station],
        start_utc_s=now_s - 30.0 * (step + 1),
        end_utc_s=now_s,
        uncertainty_s=0.2,
        detected_utc_s=now_s,
        play=Play(
            stream=names[station],
            reference_id=play,
            start_s=0.0,
            end_s=30.0 * (step + 1),
            reference_start_s=0.0,
            reference_end_s=30.0 * (step + 1),
            speed=1.0,
            score=0.8,
            evidence=120.0,
            confidence=0.9999,
            detected_s=3.0,
        ),
        reference=Reference(
            id=play,
            path=f"/music/artist/album/{play}.flac",
            title=f"Title {play}",
            artist="Artist",
            album="Album",
            isrc="CHA012345678",
        ),
        recipe="0123456789abcdef",
        generation=1,
        encoder="compact",
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="tests.bench.outage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the broker is away (default: %(default)g)")
    parser.add_argument("--stations", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2.0, help="events a minute of each station (default: %(default)g)")
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.feed:
        asyncio.run(feed(given.feed, port=given.port, stations=given.stations, events_a_minute=given.rate))
        return
    result = measure(away_s=given.minutes * 60.0, stations=given.stations, events_a_minute=given.rate)
    print(result.section().markdown())


if __name__ == "__main__":
    main()
