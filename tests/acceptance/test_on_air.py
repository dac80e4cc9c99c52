"""A stream goes in, a trustworthy detection comes out, and the daemon leaves in good order."""

from __future__ import annotations

import json
import signal
from datetime import datetime
from pathlib import Path

from tests.acceptance.box import LISTED, VOICE, Daemon, Listener, Radio, programme, until

VOICE_S = 5.0


def test_from_the_stream_to_the_message_to_sigterm(tmp_path: Path, radio: Radio, listener: Listener, daemon: Daemon) -> None:
    clip = LISTED / "paniq-progression.opus"
    url = radio.add("one", programme(tmp_path, "one", (VOICE, 0.0, VOICE_S), (clip, 20.0, 25.0), (VOICE, 10.0, 10.0)))
    daemon.configure({"one": url})
    daemon.start()
    until(lambda: listener.events("one", "started"), VOICE_S + 12.0, "told that the recording is on air")

    (started,) = listener.events("one", "started")
    assert Path(started["reference"]["path"]).name == clip.name
    assert (started["reference"]["title"], started["reference"]["artist"]) == ("Progression", "paniq")
    assert started["station"] == "one"
    assert started["end"] is None
    true_start_utc_s = radio.on_air_utc_s["one"] + VOICE_S
    assert abs(datetime.fromisoformat(started["start"]).timestamp() - true_start_utc_s) < 1.5
    assert abs(started["reference_start_s"] - 20.0) < 1.5
    (message,) = [one for one in listener.messages if one.topic == "monitor/one/events" and one.read()["type"] == "started"]
    assert message.arrived_utc_s - true_start_utc_s < 8.0

    until(lambda: listener.last("one/now"), 2.0, "told what is on air now")
    assert [play["id"] for play in listener.last("one/now")] == [started["id"]]
    assert listener.last("one/status")["state"] == "online"
    assert listener.last("status")["state"] == "online"
    status, text = daemon.page("/readyz")
    assert status == 200, text
    assert {check["name"] for check in json.loads(text)["checks"] if check["ok"]} >= {"encoder", "catalog", "stream one", "broker"}
    assert daemon.page("/livez")[0] == 200
    assert daemon.metric('monitor_detections_total{kind="started",station="one"}') == 1
    assert daemon.metric('monitor_stream_sound_seconds_total{station="one"}') > VOICE_S
    assert daemon.metric('monitor_windows_dropped_total{station="one",where="batcher"}') == 0

    assert daemon.family(), "ffmpeg is a child of the daemon"
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    assert daemon.family() == {}
    until(lambda: listener.last("status")["state"] == "stopped", 5.0, "told that the monitor has stopped")
    (ended,) = listener.events("one", "ended")
    assert ended["id"] == started["id"]
    assert ended["end"] >= started["heard_until"]
    assert listener.last("one/now") == []
    assert (listener.last("one/status")["state"], listener.last("one/status")["reason"]) == ("offline", "monitor stopped")
    assert [event["sequence"] for event in listener.events("one")] == list(range(1, len(listener.events("one")) + 1))
    assert "Traceback" not in daemon.said
