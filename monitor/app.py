"""Builds the daemon's parts, opens them in order, and closes them in reverse: the only file that knows everyone.

Sound flows down: stations, analysis, keeper, publisher. To stop, the taps are closed and the pipe is left to empty, each part
with a deadline; the sum of them is shorter than systemd's.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import structlog

from monitor import __version__, config
from monitor.capture.soundcard import SoundcardSource
from monitor.capture.stream import FfmpegSource
from monitor.catalog.store import Store, recipe_at
from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.core.sharding import shard_of
from monitor.encoder.engine import Engine, choose, load_encoder
from monitor.encoder.weights import load_evidence
from monitor.errors import MonitorError, OutboxUnwritable
from monitor.facts import (
    CatalogCurrent,
    CatalogLoaded,
    CatalogRefused,
    ClockMeasured,
    DetectionTold,
    DeviceMeasured,
    Fact,
    StreamStateChanged,
)
from monitor.index import faiss_store
from monitor.ledger.book import Book
from monitor.ledger.keeping import Ledger
from monitor.messages import PlayEvent
from monitor.observe import logs
from monitor.observe.health import Check
from monitor.observe.http import HttpServer
from monitor.observe.hub import Hub
from monitor.observe.notify import Notifier
from monitor.pipeline.analysis import Analysis
from monitor.pipeline.announce import Announcer
from monitor.pipeline.health import Health
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Encoder, Library, Outbox, Source
from monitor.pipeline.stations import Stations
from monitor.publish.keeper import Keeper
from monitor.publish.mqtt import MqttPublisher
from monitor.publish.outbox import DiskOutbox
from monitor.settings import Settings, SourceKind, StreamSettings

DRAIN_S = 10.0
"""For what was heard to be analysed after the taps are closed."""
MEASURE_S = 5.0
"""Prometheus asks every 10 to 60 s; a look costs next to nothing."""
GOODBYE_S = 5.0
"""For the broker to take what waits; what it does not take stays in the outbox."""

SWITCH_S = 0.0005
"""How long a thread may keep Python's lock while another waits for it. The encoder asks for it again after each of its many short
computations; with Python's own 5 ms it waited most of its time for the trackers."""

_log = structlog.get_logger()


def load_library(store: Store, previous: faiss_store.Snapshot | None = None) -> faiss_store.Snapshot:
    """Read the present generation of a catalogue into memory."""
    return faiss_store.load(store.table(), previous)


