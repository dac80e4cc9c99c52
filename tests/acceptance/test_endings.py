"""How the daemon ends: when there is nothing more to hear, when told twice, when a part breaks that a person must mend."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from tests.acceptance.box import LISTED, START_LIMIT_S, Broker, Daemon, Listener, Radio, kinds, programme, until

KNOWN, OTHER = LISTED / "paniq-progression.opus", LISTED / "jordan-trudgett-castle.opus"


def test_when_all_files_are_over_it_drains_and_ends(tmp_path: Path, listener: Listener, daemon: Daemon) -> None:
    # Longer than what the batcher holds: a file read as fast as it goes must wait for the encoder, not be shed.
    programme(tmp_path, "long", (KNOWN, 0.0, 95.0), (OTHER, 0.0, 75.0), (KNOWN, 5.0, 90.0), (OTHER, 5.0, 70.0))
    daemon.configure({"file": str(tmp_path / "long.mp3")}, "realtime = false\n")
    daemon.launch()
    assert daemon.wait(START_LIMIT_S) == 0, daemon.said
    until(lambda: (listener.last("status") or {}).get("state") == "stopped", 5.0, "told that the monitor has stopped")
    told = [(Path(play[0]["reference"]["path"]).name, kinds(play)) for play in listener.plays("file")]
    assert told == [(name, ["started", "ended"]) for name in (KNOWN.name, OTHER.name)] * 2
    assert "windows dropped" not in daemon.said
    assert daemon.said.splitlines()[-1].count('"stopped"') == 1


def test_a_second_sigterm_does_not_wait(tmp_path: Path, radio: Radio, catalogue: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # a broker that takes connections and says nothing: the drain waits
        url = radio.add("one", programme(tmp_path, "one", (KNOWN, 0.0, 60.0)))
        daemon = Daemon(tmp_path, catalogue=catalogue, broker_port=mute.getsockname()[1], streams={"one": url})
        try:
            daemon.start()
            until(lambda: daemon.metric('monitor_detections_total{kind="started",station="one"}') == 1, 12.0, "detected")
            daemon.signal(signal.SIGTERM)
            time.sleep(1.0)
            assert daemon.process.poll() is None, "the first asks it to drain"
            daemon.signal(signal.SIGTERM)
            assert daemon.wait(2.0) == 1
            assert "second signal" in daemon.said
            until(lambda: daemon.family() == {}, 5.0, "ended, its ffmpeg")
            kept = sqlite3.connect(tmp_path / "outbox.db")
            assert kept.execute("SELECT count(*) FROM message WHERE delivered_utc_s IS NULL").fetchone()[0] >= 1
            kept.close()
        finally:
            daemon.kill()


def test_an_outbox_that_breaks_takes_it_down_with_one_line(tmp_path: Path, radio: Radio, daemon: Daemon) -> None:
    url = radio.add("one", programme(tmp_path, "one", (KNOWN, 0.0, 60.0)))
    daemon.configure({"one": url})
    daemon.start()
    until(lambda: daemon.metric('monitor_detections_total{kind="started",station="one"}') == 1, 12.0, "detected")
    damage = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    damage.execute("PRAGMA writable_schema = ON")
    damage.execute("UPDATE sqlite_schema SET rootpage = 9999 WHERE name = 'message'")
    damage.execute("PRAGMA schema_version = 1000")
    damage.close()
    assert daemon.wait() == 78, daemon.said
    last = daemon.said.splitlines()[-1]
    assert last.startswith(f"monitor: outbox {tmp_path}/outbox.db: damaged or not an outbox"), daemon.said
    assert "Traceback" not in daemon.said
    assert daemon.family() == {}


def test_when_nothing_can_be_listened_to_a_person_must_act(
    tmp_path: Path, daemon: Daemon, broker: Broker, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no ffmpeg there
    daemon.configure({"one": "http://127.0.0.1:1/one"})
    daemon.launch()
    assert daemon.wait(START_LIMIT_S) == 78, daemon.said
    last = daemon.said.splitlines()[-1]
    assert last.startswith("monitor: no stream is left to monitor; stream one: "), daemon.said
    assert "install it" in last
    assert "Traceback" not in daemon.said
