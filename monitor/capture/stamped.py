"""What a live ffmpeg writes to its output: sound, the times it carries, and what a station says beside it.

Knows the form of `arguments._TEE`: for each packet a line (track, dts, pts, duration, size, checksum), then the packet's bytes.
Lines that begin with # are comments. A CRC (0x...) is that of sound, an MD5 that of data. Knows no processes.

The times are those of the sender (`-copyts`), which ffmpeg has freed of the wraps within a connection. A hole in them is lost
sound. A sender may also start another clock (a discontinuity of HLS, an encoder that was restarted). Where it is ahead by more
than the pause it came with and a segment explain, it is taken over, and no sound counts as lost. Where it is behind, ffmpeg holds
its output's times back, they say nothing any more, and the stamps end with the connection.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.capture.id3 import title_of
from monitor.capture.samples import to_samples
from monitor.capture.stated import Anchor
from monitor.errors import StreamFailed
from monitor.messages import Hint, HintKind, Stamp, StampKind

Heard = NDArray[np.float32] | Stamp | Hint
"""What a connection yields: pieces of sound, shape [n], the times a station put on them, and what it says is on air."""

PERIOD_S = 2**33 / 90_000
"""PTS of MPEG-TS: 33 bits at 90 kHz, 26.5 hours."""
CLOCKS = {"mpegts": PERIOD_S, "hls": PERIOD_S, "rtsp": 0.0, "rtp": 0.0, "sdp": 0.0, "flv": 0.0, "live_flv": 0.0, "ogg": 0.0}
"""Formats whose times are the sender's, and when they begin again. Those of an MP3 or AAC stream are only ffmpeg's count."""
EVERY_S = 5.0
"""Stamps that say nothing new are passed on this often."""
ROUNDING_S = 0.05
"""Times may be off by so much from piece to piece: milliseconds of FLV, frames that were cut anew."""
REACH_S = 3600.0
"""An anchor that far away was of another clock."""
REHEARD_S = 30.0
"""A server of HLS sends its last three segments, of at most 10 s, to whoever connects: so much may have been heard before."""
SEGMENTS = 64
"""Names of segments that are kept: more than a server sends to whoever connects, whatever the variants."""
SEGMENT_S = 10.0
"""Sound may be missing without a pause when a server has dropped a segment of HLS; longer ones are rare."""


class Output(Protocol):
    """Bytes in order: a child's standard output."""

    async def line(self) -> bytes:
        """Return the next line with its end, less at the end of all."""
        ...

    async def read(self, count: int) -> bytes:
        """Return exactly so many bytes, fewer at the end of all."""
        ...


