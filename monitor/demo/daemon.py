"""The monitor itself, started as a user would start it: a catalogue, a config.toml to read afterwards, a child process.

Knows the command line and the configuration file. Imports nothing of what it starts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.demo.plan import LISTED
from monitor.errors import Transient

STOP_LIMIT_S: Final = 20.0
"""A daemon that takes longer to stop than this after SIGTERM is killed, and the demo fails."""
PREFIX: Final = "monitor"


class DaemonFailed(Transient):
    """The monitor did not run as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Free ports on the loopback."""

    stations: int
    mqtt: int
    http: int


def free_ports() -> Ports:
    """Ask the system for ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    stations, mqtt, http = (int(item.getsockname()[1]) for item in sockets)
    for item in sockets:
        item.close()
    return Ports(stations=stations, mqtt=mqtt, http=http)


def write_config(folder: Path, stations: Sequence[str], ports: Ports) -> Path:
    """Write config.toml into the work folder; everything left out has its default."""
    folder = folder.resolve()
    streams = "\n".join(f'[[stream]]\nname = "{name}"\nurl = "http://127.0.0.1:{ports.stations}/{name}"\n' for name in stations)
    path = folder / "config.toml"
    path.write_text(
        f"""# Written by `monitor demo`: what the daemon of the demo ran with.
# A configuration of your own looks like this; config.toml in the repository explains every key.

{streams}
[catalog]
path = "{folder}/catalog"      # made with: monitor catalog add --catalog {folder}/catalog FOLDER

[mqtt]
host = "127.0.0.1"             # the broker that the demo brought along
port = {ports.mqtt}
version = "3.1.1"              # what that broker speaks; most speak 5
prefix = "{PREFIX}"            # detections: {PREFIX}/STATION/events

[outbox]
path = "{folder}/outbox.db"    # detections stay here until the broker has them

[ledger]
path = "{folder}/ledger.db"    # what was heard when: monitor airtime STATION -c {folder}/config.toml

[http]
port = {ports.http}            # http://127.0.0.1:{ports.http}/metrics, /livez, /readyz
""",
        encoding="utf-8",
    )
    return path


def build_catalog(folder: Path) -> None:
    """Add the demo's recordings to a catalogue in the work folder, in sight of the user.

    Raises:
        DaemonFailed: The command failed; it has said why.
    """
    command = [sys.executable, "-m", "monitor", "catalog", "add", "--catalog", str(folder / "catalog"), str(LISTED)]
    if status := subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        raise DaemonFailed(f"`{' '.join(command[1:])}` ended with status {status}")


class Daemon:
    """The child process and its log file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def died(self) -> None:
        """Return never, unless the daemon ends by itself.

        Raises:
            DaemonFailed: It ended.
        """
        status = await self._process.wait()
        raise DaemonFailed(f"the daemon ended by itself with status {status}; the end of {self._log}:\n{self._tail()}")

    async def stop(self) -> None:
        """Ask it to stop as an init system would.

        Raises:
            DaemonFailed: It did not stop in time, or not cleanly.
        """
        if self._process.returncode is None:
            # Not send_signal(): it polls first, and so takes the status asyncio waits for when the daemon has just died.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
        try:
            status = await asyncio.wait_for(self._process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            raise DaemonFailed(f"the daemon still ran {STOP_LIMIT_S:.0f} s after SIGTERM; see {self._log}") from None
        if status != 0:
            raise DaemonFailed(f"the daemon stopped with status {status}; the end of {self._log}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@asynccontextmanager
async def daemon(folder: Path, config: Path) -> AsyncIterator[Daemon]:
    """Run `python -m monitor run` with its output in daemon.log; whatever happens, it is gone when the context is left."""
    log = folder / "daemon.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "monitor", "run", "-c", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Daemon(process, log)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
