"""The network between the daemon and the broker: a TCP proxy that can be cut, held and made deaf.

Knows bytes and connections. Knows nothing of MQTT. What is held is not read, so that it waits in the kernel as it would on the
way; nothing is ever left out of the middle of a connection, which no real network does either.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

_TICK_S = 0.05
_RESET = struct.pack("ii", 1, 0)
"""Linger on, for no time: closing resets the connection."""


class Line(Enum):
    """How the network is."""

    WELL = "well"
    CUT = "cut"
    HELD = "held"
    DEAF = "deaf"


@dataclass(slots=True)
class _Connection:
    daemon: socket.socket
    broker: socket.socket
    touched: bool = False
    """It was held, in one direction at least."""
    open: bool = field(default=True)

    def reset(self) -> None:
        self.open = False
        for end in (self.daemon, self.broker):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the pump, which closes it
            with suppress(OSError):
                end.close()


class Proxy:
    """Listens on `port`, for as long as it is open."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._line = Line.WELL
        self.shut = False
        """The broker is not there: connections are refused, whatever the network does."""
        self.harmed = 0
        """Connections that were reset, refused or held."""
        self._connections: list[_Connection] = []
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def become(self, line: Line) -> None:
        """Change the network."""
        with self._guard:
            self._line = line
            if line is Line.CUT:
                self._reset(self._connections)

    def heal(self, *, late: bool) -> None:
        """Make it well; connections that were held go on where they were (`late`) or are never heard of again."""
        with self._guard:
            if not late:
                self._reset([one for one in self._connections if one.touched])
            self._line = Line.WELL

    def close(self) -> None:
        self._over.set()
        self._server.close()
        with self._guard:
            self._reset(self._connections)
        self._thread.join(5.0)

    def _reset(self, chosen: list[_Connection]) -> None:
        for one in chosen:
            self.harmed += one.open
            one.reset()
        self._connections = [one for one in self._connections if one.open]

    def _accept(self) -> None:
        self._server.settimeout(_TICK_S)
        while not self._over.is_set():
            try:
                daemon, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            daemon.settimeout(None)
            with self._guard:
                if self._line is Line.CUT or self.shut:
                    self.harmed += self._line is Line.CUT
                    daemon.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    daemon.close()
                    continue
                try:
                    broker = socket.create_connection(("127.0.0.1", self._broker_port), 5.0)
                except OSError:
                    daemon.close()
                    continue
                broker.settimeout(None)
                one = _Connection(daemon, broker)
                self._connections.append(one)
            for source, sink, answers in ((daemon, broker, False), (broker, daemon, True)):
                threading.Thread(target=self._pump, args=(one, source, sink, answers), daemon=True).start()

    def _pump(self, one: _Connection, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while one.open:
                if self._holds(one, answers):
                    self._over.wait(_TICK_S)
                elif select.select([source], [], [], _TICK_S)[0]:
                    data = source.recv(65536)
                    while one.open and self._holds(one, answers):  # what came between the look and the reading waits like the rest
                        self._over.wait(_TICK_S)
                    if not data:
                        break
                    sink.sendall(data)
        except (OSError, ValueError):  # ValueError: closed by another thread
            pass
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if answers:  # the broker has ended it: nothing more can come
            with self._guard:
                one.reset()
                self._connections = [other for other in self._connections if other.open]

    def _holds(self, one: _Connection, answers: bool) -> bool:
        held = self._line is Line.HELD or (self._line is Line.DEAF and answers)
        if held and not one.touched:
            one.touched = True
            self.harmed += 1
        return held
