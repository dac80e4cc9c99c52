"""Every fact has its number; names and labels keep Prometheus' rules."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from dataclasses import fields

import numpy as np
import pytest

from monitor import facts
from monitor.messages import AirState, EventKind, HintKind, StreamState
from monitor.observe.metrics import Metrics

EXAMPLES: list[facts.Fact] = [
    facts.StreamStateChanged(stream="a", state=StreamState.SILENT),
    facts.StreamRestarted(stream="a", reason="gone", retry_in_s=1.0),
    facts.SoundReceived(stream="a", position=0, seconds=0.5),
    facts.InputOverflowed(stream="a"),
    facts.ClockMeasured(stream="a", uncertainty_s=0.25),
    facts.WindowsDropped(stream="a", count=3, where="batcher"),
    facts.BatchEncoded(windows=64, capacity=256, took_s=0.02, oldest_waited_s=0.2),
    facts.BatchMatched(windows=64, search_s=0.01, track_s=0.002, behind_s=0.6),
    facts.DecoyHeard(stream="a", count=2),
    facts.QueuesMeasured(windows=30, windows_limit=400, batches=2),
    facts.DeviceMeasured(memory_bytes=5_000_000),
    facts.DetectionTold(stream="a", kind=EventKind.STARTED, reference="7", confidence=0.75, latency_s=3.2),
    facts.SoundLost(stream="a", seconds=1.0),
    facts.SoundDamaged(stream="a", seconds=0.5),
    facts.SourceChosen(stream="a", number=1, url="http://spare.example/a"),
    facts.HintHeard(stream="a", kind=HintKind.ICY, title="Artist - Title"),
    facts.WindowsAnalysed(
        streams=("a", "gone", "a"), hops=np.arange(3), music=np.zeros(3, np.float32), level_db=np.zeros(3, np.float32)
    ),
    facts.AirtimeWritten(stream="a", state=AirState.MUSIC, seconds=4.5),
    facts.LedgerStateChanged(held=12, reason="disk full"),
    facts.MessagePublished(took_s=0.004),
    facts.BrokerStateChanged(connected=False, reason="refused"),
    facts.PublishRefused(topic="monitor/a/events", reason="not authorized"),
    facts.EventsSetAside(count=3, newest="a, sequence 7: packet too large"),
    facts.OutboxChanged(depth=4, oldest_utc_s=1_790_000_000.0),
    facts.DetectionsWaiting(count=2, reason="disk full"),
    facts.DetectionsLost(count=5),
    facts.CatalogLoaded(generation=9, references=10, fingerprints=3000, index_kind="flat", took_s=0.3),
    facts.CatalogRefused(reason="other weights"),
    facts.RequestRefused(status=405, request="POST /metrics", client="127.0.0.1"),
]
FACTS = {kind for kind in vars(facts).values() if isinstance(kind, type) and issubclass(kind, facts.Fact)} - {facts.Fact}
ENDS_A_TROUBLE = [facts.CatalogCurrent()]
"""Those that change a number only after another fact."""
EXPECTED = {
    'monitor_stream_state{state="silent",station="a"}': 1,
    'monitor_stream_state{state="connecting",station="a"}': 0,
    'monitor_stream_restarts_total{station="a"}': 1,
    "monitor_outbox_oversize_messages": 3,
    'monitor_stream_sound_seconds_total{station="a"}': 0.5,
    'monitor_stream_overflows_total{station="a"}': 1,
    'monitor_stream_lost_seconds_total{station="a"}': 1,
    'monitor_stream_damaged_seconds_total{station="a"}': 0.5,
    'monitor_stream_source{station="a"}': 1,
    'monitor_stream_hints_total{station="a"}': 1,
    'monitor_stream_last_sound_timestamp_seconds{station="a"}': 1_790_000_100,
    'monitor_stream_last_detection_timestamp_seconds{station="a"}': 1_790_000_100,
    'monitor_stream_in_service_timestamp_seconds{station="a"}': 1_790_000_100,
    'monitor_stream_expected_detection_seconds{station="a"}': 0,
    'monitor_stream_clock_uncertainty_seconds{station="a"}': 0.25,
    'monitor_detections_expected_false_total{station="a"}': 0.25,
    'monitor_windows_dropped_total{station="a",where="batcher"}': 3,
    'monitor_windows_dropped_total{station="a",where="matcher"}': 0,
    'monitor_windows_analysed_total{station="a"}': 2,
    'monitor_airtime_seconds_total{state="music",station="a"}': 4.5,
    'monitor_airtime_seconds_total{state="matched",station="a"}': 0,
    "monitor_ledger_write_failures_total": 1,
    "monitor_ledger_unwritten_intervals": 12,
    'monitor_detections_total{kind="started",station="a"}': 1,
    'monitor_detections_total{kind="ended",station="a"}': 0,
    "monitor_encoder_queue_windows": 30,
    "monitor_encoder_queue_limit_windows": 400,
    "monitor_encoder_device_memory_bytes": 5_000_000,
    "monitor_matcher_queue_batches": 2,
    "monitor_encoder_windows_total": 64,
    "monitor_encoder_batch_seconds_sum": 0.02,
    "monitor_encoder_batch_fill_ratio_sum": 0.25,
    "monitor_encoder_wait_seconds_sum": 0.2,
    "monitor_matcher_windows_total": 64,
    "monitor_matcher_search_seconds_sum": 0.01,
    "monitor_matcher_track_seconds_sum": 0.002,
    "monitor_matcher_behind_seconds_sum": 0.6,
    "monitor_detection_latency_seconds_sum": 3.2,
    "monitor_broker_publish_seconds_count": 1,
    "monitor_broker_connected": 0,
    "monitor_broker_disconnects_total": 1,
    "monitor_outbox_pending_messages": 4,
    "monitor_outbox_oldest_timestamp_seconds": 1_790_000_000,
    "monitor_outbox_unwritten_detections": 2,
    "monitor_outbox_write_failures_total": 1,
    "monitor_detections_lost_total": 5,
    'monitor_catalog_index_info{kind="flat"}': 1,
    "monitor_catalog_generation": 9,
    "monitor_catalog_references": 10,
    "monitor_catalog_fingerprints": 3000,
    "monitor_catalog_load_seconds": 0.3,
    "monitor_catalog_loaded_timestamp_seconds": 1_790_000_100,
    "monitor_catalog_refused_total": 1,
    "monitor_catalog_outdated": 1,
    'monitor_http_refused_total{code="405"}': 1,
    'monitor_http_refused_total{code="404"}': 0,
}


def made(*streams: str) -> Metrics:
    return Metrics(streams, utc_s=lambda: 1_790_000_100.0)


def values(metrics: Metrics) -> dict[str, float]:
    lines = metrics.exposition().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_every_fact_has_an_example_here_and_changes_a_number() -> None:
    assert {type(fact) for fact in (*EXAMPLES, *ENDS_A_TROUBLE)} == FACTS
    for fact in EXAMPLES:
        metrics = made("a")
        before = {key: value for key, value in values(metrics).items() if key.startswith("monitor_")}
        metrics.tell(fact)
        after = {key: value for key, value in values(metrics).items() if key.startswith("monitor_")}
        assert before != after, fact


def test_the_numbers_are_right() -> None:
    metrics = made("a")
    for fact in EXAMPLES:
        metrics.tell(fact)
    found = values(metrics)
    assert {key: found.get(key) for key in EXPECTED} == EXPECTED


def test_every_series_is_there_from_the_start() -> None:
    metrics = made("a")
    at_start = set(values(metrics))
    for fact in EXAMPLES:
        metrics.tell(fact)
    new = set(values(metrics)) - at_start
    assert new == {'monitor_catalog_index_info{kind="flat"}'}, "only its label is not known in advance"


def test_latency_and_doubt_count_only_first_events() -> None:
    metrics = made("a")
    metrics.tell(facts.DetectionTold(stream="a", kind=EventKind.ENDED, reference="7", confidence=0.5, latency_s=200.0))
    assert values(metrics)["monitor_detection_latency_seconds_count"] == 0
    assert values(metrics)['monitor_detections_expected_false_total{station="a"}'] == 0


@pytest.mark.parametrize(
    "end", [facts.CatalogLoaded(generation=3, references=1, fingerprints=9, index_kind="flat", took_s=0.1), *ENDS_A_TROUBLE]
)
def test_a_catalogue_is_outdated_until_a_newer_one_is_loaded_or_the_refused_one_is_gone(end: facts.Fact) -> None:
    metrics = made()
    metrics.tell(facts.CatalogRefused(reason="other weights"))
    metrics.tell(end)
    assert values(metrics)["monitor_catalog_outdated"] == 0


def test_a_clock_is_unknown_before_the_first_sound() -> None:
    assert math.isnan(values(made("a"))['monitor_stream_clock_uncertainty_seconds{station="a"}'])


def test_an_expectation_is_told_for_stations_that_are_there() -> None:
    metrics = made("a")
    metrics.set_expectations({"a": 3600.0, "gone": 60.0})
    assert values(metrics)['monitor_stream_expected_detection_seconds{station="a"}'] == 3600
    assert "gone" not in metrics.exposition().decode()


def test_any_refusal_has_one_of_the_listed_codes() -> None:
    metrics = made()
    metrics.tell(facts.RequestRefused(status=418, request="BREW /", client="x"))
    assert values(metrics)['monitor_http_refused_total{code="400"}'] == 1
    assert "418" not in metrics.exposition().decode()


def test_names_keep_the_rules_of_the_prometheus_docs() -> None:
    """https://prometheus.io/docs/practices/naming/: one prefix, base units last, `_total` for counters and for nothing else."""
    kinds = dict(re.findall(r"^# TYPE (monitor_\w+) (\w+)", made("a").exposition().decode(), flags=re.MULTILINE))
    assert len(kinds) > 40
    units = ("seconds", "bytes", "ratio")
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"milli|micro|_ms\b|minutes|percent|kilo|mega", name), name
        if kind == "histogram":
            assert name.endswith(units), name
        text = name.removesuffix("_total")
        assert all(part not in units or text.endswith(part) or part in ("timestamp",) for part in text.split("_")), name


