"""The daemon as it is run, and the world it depends on: every part can be broken and mended.

Knows processes, files, ports; `run.py` says when. The daemon's clock is libfaketime's, its outbox lies on a disk of
its own, and its way to the broker leads through a proxy.
"""

from __future__ import annotations

import email.utils
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.acceptance.box import LISTED, VOICE, Radio, free_port, monitor, programme
from tests.bench.exposition import Exposition

PREFIX = "chaos/radio"
ON_AIR = (
    "paniq-progression.opus",
    "jordan-trudgett-castle.opus",
    "sectoid-feelings.opus",
    "paniq-contemplation.opus",
    "jordan-trudgett-theme.opus",
    "kenneth-welch-artificial-intelligence.opus",
)
"""Recordings of the demo that are in the catalogue and on air."""
PIECE_S, TALK_S = 22.0, 3.0
"""How long each is on air, and the voice after it."""
FAKETIME = next((str(found) for found in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), "")
"""Debian's package faketime; empty where it is not installed."""
DISK_BYTES = 64 * 2**20


def stations(radio: Radio, folder: Path, count: int) -> dict[str, str]:
    """Put stations on air, each with the recordings in another order, over and over; return their addresses."""
    urls = {}
    for number in range(count):
        order = [ON_AIR[(number + step) % len(ON_AIR)] for step in range(4)]
        parts = [part for name in order for part in ((LISTED / name, 10.0 + number, PIECE_S), (VOICE, 5.0 * number, TALK_S))]
        urls[f"station-{number + 1}"] = radio.add(
            f"station-{number + 1}", programme(folder, f"station-{number + 1}", *parts), loop=True
        )
    return urls


def catalogue(folder: Path) -> Path:
    """Make the catalogue as a user does."""
    done = monitor("catalog", "add", "--catalog", folder, "--jobs", 1, *(LISTED / name for name in ON_AIR), timeout=600.0)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder


class Broker:
    """A Mosquitto that saves its memory every few seconds."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        folder.mkdir()
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location {folder}/\n"
            "autosave_interval 5\nmax_queued_messages 0\n"
        )

    def start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([self._program, "-c", self._folder / "mosquitto.conf"], stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, how: signal.Signals) -> None:
        """End it; what it has saved stays."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20.0)

    def forget(self) -> None:
        """Take away what it has saved."""
        (self._folder / "mosquitto.db").unlink(missing_ok=True)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10.0)


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mount a small disk of its own (tmpfs; asks for root).

    Raises:
        PermissionError: This user may not mount.
    """
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "chaos", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        raise PermissionError(f"a small disk cannot be mounted ({done.stderr.decode().strip()}); run this as root")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


class Disk:
    """A disk that can be filled to its last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self.full = False

    def fill(self) -> None:
        """Leave no byte free."""
        self.full = True
        with self._filler.open("ab", buffering=0) as file:
            for size in (2**20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def empty(self) -> None:
        self.full = False
        self._filler.unlink(missing_ok=True)


class Clock:
    """What the daemon takes for UTC; the monotonic clock is left alone, as the kernel leaves it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.history: list[tuple[float, float]] = []
        """(since when, how far off)."""
        self.set(0.0)

    def set(self, off_s: float) -> None:
        self.history.append((time.time(), off_s))
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{off_s:+.3f}\n")
        fresh.rename(self._file)

    @property
    def off_s(self) -> float:
        return self.history[-1][1]

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }


class Daemon:
    """`monitor run`, life after life."""

    def __init__(
        self,
        folder: Path,
        *,
        catalogue: Path,
        outbox: Path,
        broker_port: int,
        clock: Clock,
        streams: dict[str, str],
        update_every_s: float,
    ) -> None:
        self.log, self._config = folder / "daemon.log", folder / "config.toml"
        self.http_port = free_port()
        self._clock = clock
        self._streams = streams
        self._rest = (
            f'[catalog]\npath = "{catalogue}"\n[encoder]\ndevice = "cpu"\nthreads = 1\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\nprefix = "{PREFIX}"\nkeepalive_s = 5\nack_timeout_s = 3.0\n'
            f'[outbox]\npath = "{outbox}"\n[ledger]\npath = "{outbox.parent}/ledger.db"\n[http]\nport = {self.http_port}\n'
            f'[matcher]\nupdate_every_s = {update_every_s}\n[log]\nformat = "json"\n'
        )
        self.configure(streams)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, streams: dict[str, str]) -> None:
        """Write the configuration, in one go."""
        tables = "".join(f'[[stream]]\nname = "{name}"\nurl = "{url}"\n' for name, url in streams.items())
        fresh = self._config.with_suffix(".new")
        fresh.write_text(tables + self._rest)
        fresh.rename(self._config)

    def start(self) -> None:
        """Start it; it leads a session of its own."""
        command = [sys.executable, "-m", "monitor", "run", "-c", str(self._config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self._clock.environment()},
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def ended(self) -> int | None:
        """Exit code; negative when a signal ended it, None while it runs."""
        return self.process.poll() if self.process is not None else None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def family(self) -> list[int]:
        """Processes of this life but itself."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
                number = int(stat.parent.name)
                if self.process is not None and int(fields[3]) == self.process.pid != number and fields[0] != "Z":
                    found.append(number)
        return found

    def metrics(self) -> Exposition | None:
        """Its numbers; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=5) as answer:
                return Exposition(answer.read().decode())
        except OSError:
            return None

    def clock_off_s(self) -> float | None:
        """How far off its clock is, as its own pages are dated; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/livez", timeout=5) as answer:
                dated = answer.headers["Date"]
        except OSError:
            return None
        return email.utils.parsedate_to_datetime(dated).timestamp() - time.time()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is None:
            return
        if self.running:
            self.process.kill()
        for number in self.family():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait(10.0)
        for left in (f"/dev/shm/faketime_shm_{self.process.pid}", f"/dev/shm/sem.faketime_sem_{self.process.pid}"):
            Path(left).unlink(missing_ok=True)
