"""A network that fails: a TCP proxy that freezes, forgets, resets and spoils, and a UDP relay that drops and spoils."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import cast


class Fault(StrEnum):
    """What the way does to what goes through it."""

    NONE = "none"
    FREEZE = "freeze"
    """Connections stand, new ones are accepted, nothing comes."""
    FORGET = "forget"
    """What is connected now hears nothing any more and is not told (half-open); new connections work."""
    RESET = "reset"
    """Connections are reset, new ones too."""
    SPOIL = "spoil"
    """One byte in a thousand is another."""
    LOSE = "lose"
    """Two datagrams of a hundred are lost."""
    AWAY = "away"
    """Nothing goes through (datagrams)."""


def spoil(data: bytes, chance: random.Random, share: float = 0.001) -> bytes:
    """Change some bytes."""
    changed = bytearray(data)
    for _ in range(max(round(len(data) * share), int(chance.random() < len(data) * share))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


class TcpProxy:
    """Forwards connections to a port on this machine. `answer`, while set, answers requests itself."""

    def __init__(self, target: int) -> None:
        """Forward to a port."""
        self.target, self.port = target, 0
        self.fault = Fault.NONE
        self.answer: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], bool] = {}
        """Connections, and whether they are forgotten."""
        self._chance = random.Random(1)

    async def __aenter__(self) -> TcpProxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, fault: Fault) -> None:
        """Begin a fault, or end it."""
        if fault is Fault.FORGET:
            self._tasks = dict.fromkeys(self._tasks, True)
            return
        self.fault = fault
        if fault is Fault.RESET:
            for task in self._tasks:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = False
        try:
            if self.fault is Fault.RESET:
                return
            if self.answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                await self.answer(writer)
                await writer.drain()
                writer.close()
                return
            await self._thaw()
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(reader, back, task))
                    both.create_task(self._pump(there, writer, task))
            finally:
                back.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.transport.abort() if self.fault is Fault.RESET else writer.close()
            self._tasks.pop(task, None)

    async def _thaw(self) -> None:
        while self.fault is Fault.FREEZE:  # noqa: ASYNC110 - set by a plain function
            await asyncio.sleep(0.05)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        while data := await reader.read(4096):
            await self._thaw()
            if self._tasks.get(connection):
                await asyncio.Event().wait()
            writer.write(spoil(data, self._chance) if self.fault is Fault.SPOIL else data)
            await writer.drain()
        writer.close()


class UdpRelay(asyncio.DatagramProtocol):
    """Forwards datagrams to a port on this machine."""

    def __init__(self, target: int) -> None:
        """Forward to a port."""
        self.target, self.port = target, 0
        self.fault = Fault.NONE
        self._chance = random.Random(1)
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> UdpRelay:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def set(self, fault: Fault) -> None:
        """Begin a fault, or end it."""
        self.fault = fault

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, _: object) -> None:
        """Forward, lose or spoil."""
        assert self._transport is not None
        if self.fault is Fault.AWAY or (self.fault is Fault.LOSE and self._chance.random() < 0.02):
            return
        if self.fault is Fault.SPOIL:
            data = spoil(data, self._chance)
        self._transport.sendto(data, ("127.0.0.1", self.target))

    def error_received(self, _: Exception) -> None:
        """Nobody listens: that is for the listener to notice."""
