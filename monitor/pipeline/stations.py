"""The capture tasks: one a station, started, watched and stopped one by one.

Knows tasks and names. A source mends itself, so a task ends only when its source is over for good or a person must act; the
others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing

import structlog

from monitor.core.framing import Framer
from monitor.core.recipe import Recipe
from monitor.errors import Permanent
from monitor.facts import StreamStateChanged, Tell
from monitor.messages import Hint, StreamState, Window
from monitor.pipeline.ports import Source
from monitor.settings import StreamSettings

RETRY_S = 300.0
"""What a person must change may change without our being told: a sound card is plugged in, ffmpeg installed."""

_log = structlog.get_logger()


class Stations:
    """Sources in service, and the tasks that read them."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        open_source: Callable[[StreamSettings], Source],
        put: Callable[[Window], None],
        room: Callable[[], Awaitable[None]],
        closed: Callable[[str], asyncio.Future[None] | asyncio.Task[None]],
        tell: Tell,
    ) -> None:
        """Take the way sound goes: settings to source, windows to `put`; `closed` ends a stream downstream.

        A file that is not played at its own pace waits for `room` instead of being shed.
        """
        self._recipe, self._open_source, self._tell = recipe, open_source, tell
        self._put, self._room, self._closed = put, room, closed
        self._sources: dict[str, Source] = {}
        self._settings: dict[str, StreamSettings] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._heard: dict[str, int] = {}
        """Position of the newest sound."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when every source has ended by itself and nothing is left to listen to.

        Fails when a capture task does, and when nothing is left because of what a person must change.
        """
        self._broken: dict[str, Permanent] = {}
        self._applying = False

    @property
    def names(self) -> list[str]:
        """Stations in service."""
        return sorted(self._tasks)

    def utc_s(self, station: str, position: int) -> tuple[float, float]:
        """Return UTC of a position of a station, and its uncertainty, in seconds."""
        return self._sources[station].utc_s(position)

    def uncertainties_s(self) -> dict[str, float]:
        """Return how sure the newest sound of each station heard is placed in UTC, in seconds."""
        return {name: self._sources[name].utc_s(position)[1] for name, position in self._heard.items() if name in self._sources}

    def hint(self, station: str, position: int) -> Hint | None:
        """Return what a station last said of itself up to a position."""
        return self._sources[station].hint(position)

    async def apply(self, wanted: Iterable[StreamSettings]) -> tuple[list[str], list[str]]:
        """Start and stop stations until exactly these run; untouched ones do not notice. Return the names started and stopped."""
        settings = {one.name: one for one in wanted}
        self._applying = True  # what ends meanwhile is not the end of all: others may be about to start
        gone = [name for name, now in self._settings.items() if settings.get(name) != now or name in self._broken]
        await self.stop(gone)
        new = [one for name, one in settings.items() if name not in self._settings]
        for one in new:
            self._settings[one.name] = one
            self._tasks[one.name] = asyncio.create_task(self._listen(one), name=one.name)
            self._tasks[one.name].add_done_callback(self._ended)
        self._applying = False
        self._judge()
        return [one.name for one in new], [name for name in gone if name not in settings]

    async def stop(self, names: Iterable[str] | None = None) -> None:
        """Close the taps of some stations, or of all, and wait until they are closed."""
        chosen = self.names if names is None else list(names)
        tasks = [self._tasks.pop(name) for name in chosen if name in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name in chosen:
            self._settings.pop(name, None)
            self._broken.pop(name, None)
            if names is not None:
                await self._closed(name)
                self._sources.pop(name, None)
                self._heard.pop(name, None)

    async def _listen(self, settings: StreamSettings) -> None:
        name = settings.name
        while True:
            try:
                await self._play(settings)
                _log.info("stream is over", stream=name)
                break
            except Permanent as error:
                self._break(name, error)
            await self._closed(name)
            await asyncio.sleep(RETRY_S)
        await self._closed(name)

    async def _play(self, settings: StreamSettings) -> None:
        """Read a source to its end."""
        framer = Framer(self._recipe)
        self._heard.pop(settings.name, None)  # of the source before this one, which knew when that was
        self._sources[settings.name] = source = self._open_source(settings)
        async with aclosing(source.chunks()) as chunks:
            async for chunk in chunks:
                self._broken.pop(settings.name, None)
                self._heard[settings.name] = chunk.position
                if not settings.realtime:
                    await self._room()
                for window in framer.push(chunk):
                    self._put(window)

    def _break(self, name: str, error: Permanent) -> None:
        """Tell of what a person must change, once for each reason."""
        before, self._broken[name] = self._broken.get(name), error
        if str(before) != str(error):
            _log.error("stream cannot be monitored until it is changed", stream=name, reason=str(error))
        self._tell(StreamStateChanged(stream=name, state=StreamState.OFFLINE, reason=str(error)))
        self._judge()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.over.done():
            return
        if (error := task.exception()) is not None:
            self.over.set_exception(error)
        else:
            self._judge()

    def _judge(self) -> None:
        """Say that it is over when nothing that was to be heard is left."""
        if self._applying or self.over.done() or not self._tasks:
            return
        if all(task.done() or name in self._broken for name, task in self._tasks.items()):
            if self._broken:
                reasons = "; ".join(f"stream {name}: {error}" for name, error in sorted(self._broken.items()))
                self.over.set_exception(Permanent(f"no stream is left to monitor; {reasons}"))
            else:
                self.over.set_result(None)
