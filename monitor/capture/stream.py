"""A live stream, or a file played as one, through an ffmpeg child process.

Knows how one connection begins, runs and ends, and which of a station's URLs is next. What happens between connections is
`mending.py`'s.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import structlog

from monitor.capture.arguments import file_of, live_arguments
from monitor.capture.child import Starter
from monitor.capture.complaints import explain
from monitor.capture.mending import LEAD_S, Mender
from monitor.capture.remarks import Remarks
from monitor.capture.stamped import Heard, Progress, heard
from monitor.capture.stated import StatedTime
from monitor.core.backoff import Backoff
from monitor.core.inputs import is_network
from monitor.core.masking import mask_url
from monitor.core.recipe import Recipe
from monitor.errors import StreamFailed
from monitor.facts import SoundDamaged, SourceChosen, Tell
from monitor.messages import Hint, HintKind
from monitor.settings import StreamSettings

STABLE_S = 30.0
"""A connection that held for so long was a good one: after it the first URL has its turn again."""

_log = structlog.get_logger()


class FfmpegSource(Mender):
    """One station. A network stream and a named pipe are eternal; a file that does not loop ends the chunks at its end."""

    def __init__(self, settings: StreamSettings, recipe: Recipe, tell: Tell, *, backoff: Backoff | None = None) -> None:
        """Take the stream's settings; nothing is opened yet.

        Raises:
            Permanent: The scheme of a URL is not one that is listened to.
        """
        self._urls = (settings.url, *settings.spares)
        lead_s = LEAD_S if _is_live(settings.url) else math.inf
        super().__init__(settings, recipe, tell, connect=self._sound, backoff=backoff, lead_s=lead_s)
        self._commands = [live_arguments(url, settings, recipe, live=_is_live(url)) for url in self._urls]
        self._settings = settings
        self._progress = [Progress() for _ in self._urls]
        self._turn = 0
        self._starter = Starter()
        self._remarks = Remarks()

    def __repr__(self) -> str:
        return f"FfmpegSource({self.name}, {mask_url(self._urls[0])})"

    async def _sound(self) -> AsyncGenerator[Heard, None]:
        chosen, self._turn = self._turn, (self._turn + 1) % len(self._urls)
        self._remarks = remarks = Remarks()
        stated = StatedTime(self._urls[chosen], self._settings)
        asking: asyncio.Task[None] | None = None
        self._progress[chosen].begin(remarks.segments)
        child = await self._starter.start(self._commands[chosen], hear=remarks.hear)
        began_s = 0.0
        try:
            pieces = heard(
                child,
                rate_hz=self._rate_hz,
                format_of=lambda: remarks.format,
                damaged=self._damage(),
                stated=lambda: stated.anchor,
                progress=self._progress[chosen],
            )
            async with aclosing(pieces) as sound:
                async for item in sound:
                    if asking is None and remarks.format == "hls":
                        asking = asyncio.create_task(stated.run())
                    if not began_s:
                        began_s = time.monotonic()
                        self._tell(SourceChosen(stream=self.name, number=chosen, url=mask_url(self._urls[chosen])))
                    elif time.monotonic() - began_s > STABLE_S:
                        self._turn = 0
                    if (title := remarks.new_title()) is not None:
                        yield Hint(kind=HintKind.ICY, title=title)
                    yield item
            status = await child.finish()
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await child.close()
        if _is_live(self._urls[chosen]):
            raise StreamFailed(explain(remarks.errors) if status or remarks.errors else "the stream ended")
        if not began_s or self._settings.loop:
            raise StreamFailed(explain(remarks.errors))

    def _why(self) -> str:
        """What ffmpeg complained of last."""
        return f"; ffmpeg says: {mask_url(self._remarks.errors[-1])}" if self._remarks.errors else ""

    def _damage(self) -> Callable[[int], None]:
        said = False

        def damaged(samples: int) -> None:
            nonlocal said
            self._tell(SoundDamaged(stream=self.name, seconds=samples / self._rate_hz))
            if not said:
                said = True
                _log.warning("the stream's sound holds values that are none; they are taken as silence", stream=self.name)

        return damaged


def _is_live(url: str) -> bool:
    """Say whether a URL never ends for good: a network stream, or a named pipe, whose writer may come back."""
    return is_network(url) or file_of(url).is_fifo()
