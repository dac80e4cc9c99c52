"""Messages to the broker, again and again until it has them.

Hides MQTT. Topics under the prefix: `status` (retained, with a last will), `STATION/events` (not retained, in order of the
outbox), `STATION/now` and `STATION/status` (retained). A message is acknowledged to the outbox only when the broker has done so
to us; after a lost connection the ones in between are sent twice, and `sequence` tells. What a broker refuses stays, in its place,
and is tried again; the other topics go on. An event that is too large for it is passed over: it stays in the outbox, and is tried
again with the next connection, since no waiting makes it smaller. Knows nothing of sound.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Container, Coroutine, Iterable, Sequence
from typing import Any

import aiomqtt
import structlog

from monitor.core.backoff import Backoff
from monitor.core.brokers import Address, Rota, read_address
from monitor.errors import BrokerUnreachable, OutboxUnwritable
from monitor.facts import BrokerStateChanged, EventsSetAside, MessagePublished, PublishRefused, Tell
from monitor.messages import Detection, StreamState
from monitor.publish import payload
from monitor.publish.board import Board
from monitor.publish.client import ACCEPTED, TOO_LARGE, Connection, abandon, explain, hang_up, until_lost
from monitor.publish.outbox import DiskOutbox, Stored
from monitor.settings import MqttSettings

LAST_WILL = payload.encode({"state": "offline", "reason": "connection lost"})
LOOK_S = 5.0
"""How often the outbox is looked at unasked: it may have been filled by a retry."""
STABLE_S = 30.0
"""A connection that lived so long resets the backoff; two clients of one id throw each other out at once and must not storm."""
LONGEST_WAIT_S = 20.0
"""Between two attempts: a broker that is back after an hour has everything within a minute, and an attempt costs it nothing."""
REFUSED_S = 60.0
"""A topic that the broker refused is tried again so often: a person mends it, in minutes."""
MOST_ASIDE = 200
"""Events passed over at once. Where there are more, it is the limit that is small: their stations wait, as for any refusal."""

_log = structlog.get_logger()


class MqttPublisher:
    """Empties the outbox into the broker and keeps the retained topics true. For one event loop; `told` is for any thread."""

    def __init__(self, settings: MqttSettings, outbox: DiskOutbox, *, stations: Iterable[str], tell: Tell) -> None:
        """Prepare; nothing is sent before `run`. Must be made in the event loop it will run in."""
        self._settings = settings
        self._outbox = outbox
        self._tell = tell
        self._board = Board(settings.prefix, status_topic=settings.status_topic, home_assistant=settings.home_assistant)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rota = Rota(brokers(settings), Backoff(1.0, LONGEST_WAIT_S, random.random, stable_s=STABLE_S), stable_s=STABLE_S)
        self._told: dict[str, BrokerStateChanged] = {}
        self._refused: dict[str, float] = {}
        self._aside: set[int] = set()
        """Events too large for the broker, by number, as far as it was asked."""
        self._passed_over: set[int] = set()
        """Of them, those this connection has been asked for."""
        self._unnoted: list[int] = []
        """What the broker has, and the outbox does not know yet."""
        self.set_stations(stations)

    def __repr__(self) -> str:
        """Say where it publishes."""
        return f"MqttPublisher({self._rota.current}, {self._settings.prefix}/#)"

    def set_stations(self, stations: Iterable[str]) -> None:
        """Make the retained topics of new stations, clear those of stations that are gone."""
        wanted = set(stations)
        for gone in set(self._board.stations()) - wanted:
            self._board.remove(gone)
        for station in sorted(wanted):
            self._board.add(station, now_utc_s=time.time())
        self._wake.set()

    def set_status(self, station: str, state: StreamState, *, reason: str = "") -> None:
        """Say what a station is doing from now on."""
        self._board.status(station, state, reason=reason, since_utc_s=time.time())
        self._wake.set()

    def told(self, detections: Sequence[Detection]) -> None:
        """Hear of detections, once they are in the outbox: what is on air now may have changed. Any thread."""
        self._loop.call_soon_threadsafe(self._hear, detections)

    async def run(self) -> None:
        """Connect, publish, connect again, until `stop`.

        Who has no broker then asks those that this round has left, or each once more, to say good-bye.
        """
        self._task = asyncio.current_task()
        try:
            while True:
                farewell = self._stopping.is_set()
                try:
                    await self._session()
                    break
                except (BrokerUnreachable, OutboxUnwritable) as error:
                    self._lost(str(error))
                wait_s = self._rota.failed(time.monotonic())
                if farewell and wait_s:
                    break
                await _wait(self._stopping, wait_s)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        finally:
            self._ended.set()

    async def stop(self, within_s: float) -> None:
        """Send what waits and say good-bye; what the broker does not take within the time stays in the outbox."""
        self._stopping.set()
        self._wake.set()
        if not await _wait(self._ended, within_s) and self._task is not None:
            self._task.cancel()

    def _hear(self, detections: Sequence[Detection]) -> None:
        for detection in detections:
            self._board.told(detection)
        self._wake.set()

    async def _session(self) -> None:
        """Publish until good-bye is said; a broker that is lost before raises."""
        will = aiomqtt.Will(f"{self._settings.prefix}/{self._settings.status_topic}", LAST_WILL, qos=1, retain=True)
        client = Connection(self._settings, self._rota.current, will=will, identifier=self._settings.client_id)
        try:
            async with client:
                self._online()
                try:
                    await _either(self._serve(client), until_lost(client))
                except BaseException:
                    await hang_up(client)
                    raise
        except (aiomqtt.MqttError, OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            abandon(client)
            raise BrokerUnreachable(explain(error, tls=self._settings.tls)) from error

    async def _serve(self, client: Connection) -> None:
        self._refused = dict.fromkeys(self._refused, 0.0)  # another connection, perhaps another broker
        self._passed_over.clear()
        self._board.monitor("online", since_utc_s=time.time())
        self._board.all_changed()
        while True:
            self._wake.clear()
            await self._publish_board(client)
            while self._outbox.depth and await self._publish_events(client):
                await self._publish_board(client)
            if self._stopping.is_set():
                return await self._say_goodbye(client)
            await _wait(self._wake, LOOK_S)

    async def _publish_events(self, client: Connection) -> bool:
        """Send the next batch; return whether there was one, and the disk could take a note of it."""
        if not await self._note():
            return False
        shut = [topic.split("/")[-2] for topic in self._refused if topic.endswith("/events") and self._is_refused(topic)]
        batch = await asyncio.to_thread(self._outbox.pending, client.window, without=shut, beside=tuple(self._passed_over))
        # Tasks start in the order they were made, and paho sends in the order it was called.
        sends = [asyncio.ensure_future(self._publish_event(client, message)) for message in batch]
        try:
            await asyncio.gather(*sends)
        finally:
            for send in sends:
                send.cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            self._unnoted += _taken(batch, sends, beside=self._passed_over)
            noted = await self._note()
        return noted and bool(batch)

    async def _note(self) -> bool:
        """Note what the broker has; a disk that does not take it is no reason to leave the broker, nor to send anything twice."""
        try:
            await asyncio.to_thread(self._outbox.acknowledge, self._unnoted)
        except OutboxUnwritable as error:
            _log.debug("the disk takes no note of what was delivered, trying again", reason=str(error))
            return False
        self._unnoted = []
        return True

    async def _publish_event(self, client: Connection, message: Stored) -> bool:
        started_s = time.monotonic()
        topic = self._events(message.station)
        answer = await client.send(topic, message.payload)
        if answer.startswith(TOO_LARGE) and len(self._passed_over) < MOST_ASIDE:
            self._set_aside(message, answer)
            return False
        accepted = self._hear_answer(topic, answer)
        if accepted:
            self._tell(MessagePublished(took_s=time.monotonic() - started_s))
            if message.number in self._aside:
                self._aside.remove(message.number)
                self._tell(EventsSetAside(count=len(self._aside)))
        return accepted

    def _set_aside(self, message: Stored, answer: str) -> None:
        """Pass an event over for as long as this connection lasts; tell it once, however often it is tried."""
        self._passed_over.add(message.number)
        if message.number not in self._aside:
            self._aside.add(message.number)
            self._tell(EventsSetAside(count=len(self._aside), newest=f"{message.station}, sequence {message.sequence}: {answer}"))

    async def _publish_board(self, client: Connection) -> None:
        due = self._board.take()
        shut = [item for item in due if self._is_refused(item[0])]
        self._board.put_back(shut)
        due = [item for item in due if item not in shut]
        try:
            self._board.put_back(await self._retain(client, due))
        except BaseException:
            self._board.put_back(due)
            raise

    async def _retain(self, client: Connection, topics: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Publish retained topics; return those the broker refused."""
        refused: list[tuple[str, bytes]] = []
        for at in range(0, len(topics), client.window):
            batch = topics[at : at + client.window]
            accepted = await asyncio.gather(*(self._send(client, topic, content, retain=True) for topic, content in batch))
            refused += [item for item, taken in zip(batch, accepted, strict=True) if not taken]
        return refused

    async def _send(self, client: Connection, topic: str, content: bytes, *, retain: bool = False) -> bool:
        """Return whether the broker took it; what it refuses is left alone for a while, and told."""
        return self._hear_answer(topic, await client.send(topic, content, retain=retain))

    def _hear_answer(self, topic: str, answer: str) -> bool:
        if answer != ACCEPTED:
            self._refused[topic] = time.monotonic() + REFUSED_S
            self._tell(PublishRefused(topic=topic, reason=answer))
        elif self._refused.pop(topic, None) is not None:
            self._tell(PublishRefused(topic=topic, reason=""))
        return answer == ACCEPTED

    def _is_refused(self, topic: str) -> bool:
        return self._refused.get(topic, 0.0) > time.monotonic()

    def _events(self, station: str) -> str:
        return f"{self._settings.prefix}/{station}/events"

    async def _say_goodbye(self, client: Connection) -> None:
        for station in self._board.stations():
            self._board.silence(station)
            self._board.status(station, StreamState.OFFLINE, reason="monitor stopped", since_utc_s=time.time())
        self._board.monitor("stopped", since_utc_s=time.time())  # last, so that a reader has the stations' before it
        await self._publish_board(client)

    def _online(self) -> None:
        self._rota.worked(time.monotonic())
        self._told.clear()
        self._say(BrokerStateChanged(connected=True, broker=str(self._rota.current)))

    def _lost(self, reason: str) -> None:
        _log.debug("broker not reachable", broker=str(self._rota.current), reason=reason)
        self._say(BrokerStateChanged(connected=False, reason=reason, broker=str(self._rota.current)))

    def _say(self, fact: BrokerStateChanged) -> None:
        """Tell what is new; an hour of failed attempts at a broker for one reason is one fact."""
        if fact != self._told.get(fact.broker):
            self._told[fact.broker] = fact
            self._tell(fact)


def brokers(settings: MqttSettings) -> list[Address]:
    """Return the brokers to publish to, in order of preference."""
    first = Address(host=settings.host, port=settings.port)
    return [first, *(read_address(text, default_port=settings.port) for text in settings.standby)]


def _taken(batch: Sequence[Stored], sends: Sequence[asyncio.Future[bool]], *, beside: Container[int]) -> list[int]:
    """Return what counts as delivered: of each station only what comes before the first that the broker did not take.

    What comes after it is sent again behind it, so that the order holds; but those set aside are in nobody's way.
    """
    numbers: list[int] = []
    stuck: set[str] = set()
    for message, send in zip(batch, sends, strict=True):
        if message.number in beside:
            continue
        if send.cancelled() or send.exception() or not send.result():
            stuck.add(message.station)
        elif message.station not in stuck:
            numbers.append(message.number)
    return numbers


async def _either(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends, cancel the others, raise what was raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
