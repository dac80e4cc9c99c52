"""The faults, one function each: put a station on air, break it, mend it, and say what the capture made of it.

Each is handed the world it plays in, and returns its row. A case waits for what must happen, within limits, and fails where it
does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from monitor.settings import StreamSettings
from tests.faults.listener import Listener
from tests.faults.origins import Datagrams, Hls, Mount
from tests.faults.programme import SECONDS
from tests.faults.proxy import Fault, TcpProxy, UdpRelay
from tests.faults.servers import Liquidsoap, Rtmp, Rtsp, Srt
from tests.integration.radio import Icecast, free_port

TIMEOUT_S = 5.0
"""no_data_timeout_s of every station here."""
WARM_S = 6.0
AFTER_S = 7.0
"""Long enough for the second after the fault to be heard whole, with what servers hold back."""


@dataclass(slots=True, kw_only=True)
class Row:
    """What a fault cost."""

    case: str
    source: str
    detect_s: float | None = None
    """From the first moment without sound at the source until the daemon told so; None: it never had to."""
    recover_s: float | None = None
    """From the source being well again until its sound was there."""
    unavailable_s: float = 0.0
    """How long the source was truly away."""
    missed_s: int = 0
    """Whole seconds of the programme never heard."""
    gap_s: float = 0.0
    """What the daemon's media time leaves out."""
    ledger_s: float | None = None
    """What the ledger holds for not received."""
    restarts: int = 0
    reason: str = ""
    note: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it for a file."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class World:
    """What the cases share: the programme's files, an Icecast that stays up, a folder."""

    files: dict[str, Path]
    icecast: Icecast
    folder: Path
    short: bool = False


Case = Callable[[World], Awaitable[Row]]


def stream(name: str, url: str, **more: object) -> StreamSettings:
    """Describe a station as config.toml would."""
    return StreamSettings(name=name, url=url, **{"no_data_timeout_s": TIMEOUT_S, "silence_after_s": 5.0} | more)  # type: ignore[arg-type]


async def observe(
    world: World,
    row: Row,
    listener: Listener,
    begin: Callable[[], Awaitable[None]],
    mend: Callable[[], Awaitable[None]],
    *,
    for_s: float,
) -> Row:
    """Hear a station, break it for a time, hear it again, and fill the row."""
    await listener.heard()
    warm_s, after_s = (WARM_S, AFTER_S) if not world.short else (3.0, 4.0)
    await asyncio.sleep(warm_s)
    broken_s = time.time()
    await begin()
    await asyncio.sleep(max(for_s - (time.time() - broken_s), 0.0))
    await mend()
    mended_s = time.time()
    lost = listener.lost_at(broken_s)
    back_s = await listener.heard(max(mended_s, lost.at_s if lost else 0.0))
    await asyncio.sleep(after_s / 2)
    until_s = time.time()
    await asyncio.sleep(after_s / 2)
    await listener.reached(until_s, after_s=mended_s)
    lost = listener.lost_at(broken_s)
    row.detect_s = lost.at_s - broken_s if lost else None
    if lost and lost.at_s > mended_s:
        back_s = await listener.heard(lost.at_s)
    row.recover_s = back_s - mended_s if lost else None
    row.unavailable_s = mended_s - broken_s
    window = (broken_s - warm_s / 2, until_s)
    row.missed_s, row.ledger_s = listener.missed_s(*window), listener.not_received_s(*window)
    row.gap_s = listener.gaps_s(broken_s)
    row.restarts = listener.restarts(broken_s)
    row.reason = lost.fact.reason if lost else ""  # type: ignore[attr-defined]
    return row


async def icecast_restarts(world: World) -> Row:
    folder = world.folder / "restarting"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    server = Icecast(folder)
    mount = Mount(server, "live", world.files)
    await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(mount.start)
        async with Listener(stream("restart", server.url("live")), world.folder) as listener:

            async def begin() -> None:
                await asyncio.to_thread(server.stop)
                mount.stop()

            async def mend() -> None:
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(mount.start)

            return await observe(world, Row(case="server restarts", source="Icecast MP3"), listener, begin, mend, for_s=4.0)
    finally:
        mount.stop()
        server.stop()


def _through_a_proxy(case: str, fault: Fault, for_s: float, kind: str = "mp3") -> Case:
    async def run(world: World) -> Row:
        mount = Mount(world.icecast, case.replace(" ", "-"), world.files, kind)
        await asyncio.to_thread(mount.start)
        try:
            async with (
                TcpProxy(world.icecast.port) as proxy,
                Listener(stream(mount.path[1:], f"http://127.0.0.1:{proxy.port}{mount.path}"), world.folder) as listener,
            ):

                async def begin() -> None:
                    proxy.set(fault)

                async def mend() -> None:
                    proxy.set(Fault.NONE)

                return await observe(world, Row(case=case, source=f"Icecast {kind.upper()}"), listener, begin, mend, for_s=for_s)
        finally:
            mount.stop()

    return run


