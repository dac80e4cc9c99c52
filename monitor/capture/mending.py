"""Keeps a source of sound open: watches it, opens it again, puts its sound on one timeline.

Knows clocks, waits and what to tell. Knows nothing of ffmpeg or sound cards: it is handed a way to open a connection.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.capture.stamped import Heard
from monitor.core.backoff import Backoff
from monitor.core.loudness import Loudness
from monitor.core.recipe import Recipe
from monitor.core.stall import StallWatch
from monitor.core.timeline import Timeline
from monitor.errors import StreamFailed
from monitor.facts import HintHeard, SoundLost, SoundReceived, StreamRestarted, StreamStateChanged, Tell
from monitor.messages import Chunk, Hint, Stamp, StreamState
from monitor.settings import StreamSettings

FIRST_RETRY_S = 0.5
"""Most losses are a server that restarts or a connection that broke: it is there again at once."""
LONGEST_RETRY_S = 60.0
"""A station that has been away for long is found again within a minute, at a cost nobody notices."""
BACK_AFTER_S = 5.0
"""A lost stream is logged as back when sound has come for so long: one that flaps faster is one log line, not hundreds."""

Connect = Callable[[], AsyncGenerator[Heard, None]]
"""Opens one connection. Its sound ends when the source is over for good; StreamFailed means: open it again."""

LEAD_S = 30.0
"""A server may be so far ahead of real time, by its buffer on connecting, say. One that goes on is read no faster than it plays, or
its flood would push the other stations' sound out of the analysis."""
HINTS = 64
"""Hints that are kept of a stream, the last ones."""

_log = structlog.get_logger()


class Mender:
    """The eternal part of a source; each kind of source is one. One task may read its chunks, and closes them when it stops."""

    def __init__(
        self,
        settings: StreamSettings,
        recipe: Recipe,
        tell: Tell,
        *,
        connect: Connect,
        backoff: Backoff | None = None,
        lead_s: float = LEAD_S,
    ) -> None:
        """Take the way to open a connection; `backoff` paces the attempts, `lead_s` limits what comes faster than real time."""
        self._name = settings.name
        self._no_data_timeout_s = settings.no_data_timeout_s
        self._rate_hz = recipe.sample_rate_hz
        self._tell = tell
        self._connect = connect
        self._backoff = backoff or Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random.random)
        self._timeline = Timeline(rate_hz=recipe.sample_rate_hz, hop_samples=recipe.hop_samples)
        self._loudness = Loudness(
            rate_hz=recipe.sample_rate_hz, silence_db=settings.silence_db, silence_after_s=settings.silence_after_s
        )
        self._state = StreamState.OFFLINE
        self._lost_s: float | None = None
        """When the loss that was last logged happened; None when all is well."""
        self._lead_s = lead_s
        self._hints: list[Hint] = []
        self._known = False
        """Whether it was ever logged as online."""

    @property
    def name(self) -> str:
        """Name of the station."""
        return self._name

    def utc_s(self, position: int) -> tuple[float, float]:
        """Return UTC and the half width of its uncertainty, both in seconds, of a position already yielded.

        Raises:
            LookupError: No sound has been heard yet.
        """
        return self._timeline.utc_s(position)

    def hint(self, position: int) -> Hint | None:
        """Return what the station last said of itself up to a position, None if it said nothing."""
        hints = self._hints
        at = bisect_right(hints, position, key=lambda hint: hint.position)
        return hints[at - 1] if at else None

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield sound as it comes; mend what breaks; end when the source is over for good."""
        self._change(StreamState.CONNECTING)
        try:
            while True:
                try:
                    async with aclosing(self._connection()) as connection:
                        async for chunk in connection:
                            yield chunk
                    return
                except StreamFailed as error:
                    await self._wait(str(error))
        finally:
            self._change(StreamState.OFFLINE)

    async def _connection(self) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of one connection, until it ends, fails or goes quiet."""
        watch = StallWatch(self._no_data_timeout_s)
        watch.heard(time.monotonic())
        self._loudness.restart()
        position: int | None = None
        begun, started_s = 0, 0.0
        async with aclosing(self._connect()) as sound:
            while True:
                item = await self._next(sound, watch)
                if item is None:
                    return
                now_s = time.monotonic()
                if position is None:
                    position, started_s = self._timeline.begin(now_s), now_s
                    self._backoff.worked(now_s)
                    begun = position
                if isinstance(item, Hint):
                    self._take_hint(item, position)
                elif isinstance(item, Stamp):
                    if jump := self._timeline.stamped(item):
                        self._tell(SoundLost(stream=self._name, seconds=jump / self._rate_hz))
                        position, begun = position + jump, begun + jump
                else:
                    end = position + item.size
                    self._timeline.heard(end, now_s, time.time() - now_s)
                    self._report(position, item, now_s - started_s)
                    yield Chunk(stream=self._name, position=position, samples=item, arrived_s=now_s)
                    position = end
                    lead_s = (end - begun) / self._rate_hz - (time.monotonic() - started_s)
                    if lead_s > self._lead_s:
                        await asyncio.sleep(lead_s - self._lead_s)
                    watch.heard(time.monotonic())  # the time the reader took is not the station's fault

    async def _next(self, sound: AsyncGenerator[Heard, None], watch: StallWatch) -> Heard | None:
        """Return the next piece of sound, stamp or hint, None at the end."""
        try:
            async with asyncio.timeout(watch.left_s(time.monotonic())):
                return await anext(sound, None)
        except TimeoutError:
            raise StreamFailed(f"no sound for {self._no_data_timeout_s:g} s{self._why()}") from None

    def _why(self) -> str:
        """What a kind of source knows of a connection without sound, to be added to that."""
        return ""

    def _report(self, position: int, samples: NDArray[np.float32], connected_s: float) -> None:
        self._tell(SoundReceived(stream=self._name, position=position, seconds=samples.size / self._rate_hz))
        changes = self._loudness.hear(samples)
        if changes:
            self._change(StreamState.SILENT if changes[-1] else StreamState.ONLINE)
        elif self._state is not StreamState.SILENT:
            self._change(StreamState.ONLINE)
        if not self._known:
            self._known, self._lost_s = True, None
            _log.info("stream is online", stream=self._name)
        elif self._lost_s is not None and connected_s >= BACK_AFTER_S:
            _log.info("stream is back", stream=self._name, away_s=round(time.monotonic() - connected_s - self._lost_s, 1))
            self._lost_s = None

    def _take_hint(self, hint: Hint, position: int) -> None:
        if self._hints and self._hints[-1].title == hint.title:
            return
        self._hints = [
            *self._hints[1 - HINTS :],
            replace(hint, position=position),
        ]  # a new list: the matcher's thread reads the old
        self._tell(HintHeard(stream=self._name, kind=hint.kind, title=hint.title))

    async def _wait(self, reason: str) -> None:
        """Tell of the loss and sleep until the next attempt."""
        now_s = time.monotonic()
        retry_in_s = self._backoff.failed(now_s)
        if self._lost_s is None:
            self._lost_s = now_s
            _log.warning("stream is lost, trying again", stream=self._name, reason=reason, retry_in_s=round(retry_in_s, 1))
        self._change(StreamState.RECONNECTING, reason)
        self._tell(StreamRestarted(stream=self._name, reason=reason, retry_in_s=retry_in_s))
        await asyncio.sleep(retry_in_s)

    def _change(self, state: StreamState, reason: str = "") -> None:
        if state is not self._state:
            self._state = state
            self._tell(StreamStateChanged(stream=self._name, state=state, reason=reason))
