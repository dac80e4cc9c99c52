"""One line when trouble begins, one when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor import facts
from monitor.messages import EventKind, StreamState
from monitor.observe.hub import Hub


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def hub(clock: Clock, lines: list[Any]) -> Hub:
    return Hub(["a"], now_s=clock)


def loud(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines if line["log_level"] != "debug"]


def test_all_is_silent_when_all_is_well(hub: Hub, lines: list[Any]) -> None:
    hub.tell(facts.StreamStateChanged(stream="a", state=StreamState.ONLINE))
    for _ in range(100):
        hub.tell(facts.SoundReceived(stream="a", position=0, seconds=0.1))
        hub.tell(facts.BatchEncoded(windows=1, capacity=1, took_s=0.1, oldest_waited_s=0.1))
        hub.tell(facts.DetectionTold(stream="a", kind=EventKind.STARTED, reference="7", confidence=0.9, latency_s=3.0))
        hub.tell(facts.OutboxChanged(depth=0, oldest_utc_s=None))
    assert loud(lines) == []


def test_silence_and_its_end(hub: Hub, lines: list[Any]) -> None:
    for state in (StreamState.ONLINE, StreamState.SILENT, StreamState.ONLINE, StreamState.RECONNECTING):
        hub.tell(facts.StreamStateChanged(stream="a", state=state))
    assert loud(lines) == [("warning", "stream is silent"), ("info", "stream has sound again")]


def test_dropped_windows_are_logged_once_a_minute_with_their_sum(hub: Hub, lines: list[Any], clock: Clock) -> None:
    for _ in range(10):
        hub.tell(facts.WindowsDropped(stream="a", count=2, where="batcher"))
    clock.now_s += 61.0
    hub.tell(facts.WindowsDropped(stream="a", count=2, where="batcher"))
    assert [line["count"] for line in lines if line["log_level"] == "warning"] == [2, 20]


def test_a_full_disk_is_one_error_and_one_all_clear(hub: Hub, lines: list[Any]) -> None:
    for count in range(1, 20):
        hub.tell(facts.DetectionsWaiting(count=count, reason="disk full"))
    hub.tell(facts.DetectionsWaiting(count=0))
    hub.tell(facts.DetectionsLost(count=1))
    assert [level for level, _ in loud(lines)] == ["error", "info", "error"]


def test_broker_and_catalogue(hub: Hub, lines: list[Any]) -> None:
    hub.tell(facts.BrokerStateChanged(connected=False, reason="refused"))
    hub.tell(facts.BrokerStateChanged(connected=True))
    hub.tell(facts.CatalogLoaded(generation=1, references=1, fingerprints=1, index_kind="flat", took_s=0.1))
    hub.tell(facts.CatalogRefused(reason="other weights"))
    assert [level for level, _ in loud(lines)] == ["warning", "info", "info", "error"]


def test_readiness_follows_the_facts(hub: Hub) -> None:
    def unready() -> list[str]:
        return [check.name for check in hub.readiness.checks() if check.counts and not check.ok]

    assert unready() == ["encoder", "catalog", "streams"]
    hub.readiness.set_encoder("compact on cpu")
    hub.tell(facts.CatalogLoaded(generation=1, references=1, fingerprints=1, index_kind="flat", took_s=0.1))
    hub.tell(facts.StreamStateChanged(stream="a", state=StreamState.SILENT))
    assert unready() == []
    hub.tell(facts.DetectionsWaiting(count=1, reason="disk full"))
    assert unready() == ["outbox"]
    hub.tell(facts.DetectionsWaiting(count=0))
    hub.tell(facts.CatalogRefused(reason="other weights"))
    assert unready() == []
    assert "other weights" in next(check.detail for check in hub.readiness.checks() if check.name == "catalog")


def test_broker_and_single_streams_do_not_count(hub: Hub) -> None:
    informational = {check.name for check in hub.readiness.checks() if not check.counts}
    assert informational == {"stream a", "broker"}


def test_a_reload_changes_the_streams_asked_for(hub: Hub) -> None:
    hub.tell(facts.StreamStateChanged(stream="a", state=StreamState.ONLINE))
    hub.set_streams(["a", "b"])
    details = {check.name: check.detail for check in hub.readiness.checks()}
    assert details["streams"] == "1 of 2 heard"
    assert details["stream b"] == "connecting"
    hub.set_streams([])
    assert next(check.ok for check in hub.readiness.checks() if check.name == "streams")


def test_what_the_broker_refuses_is_logged_once_for_each_reason_and_once_when_it_is_over(hub: Hub, lines: list[Any]) -> None:
    for _ in range(3):
        for leaf in ("events", "now"):
            hub.tell(facts.PublishRefused(topic=f"monitor/a/{leaf}", reason="not authorized"))
    hub.tell(facts.PublishRefused(topic="monitor/a/now", reason="quota exceeded"))
    for leaf in ("events", "now"):
        hub.tell(facts.PublishRefused(topic=f"monitor/a/{leaf}", reason=""))
    said = loud(lines)
    assert [level for level, _ in said] == ["error", "error", "info"]
    assert said[-1] == ("info", "broker takes all messages again")
    assert [line["reason"] for line in lines if line["log_level"] == "error"] == ["not authorized", "quota exceeded"]


def test_an_event_too_large_is_told_once_and_so_is_the_end_of_it(hub: Hub, lines: list[Any]) -> None:
    hub.tell(facts.EventsSetAside(count=1, newest="a, sequence 7: packet too large"))
    hub.tell(facts.EventsSetAside(count=2, newest="a, sequence 9: packet too large"))
    hub.tell(facts.EventsSetAside(count=1))
    hub.tell(facts.EventsSetAside(count=0))
    assert [level for level, _ in loud(lines)] == ["error", "error", "info"]
    assert "sequence 7" in lines[0]["event_of"]


def test_lost_detections_say_why(hub: Hub, lines: list[Any]) -> None:
    hub.tell(facts.DetectionsLost(count=3, reason="full"))
    assert [(line["event"], line["count"], line["reason"]) for line in lines] == [("detections lost", 3, "full")]


def test_the_summary_tells_what_an_operator_asks_first(hub: Hub) -> None:
    hub.set_streams(["a", "b", "c"])
    assert hub.readiness.summary == "0 of 3 stations heard, 0.0 s behind, broker away (not yet connected)"
    hub.tell(facts.StreamStateChanged(stream="a", state=StreamState.ONLINE))
    hub.tell(facts.StreamStateChanged(stream="b", state=StreamState.SILENT))
    hub.tell(facts.BatchMatched(windows=3, search_s=0.01, track_s=0.01, behind_s=0.64))
    hub.tell(facts.BrokerStateChanged(connected=True))
    assert hub.readiness.summary == "2 of 3 stations heard, 1 of them silent, 0.6 s behind, broker connected"
    hub.tell(facts.BrokerStateChanged(connected=False, reason="refused"))
    hub.tell(facts.OutboxChanged(depth=7, oldest_utc_s=1.0))
    hub.tell(facts.DetectionsWaiting(count=2, reason="disk full"))
    hub.tell(facts.CatalogRefused(reason="other weights"))
    assert hub.readiness.summary.endswith(
        "broker away (refused), 7 events wait for it, 2 detections in memory only, newer catalogue refused"
    )


def test_a_refused_catalogue_that_is_gone_is_said(hub: Hub, lines: list[Any]) -> None:
    """A generation that could not be read, and was put back: until then readiness told of it for ever."""
    hub.tell(facts.CatalogLoaded(generation=1, references=1, fingerprints=1, index_kind="flat", took_s=0.1))
    hub.tell(facts.CatalogRefused(reason="damaged"))
    hub.tell(facts.CatalogCurrent())
    assert "refused" not in next(check.detail for check in hub.readiness.checks() if check.name == "catalog")
    assert [level for level, _ in loud(lines)] == ["info", "error", "info"]


def test_measurements_are_no_lines(hub: Hub, lines: list[Any]) -> None:
    hub.tell(facts.QueuesMeasured(windows=1, windows_limit=2, batches=0))
    hub.tell(facts.ClockMeasured(stream="a", uncertainty_s=0.2))
    hub.tell(facts.DeviceMeasured(memory_bytes=0))
    assert lines == []
