"""Servers of other kinds of stream: RTMP (nginx's module), RTSP (GStreamer's), SRT (ffmpeg's own); Liquidsoap before an Icecast."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.faults.origins import end, sender
from tests.faults.programme import SECONDS, played
from tests.integration.radio import Icecast, free_port

RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
SYSTEM_PYTHON = "/usr/bin/python3"
"""Its packages hold GStreamer's bindings; no wheel does."""
_NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; load_module {module};
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application {application} {{ live on; }} }} }}
"""
_LIQUIDSOAP = """settings.init.allow_root.set(true)
settings.log.stdout.set(false)
settings.server.telnet.set(true)
settings.server.telnet.port.set({telnet})
def programme() = insert_metadata(input.external.rawaudio(buffer=0.5, max=5.0, restart=true, '{play}')) end
studios = [("One", programme()), ("Two", programme())]
chosen = ref("One")
air = switch(track_sensitive=false, list.map(fun (studio) -> ({{!chosen == fst(studio)}}, snd(studio)), studios))
def choose(name) =
  chosen := name
  studio = list.assoc(name, studios)
  studio.insert_metadata([("artist", "Böb"), ("title", name)])
  "chosen"
end
server.register("choose", choose)
output.icecast(
  %mp3(bitrate=96), host="127.0.0.1", port={port}, password="hackme", mount="{mount}", encoding="UTF-8", fallible=true, air
)
"""


def answers(port: int, *, limit_s: float = 15.0) -> None:
    """Wait until something listens at a port of this machine."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {limit_s:.0f} s")


class Rtmp:
    """nginx with its RTMP module, and the programme published there."""

    def __init__(self, folder: Path, file: Path) -> None:
        self.port = free_port()
        self._folder, self._file = folder, file
        self._server: subprocess.Popen[bytes] | None = None
        self._source: subprocess.Popen[bytes] | None = None

    def url(self, port: int = 0, path: str = "live/one") -> str:
        """Return where it is heard; another port is a proxy's."""
        return f"rtmp://127.0.0.1:{port or self.port}/{path}"

    def start(self, application: str = "live") -> None:
        """Serve, and go on air where the application is the one that is listened to."""
        config = self._folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self._folder, module=RTMP_MODULE, port=self.port, application=application))
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(["nginx", "-c", str(config), "-p", str(self._folder)], **quiet)
        answers(self.port)
        if application == "live":
            self.publish()

    def publish(self) -> None:
        """Go on air."""
        self._source = sender(*played(self._file), "-c", "copy", "-f", "flv", self.url())

    def leave(self) -> None:
        """Go off air; the server stays."""
        if self._source is not None:
            end(self._source)
            self._source = None

    def stop(self) -> None:
        """Go off air, server and all."""
        self.leave()
        if self._server is not None:
            end(self._server)
            self._server = None


class Rtsp:
    """GStreamer's RTSP server with the programme."""

    def __init__(self, file: Path) -> None:
        self.port, self._feed = free_port(), free_port()
        self._file = file
        self._server: subprocess.Popen[bytes] | None = None
        self._source: subprocess.Popen[bytes] | None = None

    def url(self, port: int = 0, path: str = "live") -> str:
        """Return where it is heard; another port is a proxy's."""
        return f"rtsp://127.0.0.1:{port or self.port}/{path}"

    def start(self, path: str = "live") -> None:
        """Serve the programme under a path."""
        script = str(Path(__file__).with_name("rtsp_server.py"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [SYSTEM_PYTHON, script, str(self.port), f"/{path}", str(self._feed)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(command, env=environment, **quiet)
        answers(self.port)
        encode = ("-c:a", "mp2", "-b:a", "128k", "-f", "mp2")
        self._source = sender(*played(self._file), *encode, f"udp://127.0.0.1:{self._feed}?pkt_size=384")

    def stop(self) -> None:
        """Serve no more."""
        for process in (self._source, self._server):
            if process is not None:
                end(process)
        self._source = self._server = None


class Srt:
    """The programme from an ffmpeg that waits for its listener (SRT's listener mode), again and again."""

    def __init__(self, file: Path) -> None:
        self.port = free_port()
        self._file = file
        self._over = threading.Event()
        self._source: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None

    def url(self) -> str:
        """Return where it is heard."""
        return f"srt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Wait for a listener, then send; and for the next one when it has gone: ffmpeg itself serves one and ends."""
        self._over.clear()
        self._source = self._send()
        self._keeper = threading.Thread(target=self._serve)
        self._keeper.start()

    def _send(self) -> subprocess.Popen[bytes]:
        return sender(*played(self._file), "-c", "copy", "-f", "mpegts", f"srt://127.0.0.1:{self.port}?mode=listener")

    def _serve(self) -> None:
        while not self._over.wait(0.2):
            if self._source is None or self._source.poll() is not None:
                self._source = self._send()

    def freeze(self) -> None:
        """Stand still, connection and all."""
        assert self._source is not None
        self._source.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Send no more."""
        if self._keeper is not None and self._source is not None:
            self._over.set()
            self._keeper.join()
            end(self._source)
            self._keeper = self._source = None


class Liquidsoap:
    """A studio before an Icecast: two sources with the programme, one of them on air, and what it says is on."""

    def __init__(self, folder: Path, server: Icecast, file: Path, name: str) -> None:
        self.name = name
        self._server, self._telnet = server, free_port()
        self._script = folder / f"{name}.liq"
        now = f"$(( $(date +%s) % {SECONDS} ))"
        play = f'ffmpeg -v error -nostdin -re -stream_loop -1 -ss {now} -i "{file}.ts" -f s16le -ac 2 -ar 44100 -'
        self._script.write_text(_LIQUIDSOAP.format(telnet=self._telnet, play=play, port=server.port, mount=name), encoding="utf-8")
        self._studio: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Go on air with the first source."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._studio = subprocess.Popen(["liquidsoap", str(self._script)], start_new_session=True, **quiet)
        answers(self._telnet, limit_s=60.0)
        until_s = time.monotonic() + 60.0
        while not self._server.on_air(self.name):
            if time.monotonic() > until_s:
                raise RuntimeError(f"{self.name} did not go on air")
            time.sleep(0.1)
        self.choose("One")

    def choose(self, studio: str) -> None:
        """Switch to a source, and say so."""
        with socket.create_connection(("127.0.0.1", self._telnet), 5) as telnet:
            telnet.sendall(f"choose {studio}\nquit\n".encode())
            while telnet.recv(1000):
                pass

    def stop(self) -> None:
        """Kill it, and what it started."""
        if self._studio is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._studio.pid, signal.SIGKILL)
            self._studio.wait()
            self._studio = None
