"""A live stream, or a file played as one, through an ffmpeg child process.

Knows how one connection begins, runs and ends. What happens between connections is `mending.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from monitor.capture.arguments import chunk_samples, is_network, live_arguments
from monitor.capture.child import Child
from monitor.capture.complaints import explain
from monitor.capture.ffmpeg import to_samples
from monitor.capture.mending import Mender
from monitor.core.backoff import Backoff
from monitor.core.masking import mask_url
from monitor.core.recipe import Recipe
from monitor.errors import StreamFailed
from monitor.facts import Tell
from monitor.messages import Chunk
from monitor.settings import StreamSettings

_PATIENCE = 1.5
"""ffmpeg's own time-out on a dead connection, in units of ours: it only matters when the daemon is gone and nobody else ends it."""


class FfmpegSource:
    """One station. A network stream is eternal; a file that does not loop ends the chunks at its end."""

    def __init__(self, settings: StreamSettings, recipe: Recipe, tell: Tell, *, backoff: Backoff | None = None) -> None:
        """Take the stream's settings; nothing is opened yet.

        Raises:
            Permanent: The URL's scheme is not one that is listened to.
        """
        self._settings = settings
        self._recipe = recipe
        self._arguments = live_arguments(
            settings.url,
            recipe,
            timeout_s=settings.no_data_timeout_s * _PATIENCE,
            realtime=settings.realtime,
            loop=settings.loop,
        )
        self._mender = Mender(settings, recipe, tell, connect=self._sound, backoff=backoff)

    def __repr__(self) -> str:
        return f"FfmpegSource({self.name}, {mask_url(self._settings.url)})"

    @property
    def name(self) -> str:
        """Name of the station."""
        return self._settings.name

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield sound as it comes, a quarter of a second at a time; closing the generator ends ffmpeg."""
        return self._mender.chunks()

    def utc_s(self, position: int) -> tuple[float, float]:
        """Return UTC and the half width of its uncertainty, both in seconds, of a position already yielded.

        Raises:
            LookupError: No sound has been heard yet.
        """
        return self._mender.utc_s(position)

    async def _sound(self) -> AsyncGenerator[NDArray[np.float32], None]:
        child = await Child.start(self._arguments)
        async with aclosing(pieces(child, self._recipe)) as sound:
            heard = False
            async for samples in sound:
                heard = True
                yield samples
            if is_network(self._settings.url):
                status = await child.finish()
                raise StreamFailed(explain(child.last_words()) if status or child.last_words() else "the stream ended")
            if not heard or self._settings.loop:
                await child.finish()
                raise StreamFailed(explain(child.last_words()))


async def pieces(child: Child, recipe: Recipe) -> AsyncGenerator[NDArray[np.float32], None]:
    """Yield the sound a child writes, in its pieces; closing ends the child."""
    count = chunk_samples(recipe) * 4
    try:
        while data := await child.read(count):
            samples = to_samples(data)
            if samples.size:
                yield samples
    finally:
        await child.close()
