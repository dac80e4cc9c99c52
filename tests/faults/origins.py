"""Where the programme comes from: Icecast mounts, an HLS origin, MPEG-TS over UDP. Real ffmpeg encodes and sends."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.faults.programme import played
from tests.integration.radio import Icecast

_TYPES = {"mp3": ("audio/mpeg", "mp3"), "aac": ("audio/aac", "adts"), "ogg": ("application/ogg", "ogg")}
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def sender(*arguments: str) -> subprocess.Popen[bytes]:
    """Start an ffmpeg that sends."""
    command = ["ffmpeg", "-v", "error", "-nostdin", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and wait for it."""
    process.kill()
    process.wait()


class Mount:
    """The programme on a mount of an Icecast."""

    def __init__(self, server: Icecast, name: str, files: dict[str, Path], kind: str = "mp3") -> None:
        self._server, self._name, self._files, self._kind = server, name, files, kind
        self._source: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> str:
        return f"/{self._name}"

    def start(self, kind: str | None = None) -> None:
        """Go on air, and wait until it is so; perhaps in another format than before."""
        self._kind = kind or self._kind
        content, container = _TYPES[self._kind]
        target = f"icecast://source:hackme@127.0.0.1:{self._server.port}{self.path}"
        way = ("-c", "copy", "-content_type", content, "-f", container, target)
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            self._source = sender(*played(self._files[self._kind]), *way)
            while self._source.poll() is None and time.monotonic() < until_s:
                if self._server.on_air(self._name):
                    return
                time.sleep(0.05)
            time.sleep(0.2)
        raise RuntimeError(f"{self._name} did not go on air")

    def stop(self) -> None:
        """Go off air."""
        if self._source is not None:
            end(self._source)
            self._source = None


class Hls:
    """A live HLS origin: ffmpeg writes the window, aiohttp serves it. `answer`, while set, answers for it."""

    def __init__(self, folder: Path, file: Path, *, segment_s: int = 2, window: int = 5) -> None:
        self._folder, self._file, self._segment_s, self._window = folder, file, segment_s, window
        self.port = 0
        self.answer: Answer | None = None
        self._writer: subprocess.Popen[bytes] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Hls]:
        """Serve, with the window full."""
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            self.start()
            while len(list(self._folder.glob("*.ts"))) < 3:  # noqa: ASYNC110 - another process writes them
                await asyncio.sleep(0.1)
            yield self
        finally:
            self.stop()
            await runner.cleanup()

    def start(self, *encode: str) -> None:
        """Write on; after a stop the playlist says that there is a discontinuity."""
        hls = ["-f", "hls", "-hls_time", str(self._segment_s), "-hls_list_size", str(self._window)]
        flags = "program_date_time+delete_segments+append_list+omit_endlist+discont_start"
        names = ["-hls_segment_filename", str(self._folder / "%06d.ts"), str(self._folder / "live.m3u8")]
        self._writer = sender(*played(self._file), *(encode or ("-c", "copy")), *hls, "-hls_flags", flags, *names)

    def stop(self) -> None:
        """Write no more; what was written is still served."""
        if self._writer is not None:
            end(self._writer)
            self._writer = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.answer is not None:
            return await self.answer(request)
        path = self._folder / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        kind = "application/vnd.apple.mpegurl" if path.suffix == ".m3u8" else "video/mp2t"
        return web.Response(body=path.read_bytes(), content_type=kind)


class Datagrams:
    """The programme as MPEG-TS in datagrams to a port of this machine."""

    def __init__(self, file: Path, port: int, *encode: str) -> None:
        self._file, self._port, self._encode = file, port, encode or ("-c", "copy")
        self._sender: subprocess.Popen[bytes] | None = None

    def start(self, *encode: str) -> None:
        """Send the programme."""
        self.send(*played(self._file), *(encode or self._encode))

    def send(self, *arguments: str) -> None:
        """Send what these arguments of ffmpeg make."""
        self._sender = sender(*arguments, "-f", "mpegts", f"udp://127.0.0.1:{self._port}?pkt_size=1316")

    def stop(self) -> None:
        """Send no more."""
        if self._sender is not None:
            end(self._sender)
            self._sender = None