def _answered(case: str, answer: Callable[[int], bytes], for_s: float = 8.0) -> Case:
    async def run(world: World) -> Row:
        mount = Mount(world.icecast, case.replace(" ", "-"), world.files)
        await asyncio.to_thread(mount.start)
        try:
            async with (
                TcpProxy(world.icecast.port) as proxy,
                Listener(stream(mount.path[1:], f"http://127.0.0.1:{proxy.port}{mount.path}"), world.folder) as listener,
            ):

                async def say(writer: asyncio.StreamWriter) -> None:
                    writer.write(answer(proxy.port))

                async def begin() -> None:
                    proxy.answer = say
                    proxy.set(Fault.RESET)
                    proxy.set(Fault.NONE)

                async def mend() -> None:
                    proxy.answer = None

                return await observe(world, Row(case=case, source="Icecast MP3"), listener, begin, mend, for_s=for_s)
        finally:
            mount.stop()

    return run


def _not_found(_: int) -> bytes:
    return b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def _in_circles(port: int) -> bytes:
    return (
        f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )


async def format_change_on_reconnect(world: World) -> Row:
    mount = Mount(world.icecast, "changing", world.files)
    await asyncio.to_thread(mount.start)
    try:
        async with Listener(stream("changing", world.icecast.url("changing")), world.folder) as listener:

            async def begin() -> None:
                mount.stop()

            async def mend() -> None:
                await asyncio.to_thread(mount.start, "ogg")

            row = Row(case="format change: MP3 44.1 kHz stereo to Opus 48 kHz mono", source="Icecast")
            return await observe(world, row, listener, begin, mend, for_s=2.0)
    finally:
        mount.stop()


async def format_change_in_the_middle(world: World) -> Row:
    port = free_port()
    datagrams = Datagrams(world.files["ts"], port)
    datagrams.start()
    try:
        async with Listener(stream("ts-change", f"udp://127.0.0.1:{port}"), world.folder) as listener:

            async def begin() -> None:
                datagrams.stop()
                datagrams.start("-c:a", "mp2", "-ar", "32000", "-ac", "1", "-b:a", "64k")

            async def mend() -> None:
                return

            row = Row(case="format change: MP2 48 kHz stereo to 32 kHz mono", source="MPEG-TS over UDP")
            return await observe(world, row, listener, begin, mend, for_s=1.0)
    finally:
        datagrams.stop()