class Daemon:
    """All parts of a running monitor."""

    def __init__(self, path: Path, settings: Settings, *, keep_secret: Callable[[Iterable[str]], None]) -> None:
        """Take the configuration; `keep_secret` is told what must not be logged, when a reload brings more of it."""
        self._path, self._settings, self._keep_secret = path, settings, keep_secret
        self._hub = Hub(stream.name for stream in own_streams(settings))
        self._health = Health()
        self._notifier = Notifier(os.environ)
        self._stop = asyncio.Event()
        self._signals = 0
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Open everything, run until told to stop, close everything.

        Raises:
            Permanent: A part cannot be opened.
        """
        settings = self._settings
        for name, handler in ((signal.SIGTERM, self._stopped), (signal.SIGINT, self._stopped), (signal.SIGHUP, self._reload.set)):
            asyncio.get_running_loop().add_signal_handler(name, handler)
        async with AsyncExitStack() as stack:
            http = HttpServer(
                settings.http,
                metrics=self._hub.metrics.exposition,
                live=self._live,
                ready=self._hub.readiness.checks,
                tell=self._tell,
            )
            if settings.http.enabled:
                await stack.enter_async_context(http)
                _log.info("pages", address=f"http://{settings.http.bind}:{http.port}")
            engine, evidence = await asyncio.to_thread(self._open_encoder)
            self._store = Store(settings.catalog.path, engine.recipe)
            self._library = await self._open_library(None)
            outbox = DiskOutbox(
                settings.outbox.path, keep_days=settings.outbox.keep_days, max_mb=settings.outbox.max_mb, tell=self._tell
            )
            stack.callback(outbox.close)
            _end_left_over(outbox)
            # Those of earlier runs too: what they left on retained topics is cleared as soon as the present streams are applied.
            # Those that another monitor of this configuration has now are its to speak of.
            known = ({*outbox.stations()} - {one.name for one in settings.stream}) | {one.name for one in own_streams(settings)}
            self._publisher = MqttPublisher(settings.mqtt, outbox, stations=known, tell=self._tell)
            self._keeper = Keeper(outbox, told=self._publisher.told, tell=self._tell)
            book = Book(settings.ledger.path, keep_days=settings.ledger.keep_days)
            stack.callback(book.close)
            self._ledger = Ledger(book, engine.recipe, self._utc_s, self._tell)
            matcher = Matcher(self._library, evidence, engine.recipe, settings.matcher, self._tell)
            self._analysis = Analysis(
                engine, matcher, settings.encoder, on_events=self._announce, health=self._health, tell=self._heard
            )
            stack.callback(self._analysis.shut)
            self._stations = Stations(
                engine.recipe,
                open_source=lambda one: open_source(one, engine.recipe, self._heard),
                put=self._analysis.put,
                room=self._analysis.room,
                closed=lambda name: asyncio.ensure_future(self._close_station(name)),
                tell=self._tell,
            )
            self._announcer = Announcer(engine.recipe, self._stations.utc_s, self._stations.hint)
            self._engine, self._windows_per_s = engine, 1 / engine.recipe.hop_s
            await self._serve()

    async def _serve(self) -> None:
        """Run the stages; one that ends before its time takes the daemon down."""
        stages = {
            "encoder": self._analysis.encode(),
            "matcher": self._analysis.match(),
            "publisher": self._publisher.run(),
            "keeper": self._keeper.run(),
            "ledger": self._ledger.run(),
            "catalogue": self._watch_catalog(),
            "reload": self._reload_when_told(),
            "measurements": self._measure(),
            "watchdog": self._notifier.watch(self._health.stuck),
        }
        tasks = {name: asyncio.create_task(stage, name=name) for name, stage in stages.items()}
        if not self._notifier.watchdog_s:
            await tasks.pop("watchdog")
        rehearsal = asyncio.create_task(self._analysis.rehearse(self._engine.recipe.window_samples))
        await asyncio.wait([rehearsal, tasks["encoder"], tasks["matcher"]], return_when=asyncio.FIRST_COMPLETED)
        rehearsal.cancel()  # without effect, unless a stage broke: then nothing comes back, and the stage says why below
        _share_the_lock()
        await self._apply_streams()
        self._notifier.ready()
        _log.info("monitoring", version=__version__, stations=len(self._stations.names))
        stopped = asyncio.create_task(self._stop.wait())
        ends: list[asyncio.Future[Any]] = [*tasks.values(), stopped, self._stations.over]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        broken = [task for task in tasks.values() if task in done]
        self._notifier.stopping()
        try:
            await self._drain(tasks)
        finally:
            for task in (*tasks.values(), stopped):
                task.cancel()
            await asyncio.gather(*tasks.values(), stopped, return_exceptions=True)
        for task in broken:
            task.result()
            raise RuntimeError(f"stage {task.get_name()} ended before its time")
        if self._stations.over.done():
            self._stations.over.result()
        _log.info("stopped")

    async def _drain(self, tasks: dict[str, asyncio.Task[None]]) -> None:
        """Close the taps and let the pipe empty."""
        for opener in ("reload", "catalogue"):  # a reload that is under way must not open taps behind our back
            tasks[opener].cancel()
        await self._stations.stop()
        self._analysis.drain()
        way = [tasks["encoder"], tasks["matcher"]]
        if not any(task.done() for task in way) and (await asyncio.wait(way, timeout=DRAIN_S))[1]:
            _log.error("what was heard last could not be analysed in time", limit_s=DRAIN_S)
        self._keeper.retry()
        await self._publisher.stop(GOODBYE_S)
        await asyncio.to_thread(self._ledger.tick, over=True)

    def _stopped(self) -> None:
        self._signals += 1
        if self._signals > 1:
            _log.warning("second signal, leaving at once; unsent detections stay in the outbox")
            os._exit(1)
        self._stop.set()

    def _open_encoder(self) -> tuple[Engine, Evidence]:
        settings = self._settings.encoder
        name = choose(settings.name, settings.device, lambda: recipe_at(self._settings.catalog.path))
        engine = load_encoder(name, settings.device, settings.threads, music=True)
        evidence = load_evidence(name, engine.recipe, engine.query)
        engine.warm_up()
        self._hub.metrics.set_encoder(name=engine.recipe.name, recipe=engine.recipe.hash, air=engine.air, device=str(engine.device))
        self._hub.readiness.set_encoder(repr(engine))
        matcher = self._settings.matcher
        self._hub.metrics.set_budget(false_alarms_per_day=matcher.false_alarms_per_day, decoy_share=matcher.decoy_share)
        return engine, evidence

    async def _open_library(self, previous: faiss_store.Snapshot | None) -> faiss_store.Snapshot:
        started_s = time.monotonic()
        library = await asyncio.to_thread(load_library, self._store, previous)
        self._tell(
            CatalogLoaded(
                generation=library.generation,
                references=library.references,
                fingerprints=library.rows,
                index_kind=library.kind,
                took_s=time.monotonic() - started_s,
            )
        )
        return library

    async def _watch_catalog(self) -> None:
        """Take up what others commit to the catalogue; what cannot be used is refused once, and the old one stays in service."""
        refused = ""
        while True:
            await asyncio.sleep(self._settings.catalog.poll_s)
            try:
                if await asyncio.to_thread(self._store.generation) != self._library.generation:
                    self._library = await self._open_library(self._library)
                    self._analysis.swap(self._library)
                elif refused:
                    self._tell(CatalogCurrent())
                refused = ""
            except MonitorError as error:
                if str(error) != refused:
                    refused = str(error)
                    self._tell(CatalogRefused(reason=refused))

    async def _measure(self) -> None:
        """Tell what only shows when asked: what waits, how sure the clocks are, and in a line how it goes."""
        while True:
            await asyncio.sleep(MEASURE_S)
            self._tell(self._analysis.queues)
            self._tell(DeviceMeasured(memory_bytes=self._engine.device_memory_bytes))
            for name, uncertainty_s in self._stations.uncertainties_s().items():
                self._tell(ClockMeasured(stream=name, uncertainty_s=uncertainty_s))
            stuck = self._health.stuck(time.monotonic())
            self._notifier.status(f"{self._hub.readiness.summary}{', stuck: ' if stuck else ''}{', '.join(stuck)}")

    async def _reload_when_told(self) -> None:
        """Read the configuration again on SIGHUP: streams come and go, the rest needs a restart, and says so."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            try:
                settings = config.load(self._path)
            except MonitorError as error:
                _log.error("configuration not taken up, the old one stays", reason=str(error))
            else:
                self._keep_secret(config.secrets(settings))
                needs_restart = [
                    one.name
                    for one in fields(Settings)
                    if one.name != "stream" and getattr(settings, one.name) != getattr(self._settings, one.name)
                ]
                if needs_restart:
                    _log.warning("changed, but needs a restart", sections=needs_restart)
                self._settings = replace(self._settings, stream=settings.stream)
                await self._apply_streams()
            self._notifier.ready()

    async def _apply_streams(self) -> None:
        streams = own_streams(self._settings)
        names = [stream.name for stream in streams]
        self._hub.set_streams(names)
        self._hub.metrics.set_expectations({stream.name: stream.expect_detection_s for stream in streams})
        self._publisher.set_stations(names)
        self._analysis.set_streams(len(names), self._windows_per_s)
        await asyncio.to_thread(self._ledger.set_stations, {one.name: one.silence_db for one in streams})
        started, stopped = await self._stations.apply(streams)
        self._notifier.status(self._hub.readiness.summary)
        _log.info("stations", started=started, stopped=stopped)

    def _announce(self, events: list[PlayEvent], library: Library) -> None:
        """Name, keep and count what the matcher said. Matcher's thread."""
        detections = [self._announcer.announce(event, library) for event in events]
        self._keeper.put(detections)
        self._ledger.told(detections)
        for detection in detections:
            self._tell(
                DetectionTold(
                    stream=detection.station,
                    kind=detection.kind,
                    reference=str(detection.reference.id),
                    confidence=detection.play.confidence,
                    latency_s=max(time.time() - detection.start_utc_s, 0.0),
                )
            )

    def _tell(self, fact: Fact) -> None:
        self._hub.tell(fact)
        if isinstance(fact, StreamStateChanged):
            self._publisher.set_status(fact.stream, fact.state, reason=fact.reason)

    def _heard(self, fact: Fact) -> None:
        """Take a fact about sound: the ledger accounts for it."""
        self._tell(fact)
        self._ledger.tell(fact)

    def _utc_s(self, station: str, position: int) -> tuple[float, float]:
        return self._stations.utc_s(station, position)

    async def _close_station(self, name: str) -> None:
        """Let what was heard of a stream that is over be analysed and accounted for."""
        await self._analysis.close_stream(name)
        await asyncio.to_thread(self._ledger.close_station, name)

    def _live(self) -> list[Check]:
        stuck = self._health.stuck(time.monotonic())
        return [
            Check(name=stage, ok=stage not in stuck, detail="stuck" if stage in stuck else "moves") for stage in self._health.beats
        ]


