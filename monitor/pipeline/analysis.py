"""Windows of all streams through the encoder and the matcher: two stages, one thread each, so that one works while the other does.

Windows queue in the batcher, which drops its oldest when full; a batch that is encoded waits for the matcher in a queue of two,
and when
that is full the encoder waits, so that all loss happens, and is counted, in the batcher. Knows nothing of sources, UTC or messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import numpy as np

from monitor.core.batching import Batcher
from monitor.facts import BatchEncoded, QueuesMeasured, Tell, WindowsAnalysed, WindowsDropped
from monitor.messages import Embeddings, PlayEvent, Window
from monitor.pipeline.health import Health
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Library, Listener
from monitor.settings import EncoderSettings

R = TypeVar("R")
IDLE_S = 0.5
"""A stage without work goes round this often, to show that it can."""
STALE_S = 8.0
"""Windows older than this are shed: a detection ten seconds late is of little use, and a backlog never shrinks by itself."""
REHEARSAL = ""
"""Name of the stream that is only rehearsed; no station can have it."""
LEAST_POWER = 1e-12
"""-120 dBFS: quieter than any decoder's rounding."""
_NO_SOUND = np.zeros(0, np.float32)


class Analysis:
    """The encoder stage and the matcher stage."""

    def __init__(
        self,
        encoder: Listener,
        matcher: Matcher,
        settings: EncoderSettings,
        *,
        on_events: Callable[[list[PlayEvent], Library], None],
        health: Health,
        tell: Tell,
    ) -> None:
        """Join the parts; `on_events` is called in the matcher's thread with what is to be said."""
        self._encoder, self._matcher, self._settings = encoder, matcher, settings
        self._on_events, self._health, self._tell = on_events, health, tell
        self._batcher = Batcher(size=settings.max_batch, max_wait_s=settings.max_wait_s, limit=settings.max_batch)
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._encoded: asyncio.Queue[tuple[tuple[Embeddings, WindowsAnalysed] | None, list[str]] | None] = asyncio.Queue(2)
        self._closing: dict[str, asyncio.Future[None]] = {}
        self._next_library: Library | None = None
        self._draining = False
        self._threads = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("encoder", "matcher")}

    def set_streams(self, count: int, windows_per_s: float) -> None:
        """Let the batcher hold what this many streams bring before it is stale."""
        self._batcher.limit = max(self._settings.max_batch, int(count * windows_per_s * STALE_S))

    def put(self, window: Window) -> None:
        """Take a window; an older one may go for it."""
        dropped = self._batcher.put(window)
        if dropped is not None and dropped.samples is _NO_SOUND:
            self.put(dropped)
        elif dropped is not None:
            self._tell(WindowsDropped(stream=dropped.stream, count=1, where="batcher"))
        self._arrived.set()

    async def room(self) -> None:
        """Return when the batcher is half empty: for a source that can wait, and would otherwise make live ones lose theirs."""
        while len(self._batcher) > self._batcher.limit // 2:
            self._taken.clear()
            await self._taken.wait()

    async def close_stream(self, stream: str) -> None:
        """End the plays of a stream that is over; return when all that was heard of it is analysed."""
        done = self._closing.setdefault(stream, asyncio.get_running_loop().create_future())
        self.put(Window(stream=stream, hop=-1, samples=_NO_SOUND, arrived_s=time.monotonic()))
        await asyncio.shield(done)

    def swap(self, library: Library) -> None:
        """Put another generation of the catalogue into service, between two batches."""
        self._next_library = library

    async def encode(self) -> None:
        """Run the encoder stage until drained."""
        while True:
            self._health.beat("encoder", time.monotonic())
            batch = self._batcher.take(float("inf") if self._draining or self._closing else time.monotonic())
            if batch:
                self._taken.set()
                sound = [window for window in batch if window.samples is not _NO_SOUND]
                over = [window.stream for window in batch if window.samples is _NO_SOUND]
                await self._encoded.put((await self._in("encoder", self._encode, sound) if sound else None, over))
            elif self._draining:
                await self._encoded.put(None)
                return
            else:
                await self._sleep()

    async def match(self) -> None:
        """Run the matcher stage until drained."""
        while True:
            self._health.beat("matcher", time.monotonic())
            try:
                async with asyncio.timeout(IDLE_S):  # wait_for of Python 3.11 may swallow a cancellation
                    item = await self._encoded.get()
            except TimeoutError:
                continue
            if item is None:
                await self._in("matcher", self._finish)
                return
            await self._in("matcher", self._match, *item)
            for stream in item[1]:
                if stream in self._closing:
                    self._closing.pop(stream).set_result(None)

    def drain(self) -> None:
        """Let both stages end once everything that waits is done; all plays end."""
        self._draining = True
        self._arrived.set()

    def shut(self) -> None:
        """Let the threads go."""
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)

    @property
    def queues(self) -> QueuesMeasured:
        """What waits just now."""
        return QueuesMeasured(windows=len(self._batcher), windows_limit=self._batcher.limit, batches=self._encoded.qsize())

    async def rehearse(self, window_samples: int) -> None:
        """Send silence the whole way, so that the first real window meets nothing that was never tried. Both stages must run."""
        self.put(Window(stream=REHEARSAL, hop=0, samples=np.zeros(window_samples, np.float32), arrived_s=time.monotonic()))
        await self.close_stream(REHEARSAL)

    async def _sleep(self) -> None:
        due_s = self._batcher.due_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S if due_s is None else max(min(due_s - time.monotonic(), IDLE_S), 0.0)):
                await self._wake(idle=due_s is None)

    async def _wake(self, *, idle: bool) -> None:
        """Wait for any window if none was there, otherwise for a batch to be full; or for an end to be announced."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if idle or len(self._batcher) >= self._settings.max_batch or self._draining or self._closing:
                return

    async def _in(self, thread: str, work: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads[thread], work, *arguments)

    def _encode(self, batch: list[Window]) -> tuple[Embeddings, WindowsAnalysed]:
        started_s = time.monotonic()
        sound = np.stack([window.samples for window in batch])
        vectors, music = self._encoder.listen(sound)
        power = np.einsum("ns,ns->n", sound, sound) / sound.shape[1]
        arrived_s = np.array([window.arrived_s for window in batch])
        self._tell(
            BatchEncoded(
                windows=len(batch),
                capacity=self._settings.max_batch,
                took_s=time.monotonic() - started_s,
                oldest_waited_s=started_s - float(arrived_s.min()),
            )
        )
        streams, hops = tuple(window.stream for window in batch), np.array([window.hop for window in batch], np.int64)
        level_db = 10.0 * np.log10(np.maximum(power, LEAST_POWER))
        embeddings = Embeddings(streams=streams, hops=hops, vectors=vectors, arrived_s=arrived_s)
        return embeddings, WindowsAnalysed(streams=streams, hops=hops, music=music, level_db=level_db)

    def _match(self, encoded: tuple[Embeddings, WindowsAnalysed] | None, over: list[str]) -> None:
        library, self._next_library = self._next_library, None
        if library is not None:
            self._matcher.swap(library)
        if encoded is not None:
            embeddings, analysed = encoded
            self._say(self._matcher.match(embeddings))
            self._tell(analysed)
        for stream in over:
            self._say(self._matcher.close(stream))

    def _finish(self) -> None:
        self._say(self._matcher.close_all())

    def _say(self, events: list[PlayEvent]) -> None:
        if events:
            self._on_events(events, self._matcher.library)