async def endless_silence(world: World) -> Row:
    port = free_port()
    silent = ["-re", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
    datagrams = Datagrams(world.files["ts"], port)
    datagrams.start()
    try:
        async with Listener(stream("silence", f"udp://127.0.0.1:{port}"), world.folder) as listener:
            quiet = Datagrams(world.files["ts"], port)

            async def begin() -> None:
                datagrams.stop()
                quiet.send(*silent, "-c:a", "mp2", "-b:a", "128k")

            async def mend() -> None:
                quiet.stop()
                datagrams.start()

            row = Row(case="silence without end", source="MPEG-TS over UDP", note="detected as silent (5 s asked for), no restart")
            try:
                return await observe(world, row, listener, begin, mend, for_s=9.0)
            finally:
                quiet.stop()
    finally:
        datagrams.stop()


def _datagrams(case: str, fault: Fault, for_s: float) -> Case:
    async def run(world: World) -> Row:
        port = free_port()
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(UdpRelay(port))
            datagrams = Datagrams(world.files["ts"], relay.port)
            datagrams.start()
            stack.callback(datagrams.stop)
            listener = await stack.enter_async_context(
                Listener(stream(case.replace(" ", "-"), f"udp://127.0.0.1:{port}"), world.folder)
            )

            async def begin() -> None:
                relay.set(fault)

            async def mend() -> None:
                relay.set(Fault.NONE)

            row = await observe(world, Row(case=case, source="MPEG-TS over UDP"), listener, begin, mend, for_s=for_s)
            if lost_s := listener.lost_s():
                row.note = f"{lost_s:.1f} s of it known by the sender's time stamps, in one connection"
            return row

    return run


def _hls(case: str, fault: str, for_s: float) -> Case:
    async def run(world: World) -> Row:
        folder = world.folder / case.replace(" ", "-")
        folder.mkdir()
        async with Hls(folder, world.files["ts"]).running() as origin:
            settings = stream(folder.name, f"http://127.0.0.1:{origin.port}/live.m3u8", no_data_timeout_s=8.0)
            async with Listener(settings, world.folder) as listener:

                async def refuse(_: web.Request) -> web.StreamResponse:
                    raise web.HTTPNotFound

                async def hang(_: web.Request) -> web.StreamResponse:
                    await asyncio.sleep(60)
                    raise web.HTTPGatewayTimeout

                async def begin() -> None:
                    if fault == "discontinuity":
                        await asyncio.to_thread(origin.stop)
                        origin.start("-c:a", "aac", "-ar", "44100", "-ac", "1", "-b:a", "96k")
                    elif fault == "writer":
                        await asyncio.to_thread(origin.stop)
                    else:
                        origin.answer = {"404": refuse, "hang": hang}[fault]

                async def mend() -> None:
                    origin.answer = None
                    if fault == "writer":
                        origin.start()

                return await observe(world, Row(case=case, source="HLS, 2 s segments"), listener, begin, mend, for_s=for_s)

    return run


async def burst_on_connecting(world: World) -> Row:
    mount = Mount(world.icecast, "burst", world.files)
    await asyncio.to_thread(mount.start)
    await asyncio.sleep(8.0)
    opened_s = time.time()
    try:
        async with Listener(stream("burst", world.icecast.url("burst")), world.folder) as listener:
            first_s = await listener.heard()
            await asyncio.sleep(WARM_S)
            burst = sum(
                chunk.samples.size for chunk, at_s in zip(listener.chunks, listener.at_s, strict=True) if at_s < first_s + 0.5
            )
            error_s, uncertainty_s = listener.clock_error_s()
            came = f"{burst / 8000:.1f} s in the first 0.5 s"
            return Row(
                case="burst on connecting",
                source="Icecast MP3",
                recover_s=first_s - opened_s,
                gap_s=listener.gaps_s(),
                restarts=listener.restarts(),
                note=f"{came}; UTC off by {error_s:+.2f} ± {uncertainty_s:.2f} s after {WARM_S:.0f} s",
            )
    finally:
        mount.stop()


async def fast_sender(world: World) -> Row:
    """A sender whose clock is 200 ppm fast: it sends its programme in 0.9998 of its time."""
    sound = world.files["mp3"].read_bytes()
    rate = len(sound) / SECONDS
    for_s = 20.0 if world.short else 120.0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")
            began_s, sent = time.monotonic(), 0
            while True:
                due = int((time.monotonic() - began_s) * 1.0002 * rate)
                writer.write(bytes(sound[place % len(sound)] for place in range(sent, due)))
                sent = due
                await writer.drain()
                await asyncio.sleep(0.05)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        async with Listener(stream("fast", f"http://127.0.0.1:{port}/"), world.folder) as listener:
            await listener.heard()
            await asyncio.sleep(WARM_S)
            before_s, _ = listener.clock_error_s()
            await asyncio.sleep(for_s)
            after_s, uncertainty_s = listener.clock_error_s()
            return Row(
                case="a sender 200 ppm fast",
                source="HTTP MP3",
                gap_s=listener.gaps_s(),
                restarts=listener.restarts(),
                note=f"UTC moved against arrival by {after_s - before_s:+.3f} s in {for_s:.0f} s, stated ± {uncertainty_s:.2f} s",
            )
    finally:
        server.close()


def _rtmp(case: str, fault: str, for_s: float) -> Case:
    def make(world: World) -> Rtmp:
        folder = world.folder / f"rtmp-{fault}"
        folder.mkdir()
        return Rtmp(folder, world.files["mp3"])

    return _served(Row(case=case, source="RTMP, nginx"), f"rtmp-{fault}", make, fault, for_s)


def _rtsp(case: str, fault: str, for_s: float) -> Case:
    def make(world: World) -> Rtsp:
        return Rtsp(world.files["mp3"])

    return _served(Row(case=case, source="RTSP, GStreamer"), f"rtsp-{fault}", make, fault, for_s)


def _served(row: Row, name: str, make: Callable[[World], Rtmp | Rtsp], fault: str, for_s: float) -> Case:
    """Return a case with a server of one kind behind a proxy that can stall it."""

    async def run(world: World) -> Row:
        server = make(world)
        await asyncio.to_thread(server.start)
        try:
            async with (
                TcpProxy(server.port) as proxy,
                Listener(stream(name, server.url(proxy.port)), world.folder) as listener,
            ):

                async def begin() -> None:
                    if fault == "freeze":
                        proxy.set(Fault.FREEZE)
                    elif fault == "publisher" and isinstance(server, Rtmp):
                        server.leave()
                    else:
                        server.stop()
                        if fault == "path":
                            await asyncio.to_thread(server.start, "another")

                async def mend() -> None:
                    if fault == "freeze":
                        proxy.set(Fault.NONE)
                    elif fault == "publisher" and isinstance(server, Rtmp):
                        server.publish()
                    else:
                        server.stop()
                        await asyncio.to_thread(server.start)

                return await observe(world, row, listener, begin, mend, for_s=for_s)
        finally:
            server.stop()

    return run


def _srt(case: str, fault: str, for_s: float) -> Case:
    async def run(world: World) -> Row:
        server = Srt(world.files["ts"])
        server.start()
        try:
            async with Listener(stream(f"srt-{fault}", server.url()), world.folder) as listener:

                async def begin() -> None:
                    if fault == "freeze":
                        server.freeze()
                    else:
                        server.stop()

                async def mend() -> None:
                    server.stop()
                    server.start()

                return await observe(world, Row(case=case, source="SRT, ffmpeg"), listener, begin, mend, for_s=for_s)
        finally:
            server.stop()

    return run


def _liquidsoap(case: str, fault: str, for_s: float) -> Case:
    async def run(world: World) -> Row:
        studio = Liquidsoap(world.folder, world.icecast, world.files["mp3"], f"liquidsoap-{fault}")
        try:
            await asyncio.to_thread(studio.start)
            async with Listener(stream(studio.name, world.icecast.url(studio.name)), world.folder) as listener:

                async def begin() -> None:
                    await asyncio.to_thread(studio.stop if fault == "restart" else lambda: studio.choose("Two"))

                async def mend() -> None:
                    if fault == "restart":
                        await asyncio.to_thread(studio.start)

                row = await observe(world, Row(case=case, source="Liquidsoap, Icecast MP3"), listener, begin, mend, for_s=for_s)
                row.note = "said: " + ", ".join(listener.titles())
                return row
        finally:
            studio.stop()

    return run


def _spoilt(case: str, kind: str) -> Case:
    return _through_a_proxy(case, Fault.SPOIL, 10.0, kind)


SHORT: tuple[Case, ...] = (
    icecast_restarts,
    _through_a_proxy("half-open connection", Fault.FORGET, 1.0),
    _answered("404 for a while", _not_found, 4.0),
    _datagrams("sender away", Fault.AWAY, 3.0),
    _hls("playlist 404", "404", 4.0),
    _rtmp("RTMP server restarts", "restart", 3.0),
    _rtsp("RTSP path is not there", "path", 3.0),
    _liquidsoap("Liquidsoap switches sources", "switch", 1.0),
)
ALL: tuple[tuple[Case, ...], ...] = (
    (
        icecast_restarts,
        _through_a_proxy("stall of 3 s", Fault.FREEZE, 3.0),
        _through_a_proxy("stall of 15 s", Fault.FREEZE, 15.0),
        _through_a_proxy("half-open connection", Fault.FORGET, 1.0),
        _through_a_proxy("connections reset", Fault.RESET, 6.0),
    ),
    (
        _answered("404 for a while", _not_found),
        _answered("redirect loop", _in_circles),
        format_change_on_reconnect,
        format_change_in_the_middle,
        endless_silence,
    ),
    (
        _spoilt("spoilt bytes MP3", "mp3"),
        _spoilt("spoilt bytes Opus", "ogg"),
        _datagrams("sender away", Fault.AWAY, 3.0),
        _datagrams("sender away for long", Fault.AWAY, 12.0),
        _datagrams("2 % of datagrams lost", Fault.LOSE, 10.0),
        _datagrams("spoilt datagrams", Fault.SPOIL, 10.0),
    ),
    (
        _hls("playlist and segments 404", "404", 10.0),
        _hls("origin hangs", "hang", 15.0),
        _hls("no new segments", "writer", 15.0),
        _hls("discontinuity with another codec", "discontinuity", 1.0),
        burst_on_connecting,
        fast_sender,
    ),
    (
        _rtmp("server restarts", "restart", 4.0),
        _rtmp("stall of 12 s", "freeze", 12.0),
        _rtmp("no such application for a while", "path", 8.0),
        _rtmp("publisher leaves and returns", "publisher", 8.0),
        _rtsp("server restarts", "restart", 4.0),
        _rtsp("stall of 12 s", "freeze", 12.0),
        _rtsp("no such path for a while", "path", 8.0),
        _srt("sender restarts", "restart", 4.0),
        _srt("sender stands still for 12 s", "freeze", 12.0),
        _liquidsoap("studio restarts", "restart", 4.0),
        _liquidsoap("studio switches sources", "switch", 1.0),
    ),
)
