"""Words to systemd over its notification socket; without one, nothing happens.

Knows the protocol of sd_notify(3): datagrams of KEY=VALUE lines to the socket named by NOTIFY_SOCKET. Knows nothing of what is
watched.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

_log = structlog.get_logger()


class Notifier:
    """Tells systemd about the daemon's life."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find the socket; `@` begins an abstract name."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdigit() else 0.0
        """systemd kills us when it hears nothing for so long; 0: it does not watch."""

    def ready(self) -> None:
        """All parts work; also the end of a reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in one line how it goes (`systemctl status`)."""
        self._send(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """The configuration is being read again; to be followed by `ready`."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The way down has begun."""
        self._send("STOPPING=1")

    async def watch(self, stuck: Callable[[float], Sequence[str]]) -> None:
        """Feed the watchdog for ever, three times in its time, while `stuck` (told the monotonic clock) names nobody."""
        if not self.watchdog_s:
            return
        complained = False
        while True:
            late = stuck(time.monotonic())
            if late and not complained:
                _log.error("pipeline stuck, systemd will restart it", stages=list(late))
            complained = bool(late)
            if not late:
                self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 3)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto(message.encode(), self._address)
        except OSError as error:
            _log.warning("systemd does not listen", reason=str(error))
