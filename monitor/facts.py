"""What happened, told sideways to whoever counts it.

A fact is frozen, holds no handle, and is told once, by the folder in which it happened; `observe/` turns facts into metrics
and log lines. Imports nothing of the project but `messages`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.messages import AirState, EventKind, HintKind, StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """The root of all facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStateChanged(Fact):
    """A stream went online, quiet or away."""

    stream: str
    state: StreamState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRestarted(Fact):
    """A stream's source was lost and will be opened again."""

    stream: str
    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundReceived(Fact):
    """Sound came in."""

    stream: str
    position: int
    """Media time of its first sample, in samples."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundDamaged(Fact):
    """Decoded samples were no numbers (NaN, infinite, far beyond full scale) and were taken as silence."""

    stream: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundLost(Fact):
    """The sender's own time stamps say that sound is missing within a connection."""

    stream: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChosen(Fact):
    """A connection of a stream gave its first sound."""

    stream: str
    number: int
    """0 is the stream's own URL, others are its spares."""
    url: str
    """Secrets masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HintHeard(Fact):
    """A station said what it has on air."""

    stream: str
    kind: HintKind
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOverflowed(Fact):
    """A sound card's buffer ran over: a piece of sound was lost before it could be fetched."""

    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMeasured(Fact):
    """How sure the station's newest sound is placed in UTC."""

    stream: str
    uncertainty_s: float
    """Half width of the interval that holds the true time with 95 % probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsDropped(Fact):
    """Windows were shed, unanalysed."""

    stream: str
    count: int
    where: str
    """`batcher` (waited too long for the encoder) or `matcher`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEncoded(Fact):
    """The encoder finished a batch."""

    windows: int
    capacity: int
    took_s: float
    oldest_waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatched(Fact):
    """The matcher finished a batch: lookups and tracking."""

    windows: int
    search_s: float
    track_s: float
    behind_s: float
    """Age of the oldest window of the batch when its result was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesMeasured(Fact):
    """What waits between the stages just now."""

    windows: int
    """For the encoder."""
    windows_limit: int
    """Beyond so many the oldest are shed."""
    batches: int
    """Encoded ones, for the matcher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMeasured(Fact):
    """Memory the encoder holds on its device just now; 0 on a CPU, where it is the process's own."""

    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsAnalysed(Fact):
    """Windows went all the way, and this is what they were. Hops rise within each stream."""

    streams: tuple[str, ...]
    hops: NDArray[np.int64]
    """Shape [n]."""
    music: NDArray[np.float32]
    """Shape [n], probability that it is music rather than speech or noise."""
    level_db: NDArray[np.float32]
    """Shape [n], mean power in dBFS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirtimeWritten(Fact):
    """So many seconds of a station went into the ledger as this; each second once, `matched` as far as it was known by then."""

    stream: str
    state: AirState
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStateChanged(Fact):
    """So many intervals are in memory only, because the disk did not take them; 0: it took them all."""

    held: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyHeard(Fact):
    """References that cannot be on air would have been told: false alarms, for certain."""

    stream: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTold(Fact):
    """A detection was handed to the outbox."""

    stream: str
    kind: EventKind
    reference: str
    confidence: float
    """Probability that the named recording was on air, 0 to 1."""
    latency_s: float
    """From the first second of the play on air to now; only meaningful for `started`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePublished(Fact):
    """The broker acknowledged a message."""

    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStateChanged(Fact):
    """The MQTT broker came or went."""

    connected: bool
    reason: str = ""
    broker: str = ""
    """Its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRefused(Fact):
    """The broker refused a message, which stays and is tried again later; without a reason: it takes those of the topic again."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsSetAside(Fact):
    """So many stored events are too large for the broker: they are passed over, and tried again with the next connection."""

    count: int
    newest: str = ""
    """Station and sequence of the one that is new among them, and what the broker says; none is new: empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxChanged(Fact):
    """The outbox holds this much that is not yet acknowledged."""

    depth: int
    oldest_utc_s: float | None
    used_bytes: int = 0
    """Of the file, with what is kept of delivered messages."""
    budget_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionsWaiting(Fact):
    """So many detections are in memory only, because the disk did not take them; 0: it took them all."""

    count: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionsLost(Fact):
    """Detections were given up before the broker had them."""

    count: int
    reason: str = "the disk takes none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogLoaded(Fact):
    """A generation of the catalogue went into service."""

    generation: int
    references: int
    fingerprints: int
    index_kind: str
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRefused(Fact):
    """A new generation of the catalogue could not be loaded; the old one stays in service."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCurrent(Fact):
    """The newest generation is the one in service again: what was refused is gone from the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Fact):
    """An HTTP client asked for what is not offered."""

    status: int
    request: str
    """Method and path as asked, cut short: a stranger's words."""
    client: str


Tell = Callable[[Fact], None]
"""How a folder tells a fact: any function that takes one and neither blocks nor raises."""