class Progress:
    """How far a station of HLS was heard on its own clock, and in which segments, over its connections."""

    def __init__(self) -> None:
        self._end: int | None = None
        self._segments: Sequence[str] = ()
        self._sounded = 0
        """How many of them had been asked for when sound came last: a later one may have given none."""
        self._known: tuple[str, ...] = ()
        self._before: int | None = None
        """Time of the last piece that was left out of this connection."""
        self._new = False

    def begin(self, segments: Sequence[str]) -> None:
        """Begin a connection; `segments` grows by each that it asks for, and stays empty where there are none."""
        self._known = (*self._known, *self._segments[: self._sounded])[-SEGMENTS:]
        self._sounded = 0
        self._segments, self._before, self._new = segments, None, False

    def again(self, pts: int, duration: int, *, rate_hz: int) -> bool:
        """Take the time of a piece of sound; say whether it was heard before: on another connection, as the first of this one.

        Both must say so: its first segment was asked for before, and its clock, which runs on, is behind.
        """
        if not self._segments:
            return False
        if not self._new and self._end is not None and self._segments[0] in self._known:
            period = round(PERIOD_S * rate_hz)
            behind = (self._end - pts + period // 2) % period - period // 2
            runs = self._before is None or pts - self._before >= duration // 2
            if runs and duration // 2 < behind <= REHEARD_S * rate_hz:
                self._before = pts
                return True
        self._end, self._new, self._sounded = pts + duration, True, len(self._segments)
        return False

    def over(self) -> None:
        """End a connection that the server ended: if all of it was heard before, it is a file that is sent again and again."""
        if self._before is not None and not self._new:
            self._end = None


async def heard(
    output: Output,
    *,
    rate_hz: int,
    format_of: Callable[[], str],
    damaged: Callable[[int], None],
    stated: Callable[[], Anchor | None] = lambda: None,
    progress: Progress | None = None,
) -> AsyncGenerator[Heard, None]:
    """Yield what a live ffmpeg writes, until its end.

    Args:
        output: Where it writes to.
        rate_hz: Of the sound.
        format_of: Name of ffmpeg's demuxer, empty until it is known.
        damaged: Told of samples that were none.
        stated: What the station said last of the time of its sound.
        progress: Of this station so far; begun for this connection; what was heard before is left out.

    Raises:
        StreamFailed: It writes something else.
    """
    clock: _Clock | None = None
    count = 0
    while line := await output.line():
        if line.startswith(b"#"):
            continue
        try:
            *numbers, rest = line.split(b",", 5)
            _, _, pts, duration, size = (int(number) for number in numbers)
        except ValueError:
            raise StreamFailed("ffmpeg's output is not understood") from None
        data = await output.read(size)
        if not rest.lstrip().startswith(b"0x"):
            if title := title_of(data):
                yield Hint(kind=HintKind.ID3, title=title)
            continue
        if clock is None and (name := format_of()):
            clock = _Clock(rate_hz, CLOCKS.get(name))
        if progress and progress.again(pts, duration, rate_hz=rate_hz):
            continue
        if clock and (stamp := clock.stamp(pts, duration, time.monotonic())):
            yield stamp
            if (anchor := stated()) and (programme := clock.place(anchor, pts, count)):
                yield programme
        samples, bad = to_samples(data)
        count += samples.size
        if bad:
            damaged(bad)
        if samples.size:
            yield samples
    if progress:
        progress.over()


class _Clock:
    """Decides which of the sender's times are worth telling."""

    def __init__(self, rate_hz: int, period_s: float | None) -> None:
        """Take the length of the counter; None: it counts nothing of the sender's."""
        self._rate_hz = rate_hz
        self._period_s = period_s or 0.0
        self._usable = period_s is not None
        self._offset = 0
        self._expected: int | None = None
        self._before = 0
        self._told: int | None = None
        self._arrived_s = 0.0

    def stamp(self, pts: int, duration: int, now_s: float) -> Stamp | None:
        """Return the stamp of a piece of sound, if there is one to tell."""
        if not self._usable:
            return None
        ahead = 0 if self._expected is None else pts - self._expected
        if self._expected is not None and pts - self._before < duration // 2:
            self._usable = False
            return None
        if ahead > (now_s - self._arrived_s + SEGMENT_S) * self._rate_hz:
            self._offset += ahead
            ahead = 0
        self._before, self._expected, self._arrived_s = pts, pts + duration, now_s
        own = pts - self._offset
        if self._told is not None and abs(ahead) < ROUNDING_S * self._rate_hz and own - self._told < EVERY_S * self._rate_hz:
            return None
        self._told = own
        return Stamp(kind=StampKind.MEDIA, seconds=own / self._rate_hz, period_s=self._period_s)

    def place(self, anchor: Anchor, pts: int, sample: int) -> Stamp | None:
        """Return what an anchor says of a sample; None when they are of different clocks."""
        since_s = pts / self._rate_hz - anchor.pts_s
        if self._period_s:
            since_s = (since_s + self._period_s / 2) % self._period_s - self._period_s / 2
        if abs(since_s) > REACH_S:
            return None
        return Stamp(kind=StampKind.PROGRAMME, seconds=anchor.utc_s + since_s, sample=sample)
