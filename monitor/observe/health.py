"""Whether the daemon is fit to work, as far as facts tell.

Knows the last word of each part. Knows no page and no clock. Broker and single stations are told of, but do not count: neither is
mended by restarting us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor import facts
from monitor.messages import StreamState

HEARD = frozenset({StreamState.ONLINE, StreamState.SILENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of /livez or /readyz."""

    name: str
    ok: bool
    detail: str
    counts: bool = True
    """False: for information only."""


class Readiness:
    """Ready when the encoder and a catalogue are in service, the disk takes detections, and some station is heard."""

    def __init__(self, streams: Iterable[str]) -> None:
        """Begin unready, all stations connecting."""
        self._encoder = ""
        self._catalog = ""
        self._refused = ""
        self._waiting = facts.DetectionsWaiting(count=0)
        self._pending = 0
        self._behind_s = 0.0
        self._broker = facts.BrokerStateChanged(connected=False, reason="not yet connected")
        self._streams: dict[str, StreamState] = {}
        self.set_streams(streams)

    def set_streams(self, streams: Iterable[str]) -> None:
        """Take the stations that are configured now; known ones keep their state."""
        self._streams = {stream: self._streams.get(stream, StreamState.CONNECTING) for stream in streams}

    def set_encoder(self, description: str) -> None:
        """Say that the encoder has run."""
        self._encoder = description

    def tell(self, fact: facts.Fact) -> None:
        """Take a fact into account."""
        match fact:
            case facts.StreamStateChanged() if fact.stream in self._streams:
                self._streams[fact.stream] = fact.state
            case facts.CatalogLoaded():
                self._catalog = f"generation {fact.generation}, {fact.references} recordings, {fact.index_kind}"
                self._refused = ""
            case facts.CatalogRefused():
                self._refused = fact.reason
            case facts.CatalogCurrent():
                self._refused = ""
            case facts.BatchMatched():
                self._behind_s = fact.behind_s
            case facts.OutboxChanged():
                self._pending = fact.depth
            case facts.DetectionsWaiting():
                self._waiting = fact
            case facts.BrokerStateChanged():
                self._broker = fact
            case _:
                pass

    @property
    def summary(self) -> str:
        """Return in one line how it goes, for `systemctl status`."""
        heard = sum(state in HEARD for state in self._streams.values())
        silent = sum(state is StreamState.SILENT for state in self._streams.values())
        parts = [
            f"{heard} of {len(self._streams)} stations heard",
            *([f"{silent} of them silent"] if silent else []),
            f"{self._behind_s:.1f} s behind",
            "broker connected" if self._broker.connected else f"broker away ({self._broker.reason})",
            *([f"{self._pending} events wait for it"] if self._pending else []),
            *([f"{self._waiting.count} detections in memory only"] if self._waiting.count else []),
            *(["newer catalogue refused"] if self._refused else []),
        ]
        return ", ".join(parts)

    def checks(self) -> list[Check]:
        """Return one line a part."""
        heard = sum(state in HEARD for state in self._streams.values())
        catalog = f"{self._catalog}; newer one refused: {self._refused}" if self._refused else self._catalog
        return [
            Check(name="encoder", ok=bool(self._encoder), detail=self._encoder or "not loaded"),
            Check(name="catalog", ok=bool(self._catalog), detail=catalog or "not loaded"),
            Check(name="outbox", ok=not self._waiting.count, detail=self._waiting.reason or "writable"),
            Check(name="streams", ok=bool(heard or not self._streams), detail=f"{heard} of {len(self._streams)} heard"),
            *(Check(name=f"stream {name}", ok=state in HEARD, detail=state, counts=False) for name, state in self._streams.items()),
            Check(name="broker", ok=self._broker.connected, detail=self._broker.reason or "connected", counts=False),
        ]
