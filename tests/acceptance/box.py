"""The daemon as a box, and the world around it: a radio, a broker, a listener. All real, all on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import paho.mqtt.client as paho
import pytest

T = TypeVar("T")
CLIPS = Path(__file__).parents[2] / "monitor/demo/clips"
LISTED, VOICE = CLIPS / "listed", CLIPS / "unlisted/allison-smith-voice.opus"
BITRATE_BPS = 128_000
START_LIMIT_S = 90.0
"""PyTorch alone takes its time to load on a machine that is busy."""


def until(look: Callable[[], T], within_s: float, what: str) -> T:
    """Look again and again until what is seen is true; return it."""
    give_up_s = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > give_up_s:
            pytest.fail(f"after {within_s:g} s: not {what}")
        time.sleep(0.05)
    return seen


def monitor(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the monitor to its end."""
    command = [sys.executable, "-m", "monitor", *map(str, arguments)]
    options = {"stdin": subprocess.DEVNULL, "timeout": START_LIMIT_S, **options}
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def programme(folder: Path, name: str, *parts: tuple[Path, float, float]) -> bytes:
    """Join parts of recordings, given as (file, from, length), into one MP3 of a constant bit rate."""
    inputs = [word for path, from_s, length_s in parts for word in ("-ss", f"{from_s}", "-t", f"{length_s}", "-i", f"{path}")]
    alike = "".join(f"[{n}:a]aresample=44100,aformat=sample_fmts=fltp:channel_layouts=stereo[{n}];" for n in range(len(parts)))
    joined = alike + "".join(f"[{n}]" for n in range(len(parts))) + f"concat=n={len(parts)}:v=0:a=1"
    out = folder / f"{name}.mp3"
    encode = ("-c:a", "libmp3lame", "-b:a", str(BITRATE_BPS), "-write_xing", "0", "-id3v2_version", "0")
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *inputs, "-filter_complex", joined, *encode, out], check=True)
    return out.read_bytes()


class Radio:
    """A web server with live MP3 streams: each goes on air with its first listener and is sent at the pace of the clock."""

    def __init__(self) -> None:
        self.on_air_utc_s: dict[str, float] = {}
        self._sound: dict[str, bytes] = {}
        self._loops: set[str] = set()
        radio = self

        class Listener(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):
                    radio._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def add(self, name: str, sound: bytes, *, loop: bool = False) -> str:
        """Make a stream, which ends or begins again where its sound is over; return its address."""
        self._sound[name] = sound
        if loop:
            self._loops.add(name)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def close(self) -> None:
        self._sound.clear()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, listener: BaseHTTPRequestHandler) -> None:
        name = listener.path.strip("/")
        sound = self._sound.get(name)
        if sound is None:
            listener.send_error(404)
            return
        listener.send_response(200)
        listener.send_header("Content-Type", "text/html" if sound.startswith(b"<") else "audio/mpeg")
        listener.end_headers()
        if sound.startswith(b"<"):
            listener.wfile.write(sound)
            return
        began = self.on_air_utc_s.setdefault(name, time.time())
        sent = due(began)
        while self._sound and (sent < len(sound) or name in self._loops):
            now = due(began) if name in self._loops else min(due(began), len(sound))
            while sent < now:
                at = sent % len(sound)
                piece = sound[at : at + now - sent]
                listener.wfile.write(piece)
                sent += len(piece)
            time.sleep(0.05)


def due(began_utc_s: float) -> int:
    """How many bytes of a stream are to be sent by now."""
    return int((time.time() - began_utc_s) * BITRATE_BPS / 8)


class Broker:
    """A Mosquitto that remembers, across restarts, what its listeners have not yet been told."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nuser root\n"
        )

    def start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._folder / "mosquitto.conf"], stdout=log, stderr=log)
        until(lambda: listens(self.port), 10.0, "a broker that listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10.0)
            self._process = None


@dataclass(frozen=True)
class Message:
    arrived_utc_s: float
    topic: str
    payload: bytes

    def read(self) -> Any:
        return json.loads(self.payload)


class Listener:
    """A subscriber whose session the broker keeps."""

    def __init__(self, port: int) -> None:
        self.messages: list[Message] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("monitor/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10.0)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.messages.append(Message(time.time(), message.topic, message.payload))

    def events(self, station: str, kind: str = "") -> list[dict[str, Any]]:
        """Events of a station, oldest first."""
        found = [one.read() for one in list(self.messages) if one.topic == f"monitor/{station}/events"]
        return [event for event in found if kind in ("", event["type"])]

    def plays(self, station: str) -> list[list[dict[str, Any]]]:
        """Events of a station, put together by play; what was sent twice stands once."""
        plays: dict[str, dict[int, dict[str, Any]]] = {}
        for event in self.events(station):
            plays.setdefault(event["id"], {})[event["sequence"]] = event
        return [list(play.values()) for play in plays.values()]

    def last(self, topic: str) -> Any:
        """Newest content of a topic; None when nothing came, `b""` when it was cleared."""
        found = [one for one in list(self.messages) if one.topic == f"monitor/{topic}"]
        return (found[-1].read() if found[-1].payload else b"") if found else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Daemon:
    """`monitor run` as a child process with a configuration of its own."""

    def __init__(self, folder: Path, *, catalogue: Path, broker_port: int, streams: dict[str, str], more: str = "") -> None:
        self.folder, self.config, self.log = folder, folder / "config.toml", folder / "daemon.log"
        self.http_port = free_port()
        self._rest = (
            f'[catalog]\npath = "{catalogue}"\n[encoder]\ndevice = "cpu"\nthreads = 1\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n[outbox]\npath = "{folder}/outbox.db"\n'
            f'[ledger]\npath = "{folder}/ledger.db"\n'
            f"[http]\nport = {self.http_port}\n[matcher]\nupdate_every_s = 5\n"
        )
        self.configure(streams, more)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, streams: dict[str, str], more: str = "") -> None:
        """Write the configuration."""
        tables = "".join(f'[[stream]]\nname = "{name}"\nurl = "{url}"\n{more}' for name, url in streams.items())
        self.config.write_text(tables + self._rest)

    def start(self) -> None:
        """Start it, and wait until it monitors."""
        before = self.said.count('"monitoring"')
        self.launch()
        until(
            lambda: self.said.count('"monitoring"') > before or self.process.poll() is not None,
            START_LIMIT_S,
            f"monitoring:\n{self.said}",
        )
        assert self.process.poll() is None, self.said

    def launch(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "monitor", "run", "-c", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = 20.0) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(within_s)

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def family(self) -> dict[int, str]:
        """Processes of its session but itself: their ids and command lines; they keep the session when it dies."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid and int(stat.parent.name) != self.process.pid and fields[0] != "Z":
                    found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        return found

    def ffmpeg_of(self, url: str) -> int:
        """Process id of the ffmpeg that listens to an address."""
        (number,) = [number for number, command in self.family().items() if url in command]
        return number

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, line: str) -> float:
        """Value of a series, by its name and labels as they are printed; 0 when it is not there."""
        lines = self.page("/metrics")[1].splitlines()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.rpartition(" ")[0] == line)

    def kill(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if self.process is None:
            return
        for number in (self.process.pid, *self.family()):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait(10.0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    """What the events say, without what only repeats it."""
    return [event["type"] for event in events if event["type"] != "updated"]
