"""One ear for all facts: numbers, health, and a log line where a person should read one.

ERROR: somebody must act. WARNING: it mends itself. INFO: lives and deaths. DEBUG: the rest. Trouble that goes on is one line when
it begins and one when it ends; a number counts the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import structlog

from monitor import facts
from monitor.messages import StreamState
from monitor.observe.health import Readiness
from monitor.observe.metrics import Metrics

QUIET_S = 60.0
"""Losses that go on are logged so often."""

NUMBERS_ONLY = (
    facts.SoundReceived,
    facts.BatchEncoded,
    facts.BatchMatched,
    facts.WindowsAnalysed,
    facts.AirtimeWritten,
    facts.QueuesMeasured,
    facts.ClockMeasured,
    facts.DeviceMeasured,
)
"""Told several times a second, or every few seconds: not even a line for finding faults."""


class Hub:
    """Fans facts out. `tell` may be called from any thread; it neither blocks nor raises."""

    def __init__(self, streams: Iterable[str], *, now_s: Callable[[], float] = time.monotonic) -> None:
        """Prepare for these stations."""
        streams = tuple(streams)
        self.metrics = Metrics(streams)
        self.readiness = Readiness(streams)
        self._now_s = now_s
        self._log = structlog.get_logger()
        self._states: dict[str, StreamState] = {}
        self._unlogged = 0
        self._next_loss_s = float("-inf")
        self._strangers = 0
        self._next_refusal_s = float("-inf")
        self._disk_fails: set[str] = set()
        self._refusals: dict[str, str] = {}

    def set_streams(self, streams: Iterable[str]) -> None:
        """Take the stations that are configured now."""
        streams = tuple(streams)
        self.metrics.set_streams(streams)
        self.readiness.set_streams(streams)
        self._states = {stream: state for stream, state in self._states.items() if stream in streams}

    def tell(self, fact: facts.Fact) -> None:
        """Count a fact, judge it, log it."""
        self.metrics.tell(fact)
        self.readiness.tell(fact)
        match fact:
            case facts.StreamStateChanged():
                self._stream(fact)
            case facts.WindowsDropped():
                self._dropped(fact)
            case facts.BrokerStateChanged():
                self._broker(fact)
            case facts.PublishRefused():
                self._refused(fact)
            case facts.EventsSetAside():
                self._aside(fact)
            case facts.DetectionsWaiting() | facts.LedgerStateChanged():
                self._disk(fact)
            case facts.DetectionsLost():
                self._log.error("detections lost", count=fact.count, reason=fact.reason)
            case facts.CatalogLoaded() | facts.CatalogCurrent() | facts.CatalogRefused():
                self._catalog(fact)
            case facts.RequestRefused():
                self._request(fact)
            case _ if not isinstance(fact, NUMBERS_ONLY):
                self._log.debug(type(fact).__name__, **_content(fact))

    def _stream(self, fact: facts.StreamStateChanged) -> None:
        """Log silence and its end; losses are logged where they are mended, which knows of flapping."""
        before = self._states.get(fact.stream)
        self._states[fact.stream] = fact.state
        if fact.state is StreamState.SILENT:
            self._log.warning("stream is silent", stream=fact.stream)
        elif fact.state is StreamState.ONLINE and before is StreamState.SILENT:
            self._log.info("stream has sound again", stream=fact.stream)
        else:
            self._log.debug("stream state", stream=fact.stream, state=fact.state.value, reason=fact.reason)

    def _broker(self, fact: facts.BrokerStateChanged) -> None:
        if fact.connected:
            self._log.info("broker connected", broker=fact.broker)
        else:
            text = "broker lost, trying again; detections stay in the outbox"
            self._log.warning(text, broker=fact.broker, reason=fact.reason)

    def _refused(self, fact: facts.PublishRefused) -> None:
        """Log what the broker refuses once for each reason, and once more when it takes everything again."""
        if fact.reason:
            if fact.reason not in self._refusals.values():
                self._log.error(
                    "broker refuses messages, they are kept and tried again; give the user write access below the prefix",
                    topic=fact.topic,
                    reason=fact.reason,
                )
            self._refusals[fact.topic] = fact.reason
        elif self._refusals.pop(fact.topic, "") and not self._refusals:
            self._log.info("broker takes all messages again")

    def _aside(self, fact: facts.EventsSetAside) -> None:
        if fact.newest:
            text = "an event is too large for the broker, it stays in the outbox, the next ones go on; raise the broker's limit"
            self._log.error(text, event_of=fact.newest, waiting=fact.count)
        elif not fact.count:
            self._log.info("the broker has taken every event that was too large for it")

    def _dropped(self, fact: facts.WindowsDropped) -> None:
        self._unlogged += fact.count
        if self._now_s() >= self._next_loss_s:
            self._next_loss_s = self._now_s() + QUIET_S
            self._log.warning("windows dropped, the machine is too slow for its streams", count=self._unlogged, where=fact.where)
            self._unlogged = 0

    def _catalog(self, fact: facts.CatalogLoaded | facts.CatalogCurrent | facts.CatalogRefused) -> None:
        if isinstance(fact, facts.CatalogRefused):
            self._log.error("new catalogue refused, the old one stays in service", reason=fact.reason)
        elif isinstance(fact, facts.CatalogLoaded):
            self._log.info("catalogue in service", **_content(fact))
        else:
            self._log.info("the catalogue in service is the newest again")

    def _request(self, fact: facts.RequestRefused) -> None:
        self._strangers += 1
        if self._now_s() >= self._next_refusal_s:
            self._next_refusal_s = self._now_s() + QUIET_S
            self._log.warning("refused to answer over HTTP", count=self._strangers, **_content(fact))
            self._strangers = 0

    def _disk(self, fact: facts.DetectionsWaiting | facts.LedgerStateChanged) -> None:
        what = "detections" if isinstance(fact, facts.DetectionsWaiting) else "the airtime ledger"
        count = fact.count if isinstance(fact, facts.DetectionsWaiting) else fact.held
        if fact.reason and what not in self._disk_fails:
            self._log.error(f"disk does not take {what}, holding it in memory", count=count, reason=fact.reason)
            self._disk_fails.add(what)
        if not fact.reason and what in self._disk_fails:
            self._log.info(f"disk takes {what} again")
            self._disk_fails.remove(what)


def _content(fact: facts.Fact) -> dict[str, Any]:
    return {field.name: getattr(fact, field.name) for field in fields(fact)}
