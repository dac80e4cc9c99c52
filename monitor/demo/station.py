"""A radio station: samples in at the pace of a clock, MP3 over HTTP out to whoever listens, like an Icecast mount.

Knows ffmpeg as the encoder and aiohttp as the server. Knows nothing of what is played. The programme begins when the first
listener is there, so that the demo does not depend on how quickly a machine starts; who comes later gets the last moment of
sound at once, then what is sent live.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from monitor.demo.render import CHANNELS, SAMPLE_RATE_HZ

_TICK_S: Final = 0.1
"""Sound goes into the encoder in pieces of this length, each when its last sample is due."""
_BURST_S: Final = 1.0
"""What a late listener is sent at once."""
_QUEUE_PIECES: Final = 256
"""A listener this far behind is thrown out, as Icecast does it."""


class Station:
    """One mount. Every listener has a bounded queue; one that does not keep up loses its connection, and nobody else notices."""

    def __init__(self, name: str, sound: NDArray[np.int16], bitrate_bps: int, *, rounds: int | None = 1) -> None:
        """Make a station that plays `sound`, [samples, channels], `rounds` times; None plays on and on."""
        self.name = name
        self.sent_utc_s: float | None = None
        """When the first sample was due, or None while nobody has listened."""
        self._sound = sound
        self._bitrate_bps = bitrate_bps
        self._rounds = rounds
        self._called = asyncio.Event()
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._burst: deque[bytes] = deque()
        self._over = False
        self._sent_bytes = 0
        self._sent_s = 0.0
        self._delays_s: deque[float] = deque(maxlen=500)

    def __repr__(self) -> str:
        """Say who it is and for how many."""
        return f"Station({self.name}, {len(self._listeners)} listeners, {self._sent_s:.0f} s sent)"

    @property
    def delay_s(self) -> float:
        """How long a sample takes from being due to leaving for the listeners, as measured: the median over the last pieces.

        The stream has a constant bit rate, so the number of bytes sent says up to which sample they reach; that sample's due time
        is known.
        """
        return float(np.median(self._delays_s)) if self._delays_s else 0.0

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Serve one listener until it leaves or the programme is over."""
        if self._over:
            raise web.HTTPServiceUnavailable(text="The programme is over.\n")
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg", "Cache-Control": "no-cache", "icy-name": self.name})
        response.headers["icy-br"] = str(self._bitrate_bps // 1000)
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_PIECES)
        for piece in self._burst:
            queue.put_nowait(piece)
        self._listeners.add(queue)
        self._called.set()
        try:
            while (piece_or_end := await queue.get()) is not None:
                await response.write(piece_or_end)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._listeners.discard(queue)
        return response

    async def run(self) -> None:
        """Wait for the first listener, then be on air until the programme is over."""
        await self._called.wait()
        command = [
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            "-f",
            "s16le",
            "-ar",
            str(SAMPLE_RATE_HZ),
            "-ac",
            str(CHANNELS),
            "-i",
            "pipe:0",
        ]
        command += ["-c:a", "libmp3lame", "-b:a", str(self._bitrate_bps), "-write_xing", "0", "-id3v2_version", "0"]
        command += ["-flush_packets", "1", "-f", "mp3", "pipe:1"]
        encoder = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        try:
            started_s = time.monotonic()
            self.sent_utc_s = time.time()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed(encoder, started_s))
                group.create_task(self._send(encoder, started_s))
            await encoder.wait()
        finally:
            if encoder.returncode is None:
                # Not encoder.kill(): it polls first, and so takes the status asyncio waits for ("Unknown child process pid").
                with suppress(ProcessLookupError):
                    os.killpg(encoder.pid, signal.SIGKILL)
                await encoder.wait()
            self._over = True
            for queue in self._listeners:
                _hang_up(queue)

    async def _feed(self, encoder: asyncio.subprocess.Process, started_s: float) -> None:
        assert encoder.stdin is not None
        step = round(_TICK_S * SAMPLE_RATE_HZ)
        played = done = 0
        while self._rounds is None or done < self._rounds:
            for start in range(0, len(self._sound), step):
                piece = self._sound[start : start + step]
                played += len(piece)
                await asyncio.sleep(max(0.0, started_s + played / SAMPLE_RATE_HZ - time.monotonic()))
                encoder.stdin.write(piece.tobytes())
                await encoder.stdin.drain()
            done += 1
        encoder.stdin.close()

    async def _send(self, encoder: asyncio.subprocess.Process, started_s: float) -> None:
        assert encoder.stdout is not None
        while piece := await encoder.stdout.read(4096):
            self._sent_bytes += len(piece)
            self._sent_s = self._sent_bytes * 8 / self._bitrate_bps
            self._delays_s.append(time.monotonic() - started_s - self._sent_s)
            self._burst.append(piece)
            while len(self._burst) > 1 and sum(map(len, self._burst)) * 8 > _BURST_S * self._bitrate_bps:
                self._burst.popleft()
            for queue in list(self._listeners):
                if queue.full():
                    self._listeners.discard(queue)
                    _hang_up(queue)
                else:
                    queue.put_nowait(piece)


def _hang_up(queue: asyncio.Queue[bytes | None]) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


@asynccontextmanager
async def serve(stations: list[Station], port: int) -> AsyncIterator[None]:
    """Keep the stations reachable at http://127.0.0.1:`port`/NAME while the context is open."""
    application = web.Application()
    for station in stations:
        application.router.add_get(f"/{station.name}", station.listen, allow_head=False)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
