"""`monitor check` against real neighbours: a web server with good and bad streams, brokers there and not there."""

from __future__ import annotations

import argparse
import http.server
import io
import os
import shutil
import socket
import subprocess
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.cli import check

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def a_recording() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 2))
    return out.getvalue()


PAGES = {"/live": ("audio/wav", a_recording()), "/page": ("text/html", b"<html><body>Welcome</body></html>")}


class Station(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = PAGES.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def station() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Station) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://user:hunter2@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run(folder: Path, text: str, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]]]:
    base = f'[catalog]\npath = "{folder}/catalog"\n'
    base += f'[outbox]\npath = "{folder}/outbox.db"\n[ledger]\npath = "{folder}/ledger.db"\n[encoder]\ndevice = "cpu"\n'
    (folder / "config.toml").write_text(text + base)
    parser = argparse.ArgumentParser()
    check.register(parser.add_subparsers())
    arguments = parser.parse_args(["check", "-c", str(folder / "config.toml"), *options])
    code = arguments.run(arguments)
    out = capsys.readouterr().out
    assert "hunter2" not in out
    lines = {}
    for line in out.splitlines():
        word, _, rest = line.partition(" ")
        name, _, detail = rest.strip().partition(": ")
        lines[name] = (word, detail)
    return code, lines


def test_streams_that_answer_and_those_that_do_not(
    tmp_path: Path, station: str, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {
        "good": f"{station}/live",
        "html": f"{station}/page",
        "gone": f"{station}/none",
        "down": f"http://127.0.0.1:{free_port}/x",
    }
    streams = "".join(f'[[stream]]\nname = "{name}"\nurl = "{url}"\n' for name, url in names.items())
    code, lines = run(tmp_path, f'{streams}[mqtt]\nhost = "127.0.0.1"\nport = {free_port}\n', capsys=capsys)
    assert code == 78
    assert lines["stream good"] == ("ok", "pcm_s16le, 8000 Hz, 1 channels")
    assert {name: lines[f"stream {name}"][0] for name in ("html", "gone", "down")} == {
        "html": "FAIL",
        "gone": "FAIL",
        "down": "FAIL",
    }
    assert "404" in lines["stream gone"][1]
    assert lines["broker"][0] == "FAIL"
    assert "refused" in lines["broker"][1]
    assert lines["catalog"][0] == "FAIL"
    assert lines["encoder"][0] == "ok"
    assert lines["outbox"] == ("ok", f"{tmp_path}/outbox.db, to be made")
    assert lines["ledger"] == ("ok", f"{tmp_path}/ledger.db, to be made")
    assert not list(tmp_path.glob("*.db*")), "checking leaves nothing behind"


def test_offline_asks_nobody(tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    stream = f'[[stream]]\nname = "down"\nurl = "http://127.0.0.1:{free_port}/x"\n'
    _, lines = run(tmp_path, stream, "--offline", capsys=capsys)
    assert (lines["streams"][0], lines["broker"][0]) == ("WARN", "WARN")
    assert "stream down" not in lines


def test_every_complaint_of_the_configuration_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text("[mqtt]\nprot = 1\nkeepalive_s = 1\n")
    arguments = argparse.Namespace(config=tmp_path / "config.toml", catalog=None, offline=True, show=False)
    assert check.run(arguments) == 78
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["FAIL", "FAIL"]
    assert out[0].endswith("[mqtt] prot: no such key; did you mean port?")


def test_a_foreign_outbox_and_a_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outbox.db").write_text("something else")
    (tmp_path / "ledger.db").write_text("something else")
    _, lines = run(tmp_path, "", "--offline", capsys=capsys)
    assert lines["outbox"] == ("FAIL", f"{tmp_path}/outbox.db: is no outbox; change [outbox] path or move it away")
    assert lines["ledger"] == ("FAIL", f"{tmp_path}/ledger.db: is no ledger; change [ledger] path or move it away")


def test_a_missing_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_ENCODER_NAME", "none-such")
    code, lines = run(tmp_path, "", "--offline", capsys=capsys)
    assert code == 78
    assert lines["encoder"][0] == "FAIL"


def test_which_encoder_a_damaged_catalogue_needs_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = run(tmp_path, "", "--offline", capsys=capsys)
    assert "as for a new catalogue" not in lines["encoder"][1]
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog/catalog.db").write_text("something else")
    _, lines = run(tmp_path, "", "--offline", capsys=capsys)
    assert lines["catalog"][0] == "FAIL"
    assert lines["encoder"][0] == "ok"
    assert lines["encoder"][1].startswith("compact, as for a new catalogue, recipe ")


def test_a_machine_without_ffmpeg(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, lines = run(tmp_path, "", "--offline", capsys=capsys)
    assert code == 78
    assert lines["ffmpeg"] == ("FAIL", "ffmpeg, ffprobe not found on the PATH; install it (apt install ffmpeg)")


def test_the_configuration_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = run(tmp_path, '[mqtt]\nusername = "u"\npassword = "hunter2"\n', "--offline", "--show", capsys=capsys)
    assert any(word == "password" for word, _ in lines.values())


@pytest.mark.skipif(not MOSQUITTO and not os.environ.get("CI"), reason="mosquitto is not installed")
def test_a_broker_that_is_there_is_not_disturbed(tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mosquitto.conf").write_text(f"listener {free_port} 127.0.0.1\nallow_anonymous true\n")
    broker = subprocess.Popen([MOSQUITTO or "", "-v", "-c", tmp_path / "mosquitto.conf"], stderr=subprocess.PIPE, text=True)
    try:
        until_s = time.monotonic() + 10.0
        while time.monotonic() < until_s:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", free_port)) == 0:
                    break
            time.sleep(0.02)
        _, lines = run(tmp_path, f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port}\n', capsys=capsys)
    finally:
        broker.terminate()
        _, said = broker.communicate(timeout=10.0)
    assert lines["broker"] == ("ok", f"127.0.0.1:{free_port} answers")
    assert "as monitor-check-" in said
    assert "as monitor " not in said, "it must not throw out a daemon of the configured id"