def test_a_removed_stream_leaves_no_series_and_does_not_come_back() -> None:
    metrics = made("a", "b")
    metrics.set_streams(["b", "c"])
    for fact in EXAMPLES:
        metrics.tell(fact)
    names = [name for name in values(metrics) if 'station="a"' in name]
    assert names == []
    kept = {name.replace('"b"', "X") for name in values(metrics) if '"b"' in name}
    assert kept == {name.replace('"c"', "X") for name in values(metrics) if '"c"' in name}


def test_an_unknown_place_makes_no_new_label() -> None:
    metrics = made("a")
    metrics.tell(facts.WindowsDropped(stream="a", count=1, where="elsewhere"))
    assert "elsewhere" not in metrics.exposition().decode()


def test_the_encoder_is_told_once() -> None:
    metrics = made()
    metrics.set_encoder(name="compact", recipe="abc", air=64 * "f", device="cpu")
    metrics.set_encoder(name="compact", recipe="abc", air=64 * "f", device="cuda:0")
    assert [name for name in values(metrics) if "encoder_info" in name] == [
        'monitor_encoder_info{air="ffffffffffffffff",device="cuda:0",name="compact",recipe="abc"}'
    ]


def test_facts_of_a_stream_call_it_stream() -> None:
    for kind in FACTS:
        assert not {"station", "name"} & {field.name for field in fields(kind)}


@pytest.mark.skipif(not shutil.which("promtool") and not os.environ.get("CI"), reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_of() -> None:
    metrics = made("a", "b")
    metrics.set_encoder(name="compact", recipe="abc", air=64 * "f", device="cpu")
    for fact in EXAMPLES:
        metrics.tell(fact)
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_outbox_says_how_much_of_its_budget_it_fills() -> None:
    metrics = made()
    metrics.tell(facts.OutboxChanged(depth=2, oldest_utc_s=5.0, used_bytes=40, budget_bytes=100))
    assert (values(metrics)["monitor_outbox_bytes"], values(metrics)["monitor_outbox_budget_bytes"]) == (40, 100)


def test_only_refusals_are_counted_not_their_end() -> None:
    metrics = made()
    for reason in ("not authorized", "not authorized", ""):
        metrics.tell(facts.PublishRefused(topic="t", reason=reason))
    assert values(metrics)["monitor_broker_refused_messages_total"] == 2