def own_streams(settings: Settings) -> tuple[StreamSettings, ...]:
    """Return the stations that are this monitor's."""
    shard = settings.shard
    return tuple(one for one in settings.stream if shard_of(one.name, shard.count) == shard.index)


def open_source(settings: StreamSettings, recipe: Recipe, tell: Callable[[Fact], None]) -> Source:
    """Make the source a stream's settings ask for."""
    if settings.kind is SourceKind.SOUNDCARD:
        return SoundcardSource(settings, recipe, tell)
    return FfmpegSource(settings, recipe, tell)


def _make_room_for_decoders() -> None:
    """Let a decoder cost a few descriptors, which there are enough of, and no thread.

    Python waits for each child in a thread of its own until 3.12 does as here; a shell's limit of 1024 descriptors is 340 stations.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.version_info < (3, 12):
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())


def _share_the_lock() -> None:
    """Let the threads take turns at Python's lock, and no collection of garbage hold it for long.

    What was made until now stays until the end; a collection that goes through it all stops every thread for a fifth of a second.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


def _end_left_over(outbox: DiskOutbox) -> None:
    """Tell the ends of the plays a run that crashed left on air."""
    try:
        if left := outbox.end_left_over():
            _log.warning("the last run did not stop cleanly, its plays on air are ended where they were last heard", plays=left)
    except OutboxUnwritable as error:
        _log.error("plays that the last run left on air could not be ended, the next start tries again", reason=str(error))


def run(path: Path) -> None:
    """Run the daemon until it is told to stop.

    Raises:
        Permanent: The configuration, or what it names, cannot be used.
    """
    settings = config.load(path)
    masker = logs.setup(settings.log, environ=os.environ, secrets=config.secrets(settings), out=sys.stdout)
    _make_room_for_decoders()
    asyncio.run(Daemon(path, settings, keep_secret=masker.add).run())


def _ports_fit(engine: Engine, snapshot: faiss_store.Snapshot, keeper: Keeper) -> tuple[Encoder, Library, Outbox]:
    """For mypy: the real parts fit the pipeline's ports."""
    return engine, snapshot, keeper
