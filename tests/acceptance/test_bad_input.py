"""Bad input ends in one clear line and does no harm."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.box import LISTED, START_LIMIT_S, Daemon, Listener, Radio, free_port, monitor, programme, until

KNOWN = LISTED / "paniq-progression.opus"
MEANINGS = {"list.mp3": "holds no sound", "nothing.mp3": "the file is empty", "silent.mp4": "it has no audio track"}


@pytest.fixture
def bad(tmp_path: Path, need: Callable[[str], Path]) -> list[Path]:
    """A text file named .mp3, a file of no length, a video without sound."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "list.mp3").write_text("a shopping list\n" * 100)
    (folder / "nothing.mp3").touch()
    source = ("-f", "lavfi", "-i", "testsrc=duration=2:size=64x64")
    subprocess.run([need("ffmpeg"), "-v", "error", *source, folder / "silent.mp4"], check=True)
    return sorted(folder.iterdir())


def test_files_that_are_no_recordings(bad: list[Path], catalogue: Path) -> None:
    added = monitor("catalog", "add", "--catalog", catalogue, "--jobs", 1, *bad)
    assert added.returncode == 1
    identified = monitor("identify", "--catalog", catalogue, "--format", "json", *bad, KNOWN)
    assert identified.returncode == 1
    for told in (added.stderr, identified.stderr):
        lines = told.splitlines()
        assert len(lines) == len(bad), told
        for path in bad:
            (line,) = [line for line in lines if path.name in line]
            assert MEANINGS[path.name] in line
    (found,) = [json.loads(line) for line in identified.stdout.splitlines()]
    assert Path(found["reference"]["path"]) == KNOWN, "what comes after bad files is still identified"
    checked = monitor("catalog", "verify", "--catalog", catalogue)
    assert (checked.returncode, "2 recordings" in checked.stdout) == (0, True), checked.stdout


def test_streams_that_are_none_beside_one_that_is(tmp_path: Path, radio: Radio, listener: Listener, daemon: Daemon) -> None:
    good = radio.add("good", programme(tmp_path, "good", (KNOWN, 0.0, 60.0)))
    page = radio.add("page", b"<!DOCTYPE html><html><body>Welcome</body></html>\n" * 200)
    daemon.configure({"good": good, "page": page, "gone": radio.url("gone")})
    daemon.start()
    until(lambda: listener.events("good", "started"), 15.0, "told of the recording on the good stream")
    for station, meaning in (("gone", "the server answers 404 Not Found"), ("page", "web page")):
        until(lambda station=station: (listener.last(f"{station}/status") or {}).get("reason"), 15.0, "told why")
        assert listener.last(f"{station}/status")["state"] == "reconnecting"
        assert meaning in listener.last(f"{station}/status")["reason"]
        warnings = [line for line in daemon.said.splitlines() if f'"stream": "{station}"' in line and '"warning"' in line]
        assert len(warnings) == 1, "a station that stays away is one line, not one for each attempt"
    assert daemon.page("/readyz")[0] == 200
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    assert "Traceback" not in daemon.said


def test_a_configuration_with_mistakes_names_all_of_them_at_once(daemon: Daemon) -> None:
    daemon.config.write_text(
        '[[stream]]\nname = "a"\nurl = "http://127.0.0.1:1/a"\n[[stream]]\nname = "a"\nurl = "http://127.0.0.1:1/b"\n'
        '[mqtt]\nprot = 1883\nkeepalive_s = "long"\n'
    )
    for command in ("run", "check"):
        done = monitor(command, "-c", daemon.config)
        assert done.returncode == 78
        lines = (done.stdout + done.stderr).splitlines()
        assert len(lines) == 3, lines
        for sign in (
            "[mqtt] prot: no such key; did you mean port?",
            "[mqtt] keepalive_s: must be",
            "a stream before it has the same",
        ):
            assert any(sign in line for line in lines), lines


def test_a_catalogue_that_is_not_there_or_of_other_weights(daemon: Daemon, catalogue: Path) -> None:
    database = sqlite3.connect(catalogue / "catalog.db")
    (text,) = database.execute("SELECT value FROM meta WHERE key = 'recipe'").fetchone()
    other = json.dumps({**json.loads(text), "weights_sha256": "0" * 64})
    with database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'recipe'", (other,))
    database.close()
    for sign in ("no installed encoder made the fingerprints", "no catalogue in"):
        for arguments in (("run", "-c", daemon.config), ("identify", "-c", daemon.config, KNOWN)):
            done = monitor(*arguments)
            assert done.returncode == 78, done.stdout
            (line,) = done.stderr.splitlines()
            assert sign in line
            assert "monitor catalog" in line, "it says what to do"
        shutil.rmtree(catalogue, ignore_errors=True)


def test_a_catalogue_folder_that_cannot_be_written(catalogue: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in catalogue.iterdir()}
    for path in (*catalogue.iterdir(), catalogue):
        path.chmod(0o555)
    # Root may write anywhere, unless that very right is taken from it.
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    for action in (("add", "--jobs", "1", LISTED / "sectoid-feelings.opus"), ("remove", "1"), ("rebuild",)):
        command = [*plain, sys.executable, "-m", "monitor", "catalog", *action, "--catalog", catalogue]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_LIMIT_S)
        assert done.returncode == 78, done.stdout
        (line,) = done.stderr.splitlines()
        assert "not writable" in line
    command = [*plain, sys.executable, "-m", "monitor", "identify", "--catalog", catalogue, "--format", "json", KNOWN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_LIMIT_S)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), "reading needs no right to write"
    assert {path.name: path.read_bytes() for path in catalogue.iterdir()} == before
    catalogue.chmod(0o755)


def test_check_of_a_set_up_that_works_and_of_one_that_does_not(tmp_path: Path, radio: Radio, daemon: Daemon) -> None:
    good = radio.add("good", programme(tmp_path, "good", (KNOWN, 0.0, 60.0)))
    daemon.configure({"good": good})
    done = monitor("check", "-c", daemon.config)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}, done.stdout
    for sign in ("config: ", "ffmpeg: ", "encoder: ", "catalog: ", "outbox: ", "stream good: mp3, 44100 Hz", "broker: "):
        assert any(sign in line for line in lines), done.stdout
    assert not (tmp_path / "outbox.db").exists(), "checking leaves nothing behind"

    daemon.configure({"good": good, "gone": radio.url("gone")})
    text = daemon.config.read_text().replace("[mqtt]\n", f"[mqtt]\nport = {free_port()}\n", 1)
    head, _, tail = text.partition("[mqtt]\n")
    port, host, _, rest = tail.split("\n", 3)
    daemon.config.write_text(f"{head}[mqtt]\n{port}\n{host}\n{rest}".replace("/catalog", "/none"))
    done = monitor("check", "-c", daemon.config)
    assert done.returncode == 78
    failed = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("FAIL")}
    assert failed == {"catalog", "stream", "broker"}, done.stdout
    assert done.stderr == ""
