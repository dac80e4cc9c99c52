"""What travels through the pipeline, in the order sound does.

Knows shapes and units. Media time of a stream is whole samples at the recipe's rate since the stream was first opened; it
runs on through reconnects (a gap is a jump in position, never a stretch). Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class StampKind(StrEnum):
    """What a time means that came with the sound."""

    PROGRAMME = "programme"
    """UTC of a sample as the station states it: EXT-X-PROGRAM-DATE-TIME of HLS, the NTP time of RTCP sender reports."""
    MEDIA = "media"
    """A counter that runs with the medium: PTS, RTP time stamps. Its origin means nothing, its steps are lost sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time that a station put on its sound. A source's connection yields it beside the sound."""

    kind: StampKind
    seconds: float
    """Since 1970-01-01T00:00:00Z (`PROGRAMME`), or what the counter says (`MEDIA`)."""
    sample: int = 0
    """`PROGRAMME`: the sample it belongs to, counted from the connection's first; told before or after that sample is yielded.
    `MEDIA`: without meaning, the stamp belongs to the next sample that is yielded."""
    period_s: float = 0.0
    """After so long the counter begins again (2**33 / 90000 for PTS, 26.5 hours); 0: never."""


class HintKind(StrEnum):
    """Where a hint came from."""

    ICY = "icy"
    """StreamTitle of an Icecast or SHOUTcast stream."""
    ID3 = "id3"
    """Timed metadata of an HLS stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a station says of itself is on air: often late, wrong or advertising, never the truth."""

    kind: HintKind
    title: str
    """One line, at most 256 characters; empty when the station took its title back."""
    position: int = 0
    """Media time at which it came, in samples; a source's connection leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of decoded sound, mono, as it came in."""

    stream: str
    position: int
    """Media time of the first sample, in samples."""
    samples: NDArray[np.float32]
    """Shape [n], full scale is 1.0."""
    arrived_s: float
    """Monotonic clock when the last sample had arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One second of a stream, on the hop grid."""

    stream: str
    hop: int
    """The window covers samples [hop * hop_samples, hop * hop_samples + window_samples) of media time."""
    samples: NDArray[np.float32]
    """Shape [window_samples]."""
    arrived_s: float
    """Monotonic clock when the window was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Fingerprints of one batch of windows, in the order of the windows."""

    streams: tuple[str, ...]
    hops: NDArray[np.int64]
    """Shape [n]."""
    vectors: NDArray[np.float32]
    """Shape [n, dim], unit length; zero for silence."""
    arrived_s: NDArray[np.float64]
    """Shape [n], monotonic clock when each window was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Who a recording in the catalogue is."""

    id: int
    path: str
    title: str = ""
    artist: str = ""
    album: str = ""
    isrc: str = ""
    duration_s: float = 0.0
    custom: dict[str, str] = field(default_factory=dict)
    """Further columns of the operator's CSV, carried through to the detections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinship:
    """A stretch of a reference that is the same sound as one of another reference, in hops."""

    start: int
    stop: int
    other_id: int
    other_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One generation of the catalogue as it lies on disk: how `catalog/` tells `index/` what to load.

    The file at `path` holds float16 [rows, dim]; rows are only ever added at its end, and a row number is never used twice. Rows
    that belong to no reference are those of removed ones.
    """

    path: Path
    dim: int
    generation: int
    rows: int
    """Committed rows, holes included; what the file holds beyond them does not count."""
    reference_ids: NDArray[np.int64]
    """Shape [references], in the order of their rows."""
    row_starts: NDArray[np.int64]
    """Shape [references], rising: first row of each reference."""
    hops: NDArray[np.int64]
    """Shape [references], at least 1: number of rows of each reference."""
    references: Mapping[int, Reference]
    kin: Mapping[int, tuple[Kinship, ...]] = field(default_factory=dict)
    """What references share with others; those that share nothing are not in it."""


class EventKind(StrEnum):
    """What a message says about a play: started, updated any number of times, ended; retracted at any time, even after its end."""

    STARTED = "started"
    UPDATED = "updated"
    """It goes on, or its boundaries, its numbers or its reference are known better now."""
    ENDED = "ended"
    RETRACTED = "retracted"
    """There was no such play; nothing more is said of it."""


class Usage(StrEnum):
    """How a recording was used, by its level against everything else that was heard with it."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    UNKNOWN = "unknown"
    """Not heard for long enough to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One play of one reference on one stream, as far as it is known now. Times are media time in seconds."""

    stream: str
    reference_id: int
    start_s: float
    end_s: float
    reference_start_s: float
    """Where in the reference the play begins."""
    reference_end_s: float
    speed: float
    """Seconds of the reference per second on air: 1.02 is played 2 % fast."""
    score: float
    """Mean similarity along the alignment, -1 to 1."""
    evidence: float
    """Accumulated log-likelihood ratio in nats."""
    confidence: float
    """Probability that the named recording was on air, 0 to 1."""
    detected_s: float
    """Media time at which it was first certain enough to be told."""
    alternatives: tuple[int, ...] = ()
    """Other references that all that was heard fits as well: versions, re-issues, the same bed. Empty once a part was heard that
    tells them apart."""
    usage: Usage = Usage.UNKNOWN
    complete: bool = False
    """The recording was on air from its beginning to its end; false as long as the play is on."""
    start_blended: bool = False
    """It came up softly beside another recording on air, and not at its own beginning: a fade hides how much of it was before."""
    end_blended: bool = False
    """It went softly beside another recording, and not at its own end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayEvent:
    """Something the tracker has to say about a play."""

    kind: EventKind
    number: int
    """Number of the play on its stream since the daemon started; the same for all events of a play."""
    play: Play


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a subscriber is told: a play event with its names and its place in UTC.

    `id` is the same for all events of a play. `sequence` is assigned by the outbox.
    """

    id: str
    kind: EventKind
    station: str
    start_utc_s: float
    """Seconds since 1970-01-01T00:00:00Z."""
    end_utc_s: float
    uncertainty_s: float
    """Half width of the interval that holds the true start with 95 % probability."""
    end_uncertainty_s: float = 0.0
    """The same of the true end, which is that of what was heard as long as the play is on."""
    detected_utc_s: float
    play: Play
    reference: Reference
    recipe: str
    """Hash of the encoder recipe."""
    generation: int
    """Generation of the catalogue."""
    encoder: str = ""
    """Name of the encoder."""
    alternatives: tuple[Reference, ...] = ()
    """Who the play's alternatives are: as long as there are some, `reference` is one of a group and not more than that."""
    hint: Hint | None = None
    """What the station itself last said is on air, up to the end of what was heard; None when it says nothing."""
    hint_utc_s: float | None = None
    """When it began to say so."""


class AirState(StrEnum):
    """What a moment of a station's airtime was. Exactly one holds."""

    MATCHED = "matched"
    """A known recording was on."""
    MUSIC = "music"
    """Music that is not in the catalogue."""
    SPEECH = "speech"
    """Sound that is not music: talk above all, also noise and applause; over music, whatever is louder."""
    SILENCE = "silence"
    NOT_RECEIVED = "not_received"
    SHED = "shed"
    """Received but not analysed, because the machine was too slow."""


class StreamState(StrEnum):
    """What a station is doing, as told on its status topic."""

    CONNECTING = "connecting"
    ONLINE = "online"
    SILENT = "silent"
    RECONNECTING = "reconnecting"
    OFFLINE = "offline"
