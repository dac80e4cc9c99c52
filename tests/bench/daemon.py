"""The real daemon as a child process, with its broker and the station it listens to, for the live part."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.exposition import Exposition
from tests.conftest import find

START_S = 60.0


class Surroundings:
    """The processes of a live run. Knows their ids, the daemon's pages and its configuration."""

    def __init__(self, folder: Path, catalog: Path, sound: Path) -> None:
        self._folder, self._catalog = folder, catalog
        self._processes: list[subprocess.Popen[bytes]] = []
        self._mqtt_port, self._http_port = _free_port(), _free_port()
        self._log = (folder / "daemon.log").open("wb")
        try:
            self._open(sound)
        except BaseException:
            self.close()
            raise

    def _open(self, sound: Path) -> None:
        self.broker = self._start_broker()
        server = self._start([sys.executable, "-m", "tests.bench.station", str(sound)], stdout=subprocess.PIPE)
        assert server.stdout is not None
        self._station_port = int(server.stdout.readline())
        self.station = server.pid
        self._configure(0)
        command = [sys.executable, "-m", "monitor", "run", "-c", str(self._folder / "config.toml")]
        self._daemon = self._start(command, stdout=self._log)
        self.daemon = self._daemon.pid
        self._await_pages()

    def streams(self, count: int) -> None:
        """Let the daemon listen to so many streams, as an operator would: by its configuration and SIGHUP."""
        self._configure(count)
        self._daemon.send_signal(signal.SIGHUP)

    def metrics(self) -> Exposition:
        """Read the daemon's metrics."""
        return Exposition.read(self._http_port)

    def close(self) -> None:
        """Stop everything."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._log.close()

    def _start(self, command: list[str], *, stdout: object = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT)  # type: ignore[call-overload]
        self._processes.append(process)
        return process

    def _start_broker(self) -> int | None:
        mosquitto = find("mosquitto")
        if mosquitto is None:
            return None
        config = self._folder / "mosquitto.conf"
        config.write_text(f"listener {self._mqtt_port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
        return self._start([str(mosquitto), "-c", str(config)]).pid

    def _configure(self, count: int) -> None:
        streams = "".join(
            f'[[stream]]\nname = "s{at:04}"\nurl = "http://127.0.0.1:{self._station_port}/{at}"\n' for at in range(count)
        )
        text = f"""{streams}
[catalog]
path = "{self._catalog}"
[encoder]
device = "cpu"
[mqtt]
host = "127.0.0.1"
port = {self._mqtt_port}
[outbox]
path = "{self._folder}/outbox.db"
[ledger]
path = "{self._folder}/ledger.db"
[http]
port = {self._http_port}
"""
        draft = self._folder / "config.new"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._folder / "config.toml")

    def _await_pages(self) -> None:
        until_s = time.monotonic() + START_S
        while True:
            try:
                if self.metrics().value("monitor_catalog_references"):
                    return
            except OSError:
                pass
            if time.monotonic() > until_s or self._daemon.poll() is not None:
                raise RuntimeError(f"the daemon did not start:\n{(self._folder / 'daemon.log').read_text(encoding='utf-8')}")
            time.sleep(0.2)


@contextmanager
def surroundings(folder: Path, catalog: Path, sound: Path) -> Iterator[Surroundings]:
    """Keep everything running while the context is open."""
    folder.mkdir()
    running = Surroundings(folder, catalog, sound)
    try:
        yield running
    finally:
        running.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
