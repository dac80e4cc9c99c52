"""Facts in, numbers for Prometheus out.

Every metric of the product stands in this file: prefix `monitor_`, base units, labels whose values can be listed in advance, every
series there from the start. Knows no log and no page.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from monitor import __version__, facts
from monitor.messages import AirState, EventKind, StreamState
from monitor.observe.decoders import DecoderCollector

disable_created_metrics()  # type: ignore[no-untyped-call]
"""One more series a counter that nobody asks for; the library has only this switch, for the whole process."""
DROP_PLACES = ("batcher", "matcher")
HTTP_REFUSALS = (400, 403, 404, 405, 431)
"""What our pages answer to a wrong question; anything else is counted as 400."""
FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW_S = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)
RATIOS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Metrics:
    """All metrics of one daemon, in a registry of their own. `tell` may be called from any thread; it neither blocks nor raises."""

    def __init__(self, streams: Iterable[str] = (), *, utc_s: Callable[[], float] = time.time) -> None:
        """Make every series, those of the streams included."""
        self._utc_s = utc_s
        self._streams: set[str] = set()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(DecoderCollector())
        self._gauge("monitor_build_info", "Version of the monitor; always 1.", ["version"]).labels(__version__).set(1)
        self._encoder = self._gauge("monitor_encoder_info", "Encoder in use; always 1.", ["name", "recipe", "air", "device"])
        self._make_stream_metrics()
        self._make_pipeline_metrics()
        self._make_delivery_metrics()
        self._make_catalog_metrics()
        self._takes: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.StreamStateChanged: self._stream_state,
            facts.StreamRestarted: self._stream_restarted,
            facts.SoundReceived: self._sound,
            facts.InputOverflowed: self._overflowed,
            facts.SoundLost: self._sound_lost,
            facts.SoundDamaged: self._sound_damaged,
            facts.SourceChosen: self._source_chosen,
            facts.HintHeard: self._hint,
            facts.ClockMeasured: self._clock,
            facts.WindowsDropped: self._windows_dropped,
            facts.BatchEncoded: self._encoded,
            facts.BatchMatched: self._matched,
            facts.QueuesMeasured: self._queues,
            facts.DeviceMeasured: self._device,
            facts.DecoyHeard: self._decoy,
            facts.DetectionTold: self._detection,
            facts.WindowsAnalysed: self._windows_analysed,
            facts.AirtimeWritten: self._airtime_written,
            facts.LedgerStateChanged: self._ledger_state,
            facts.MessagePublished: self._published,
            facts.BrokerStateChanged: self._broker,
            facts.PublishRefused: self._publish_refused,
            facts.EventsSetAside: self._set_aside,
            facts.OutboxChanged: self._outbox,
            facts.DetectionsWaiting: self._waiting,
            facts.DetectionsLost: self._lost,
            facts.CatalogLoaded: self._catalog_loaded,
            facts.CatalogRefused: self._catalog_refused,
            facts.CatalogCurrent: self._catalog_current,
            facts.RequestRefused: self._request_refused,
        }
        self.set_streams(streams)

    def tell(self, fact: facts.Fact) -> None:
        """Count a fact. Facts of streams that are not (or no longer) configured are ignored, so that no series comes back."""
        stream = getattr(fact, "stream", None)
        take = self._takes.get(type(fact))
        if take is not None and (stream is None or stream in self._streams):
            take(fact)

    def set_streams(self, streams: Iterable[str]) -> None:
        """Make the series of new streams at zero, remove those of streams that are gone."""
        before, wanted = self._streams, set(streams)
        for new in wanted - before:
            self._add(new)
        self._streams = wanted  # before removing: a fact told meanwhile must not bring a series back
        for gone in before - wanted:
            self._remove(gone)

    def set_expectations(self, expected_s: Mapping[str, float]) -> None:
        """Say how long each station may go without a detection; 0: for ever."""
        for stream, seconds in expected_s.items():
            if stream in self._streams:
                self._expected_s.labels(stream).set(seconds)

    def set_encoder(self, *, name: str, recipe: str, air: str, device: str) -> None:
        """Say which encoder runs where, and with which weights it hears the air."""
        self._encoder.clear()
        self._encoder.labels(name, recipe, air[:16], device).set(1)

    def set_budget(self, *, false_alarms_per_day: float, decoy_share: float) -> None:
        """Say what the operator allows, and how much of the catalogue watches it."""
        self._budget.set(false_alarms_per_day)
        self._decoy_share.set(decoy_share)

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=buckets)

    def _make_stream_metrics(self) -> None:
        self._state = self._gauge(
            "monitor_stream_state", "1 for the state the station is in, 0 for the others.", ["station", "state"]
        )
        self._restarts = self._counter("monitor_stream_restarts_total", "Times the station's source was lost.", ["station"])
        self._sound_s = self._counter("monitor_stream_sound_seconds_total", "Sound received.", ["station"])
        self._overflows = self._counter("monitor_stream_overflows_total", "Times a sound card's buffer ran over.", ["station"])
        self._lost_s = self._counter(
            "monitor_stream_lost_seconds_total", "Sound the sender's time stamps say is missing within a connection.", ["station"]
        )
        self._damaged_s = self._counter(
            "monitor_stream_damaged_seconds_total", "Samples that were no numbers and taken as silence.", ["station"]
        )
        self._hints = self._counter("monitor_stream_hints_total", "Times the station said what it has on air.", ["station"])
        self._source = self._gauge(
            "monitor_stream_source", "Which of its URLs the station was last heard from: 0 its own, others its spares.", ["station"]
        )
        self._last_sound = self._gauge(
            "monitor_stream_last_sound_timestamp_seconds", "When sound was last received; 0: never.", ["station"]
        )
        self._last_detection = self._gauge(
            "monitor_stream_last_detection_timestamp_seconds", "When a play was last told of; 0: never.", ["station"]
        )
        self._in_service = self._gauge(
            "monitor_stream_in_service_timestamp_seconds", "Since when the station is configured, or the monitor runs.", ["station"]
        )
        self._expected_s = self._gauge(
            "monitor_stream_expected_detection_seconds",
            "How long it may go without a detection while it is heard; 0: for ever.",
            ["station"],
        )
        self._uncertainty_s = self._gauge(
            "monitor_stream_clock_uncertainty_seconds",
            "Half width of the 95 % interval of the UTC of its newest sound; NaN: not heard yet.",
            ["station"],
        )
        self._dropped = self._counter("monitor_windows_dropped_total", "Windows shed, unanalysed.", ["station", "where"])
        self._analysed = self._counter("monitor_windows_analysed_total", "Windows that went all the way.", ["station"])
        self._airtime_s = self._counter(
            "monitor_airtime_seconds_total",
            "Airtime by what it was, as known when it went into the ledger.",
            ["station", "state"],
        )
        self._detections = self._counter("monitor_detections_total", "Events handed to the outbox.", ["station", "kind"])
        self._doubt = self._counter(
            "monitor_detections_expected_false_total",
            "Sum of one minus the confidence of the plays told: how many of them are wrong, if confidence is right.",
            ["station"],
        )
        self._decoys = self._counter(
            "monitor_matcher_decoys_total", "Recordings played backwards that would have been told: false alarms.", ["station"]
        )
        self._of_station = (
            self._restarts,
            self._sound_s,
            self._overflows,
            self._lost_s,
            self._damaged_s,
            self._hints,
            self._source,
            self._analysed,
            self._last_sound,
            self._last_detection,
            self._in_service,
            self._expected_s,
            self._uncertainty_s,
            self._doubt,
            self._decoys,
        )

    def _make_pipeline_metrics(self) -> None:
        self._encoded_windows = self._counter("monitor_encoder_windows_total", "Windows encoded.")
        self._batch_s = self._histogram("monitor_encoder_batch_seconds", "Time to encode a batch.", FAST_S)
        self._batch_fill = self._histogram("monitor_encoder_batch_fill_ratio", "Share of the batch limit that was used.", RATIOS)
        self._batch_wait_s = self._histogram(
            "monitor_encoder_wait_seconds", "Wait of a batch's oldest window for the encoder.", FAST_S
        )
        self._queue = self._gauge("monitor_encoder_queue_windows", "Windows that wait for the encoder.")
        self._queue_limit = self._gauge("monitor_encoder_queue_limit_windows", "Beyond so many the oldest are shed.")
        self._device_bytes = self._gauge(
            "monitor_encoder_device_memory_bytes", "Memory held on a GPU; 0 on a CPU, where it is the process's."
        )
        self._batches = self._gauge("monitor_matcher_queue_batches", "Encoded batches that wait for the matcher.")
        self._matched_windows = self._counter("monitor_matcher_windows_total", "Windows looked up.")
        self._search_s = self._histogram("monitor_matcher_search_seconds", "Time to look a batch up in the index.", FAST_S)
        self._track_s = self._histogram("monitor_matcher_track_seconds", "Time to track a batch's alignments.", FAST_S)
        self._behind_s = self._histogram("monitor_matcher_behind_seconds", "Age of a batch's oldest window at its result.", SLOW_S)
        self._decoy_share = self._gauge("monitor_matcher_decoy_share_ratio", "Share of the recordings listened for backwards.")
        self._budget = self._gauge("monitor_matcher_budget_per_day", "False alarms allowed per station and day.")
        self._latency_s = self._histogram(
            "monitor_detection_latency_seconds", "From the first second of a play on air to its first event.", SLOW_S
        )

    def _make_delivery_metrics(self) -> None:
        self._published_s = self._histogram(
            "monitor_broker_publish_seconds", "From sending an event to its acknowledgement.", FAST_S
        )
        self._connected = self._gauge("monitor_broker_connected", "1 while the MQTT broker is connected.")
        self._disconnects = self._counter("monitor_broker_disconnects_total", "Times the broker was lost or could not be reached.")
        self._refusals = self._counter(
            "monitor_broker_refused_messages_total", "Messages the broker refused; they are tried again."
        )
        self._outbox_bytes = self._gauge("monitor_outbox_bytes", "Disk the outbox uses, delivered events included.")
        self._outbox_budget = self._gauge("monitor_outbox_budget_bytes", "Disk the outbox may use.")
        self._pending = self._gauge("monitor_outbox_pending_messages", "Events on disk that the broker has not acknowledged.")
        self._aside = self._gauge(
            "monitor_outbox_oversize_messages", "Of them, those too large for the broker; tried again with the next connection."
        )
        self._oldest = self._gauge("monitor_outbox_oldest_timestamp_seconds", "When the oldest of them was stored; 0: none waits.")
        self._held = self._gauge(
            "monitor_outbox_unwritten_detections", "Detections in memory only, because the disk does not take them."
        )
        self._failures = self._counter("monitor_outbox_write_failures_total", "Times the disk did not take detections.")
        self._given_up = self._counter(
            "monitor_detections_lost_total", "Detections given up: the disk took none, or its budget was full of undelivered ones."
        )

        self._ledger_failures = self._counter("monitor_ledger_write_failures_total", "Times the disk did not take the ledger.")
        self._ledger_held = self._gauge(
            "monitor_ledger_unwritten_intervals", "Airtime in memory only, because the disk takes none."
        )

    def _make_catalog_metrics(self) -> None:
        self._index = self._gauge("monitor_catalog_index_info", "Kind of the index in service; always 1.", ["kind"])
        self._generation = self._gauge("monitor_catalog_generation", "Generation of the catalogue in service.")
        self._references = self._gauge("monitor_catalog_references", "Recordings in service.")
        self._fingerprints = self._gauge("monitor_catalog_fingerprints", "Fingerprints in service.")
        self._load_s = self._gauge("monitor_catalog_load_seconds", "Time the last load of the catalogue took.")
        self._loaded = self._gauge(
            "monitor_catalog_loaded_timestamp_seconds", "When the generation in service was loaded; 0: none is."
        )
        self._refused = self._counter("monitor_catalog_refused_total", "New generations that could not be loaded.")
        self._outdated = self._gauge("monitor_catalog_outdated", "1 while the newest generation on disk is one that was refused.")
        self._http_refused = self._counter("monitor_http_refused_total", "Requests that were refused.", ["code"])
        for code in HTTP_REFUSALS:
            self._http_refused.labels(code)

    def _add(self, stream: str) -> None:
        for state in StreamState:
            self._state.labels(stream, state.value).set(state is StreamState.CONNECTING)
        for metric in self._of_station:
            metric.labels(stream)
        self._in_service.labels(stream).set(self._utc_s())
        self._uncertainty_s.labels(stream).set(float("nan"))
        for where in DROP_PLACES:
            self._dropped.labels(stream, where)
        for kind in EventKind:
            self._detections.labels(stream, kind.value)
        for air in AirState:
            self._airtime_s.labels(stream, air.value)

    def _remove(self, stream: str) -> None:
        for state in StreamState:
            self._state.remove(stream, state.value)
        for metric in self._of_station:
            metric.remove(stream)
        for where in DROP_PLACES:
            self._dropped.remove(stream, where)
        for kind in EventKind:
            self._detections.remove(stream, kind.value)
        for air in AirState:
            self._airtime_s.remove(stream, air.value)

    def _stream_state(self, fact: facts.StreamStateChanged) -> None:
        for state in StreamState:
            self._state.labels(fact.stream, state.value).set(state is fact.state)

    def _stream_restarted(self, fact: facts.StreamRestarted) -> None:
        self._restarts.labels(fact.stream).inc()

    def _sound(self, fact: facts.SoundReceived) -> None:
        self._sound_s.labels(fact.stream).inc(fact.seconds)
        self._last_sound.labels(fact.stream).set(self._utc_s())

    def _overflowed(self, fact: facts.InputOverflowed) -> None:
        self._overflows.labels(fact.stream).inc()

    def _clock(self, fact: facts.ClockMeasured) -> None:
        self._uncertainty_s.labels(fact.stream).set(fact.uncertainty_s)

    def _sound_lost(self, fact: facts.SoundLost) -> None:
        self._lost_s.labels(fact.stream).inc(fact.seconds)

    def _sound_damaged(self, fact: facts.SoundDamaged) -> None:
        self._damaged_s.labels(fact.stream).inc(fact.seconds)

    def _source_chosen(self, fact: facts.SourceChosen) -> None:
        self._source.labels(fact.stream).set(fact.number)

    def _hint(self, fact: facts.HintHeard) -> None:
        self._hints.labels(fact.stream).inc()

    def _windows_dropped(self, fact: facts.WindowsDropped) -> None:
        if fact.where in DROP_PLACES:
            self._dropped.labels(fact.stream, fact.where).inc(fact.count)

    def _encoded(self, fact: facts.BatchEncoded) -> None:
        self._encoded_windows.inc(fact.windows)
        self._batch_s.observe(fact.took_s)
        self._batch_fill.observe(fact.windows / fact.capacity)
        self._batch_wait_s.observe(fact.oldest_waited_s)

    def _matched(self, fact: facts.BatchMatched) -> None:
        self._matched_windows.inc(fact.windows)
        self._search_s.observe(fact.search_s)
        self._track_s.observe(fact.track_s)
        self._behind_s.observe(fact.behind_s)

    def _queues(self, fact: facts.QueuesMeasured) -> None:
        self._queue.set(fact.windows)
        self._queue_limit.set(fact.windows_limit)
        self._batches.set(fact.batches)

    def _device(self, fact: facts.DeviceMeasured) -> None:
        self._device_bytes.set(fact.memory_bytes)

    def _decoy(self, fact: facts.DecoyHeard) -> None:
        self._decoys.labels(fact.stream).inc(fact.count)

    def _detection(self, fact: facts.DetectionTold) -> None:
        self._detections.labels(fact.stream, fact.kind.value).inc()
        self._last_detection.labels(fact.stream).set(self._utc_s())
        if fact.kind is EventKind.STARTED:
            self._latency_s.observe(fact.latency_s)
            self._doubt.labels(fact.stream).inc(1.0 - fact.confidence)

    def _windows_analysed(self, fact: facts.WindowsAnalysed) -> None:
        for stream, count in Counts(fact.streams).items():
            if stream in self._streams:
                self._analysed.labels(stream).inc(count)

    def _airtime_written(self, fact: facts.AirtimeWritten) -> None:
        self._airtime_s.labels(fact.stream, fact.state.value).inc(fact.seconds)

    def _ledger_state(self, fact: facts.LedgerStateChanged) -> None:
        self._ledger_held.set(fact.held)
        if fact.reason:
            self._ledger_failures.inc()

    def _published(self, fact: facts.MessagePublished) -> None:
        self._published_s.observe(fact.took_s)

    def _broker(self, fact: facts.BrokerStateChanged) -> None:
        self._connected.set(fact.connected)
        if not fact.connected:
            self._disconnects.inc()

    def _publish_refused(self, fact: facts.PublishRefused) -> None:
        if fact.reason:
            self._refusals.inc()

    def _set_aside(self, fact: facts.EventsSetAside) -> None:
        self._aside.set(fact.count)

    def _outbox(self, fact: facts.OutboxChanged) -> None:
        self._pending.set(fact.depth)
        self._oldest.set(fact.oldest_utc_s or 0.0)
        self._outbox_bytes.set(fact.used_bytes)
        self._outbox_budget.set(fact.budget_bytes)

    def _waiting(self, fact: facts.DetectionsWaiting) -> None:
        self._held.set(fact.count)
        if fact.reason:
            self._failures.inc()

    def _lost(self, fact: facts.DetectionsLost) -> None:
        self._given_up.inc(fact.count)

    def _catalog_loaded(self, fact: facts.CatalogLoaded) -> None:
        self._index.clear()
        self._index.labels(fact.index_kind).set(1)
        self._generation.set(fact.generation)
        self._references.set(fact.references)
        self._fingerprints.set(fact.fingerprints)
        self._load_s.set(fact.took_s)
        self._loaded.set(self._utc_s())
        self._outdated.set(0)

    def _catalog_refused(self, _: facts.CatalogRefused) -> None:
        self._refused.inc()
        self._outdated.set(1)

    def _catalog_current(self, _: facts.CatalogCurrent) -> None:
        self._outdated.set(0)

    def _request_refused(self, fact: facts.RequestRefused) -> None:
        self._http_refused.labels(fact.status if fact.status in HTTP_REFUSALS else 400).inc()
