"""Stations for tests: real servers on loopback that send real streams, well or badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK_MP3 = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children() -> list[str]:
    """Command names of this process's children, zombies included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, tail = stat.read_text().rpartition(")")
            if int(tail.split()[1]) == os.getpid():
                found.append(head.partition("(")[2])
    return found


def tone(path: Path, *options: str, hz: int = 440, seconds: float = 10.0) -> Path:
    """Record a sine."""
    source = f"sine={hz}:d={seconds}:r=44100"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, *options, str(path)], check=True, timeout=20)
    return path


@contextlib.asynccontextmanager
async def server(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """Answer every HTTP request with `serve`, which is given the connection behind the request's head; yield the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the listener left, or the server is being stopped
        finally:
            tasks.discard(task)

    listening = await asyncio.start_server(handle, "127.0.0.1", port)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def paced(writer: asyncio.StreamWriter, sound: bytes, bytes_per_s: int, *, head: bytes = OK_MP3) -> None:
    """Send a stream at its own pace, ten pieces a second."""
    writer.write(head)
    step = bytes_per_s // 10
    for start in range(0, len(sound), step):
        writer.write(sound[start : start + step])
        await writer.drain()
        await asyncio.sleep(0.1)


_ICECAST = """<icecast>
<limits><clients>60</clients><sources>20</sources><source-timeout>5</source-timeout><burst-size>65535</burst-size></limits>
<authentication><source-password>hackme</source-password><admin-user>admin</admin-user><admin-password>hackme</admin-password></authentication>
<hostname>localhost</hostname>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<paths><basedir>/usr/share/icecast2</basedir><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>2</loglevel></logging>
<security><chroot>0</chroot></security>
</icecast>
"""


class Icecast:
    """A real Icecast server on a free port, with ffmpeg as its source client."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._config = folder / "icecast.xml"
        self._config.write_text(_ICECAST.format(port=self.port, folder=folder))
        self._server: subprocess.Popen[bytes] | None = None
        self._sources: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        user = "nobody" if os.getuid() == 0 else None  # Icecast refuses to run as root
        command = ["icecast2", "-c", str(self._config)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(
            command, user=user, group="nogroup" if user else None, extra_groups=[] if user else None, **quiet
        )
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"icecast did not start: {(self._folder / 'error.log').read_text()}")

    def broadcast(self, mount: str, *options: str, hz: int = 440) -> subprocess.Popen[bytes]:
        """Put an endless tone on air, and wait until it is."""
        target = f"icecast://source:hackme@127.0.0.1:{self.port}/{mount}"
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-re",
            "-f",
            "lavfi",
            "-i",
            f"sine={hz}:r=44100",
            "-ac",
            "2",
            *options,
            target,
        ]
        source = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._sources.append(source)
        until_s = time.monotonic() + 10
        while not self.on_air(mount):
            if time.monotonic() > until_s:
                raise RuntimeError(f"{mount} did not go on air")
            time.sleep(0.05)
        return source

    def on_air(self, mount: str) -> bool:
        """Say whether a mount sends."""
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(f"GET /{mount} HTTP/1.0\r\n\r\n".encode())
            return b" 200 " in connection.recv(100).split(b"\r\n")[0]

    def url(self, mount: str) -> str:
        return f"http://127.0.0.1:{self.port}/{mount}"

    def stop(self) -> None:
        for process in [*self._sources, *([self._server] if self._server else [])]:
            process.kill()
            process.wait()
        self._sources.clear()
        self._server = None


@contextlib.contextmanager
def icecast() -> Iterator[Icecast]:
    """Run an Icecast server in a folder that its user may write."""
    folder = Path(tempfile.mkdtemp(prefix="icecast-"))
    folder.chmod(0o777)
    running = Icecast(folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)
