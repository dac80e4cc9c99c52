"""What changes while the daemon runs: recordings are added, streams come and go; what is on air does not notice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.acceptance.box import LISTED, VOICE, Daemon, Listener, Radio, kinds, monitor, programme, until

TAKES_EFFECT_S = 10.0


def test_a_recording_added_while_it_is_on_air_is_told(
    tmp_path: Path, radio: Radio, listener: Listener, daemon: Daemon, catalogue: Path
) -> None:
    known, new = LISTED / "paniq-progression.opus", LISTED / "sectoid-feelings.opus"
    old_url = radio.add("old", programme(tmp_path, "old", (known, 0.0, 95.0)))
    new_url = radio.add("new", programme(tmp_path, "new", (new, 0.0, 95.0)))
    daemon.configure({"old": old_url, "new": new_url})
    daemon.start()
    until(lambda: listener.events("old", "started"), 12.0, "told of the recording that is known")
    assert listener.events("new") == [], "it is in no catalogue yet"

    done = monitor("catalog", "add", "--catalog", catalogue, "--jobs", 1, new)
    assert done.returncode == 0, done.stderr
    added_s = time.monotonic()
    until(lambda: listener.events("new", "started"), TAKES_EFFECT_S, "told of the recording that was added")
    assert Path(listener.events("new")[0]["reference"]["path"]).name == new.name
    assert listener.events("new")[0]["catalog_generation"] > listener.events("old")[0]["catalog_generation"]
    assert daemon.metric("monitor_catalog_references") == 3

    before = len(listener.events("old"))
    until(lambda: len(listener.events("old")) > before, 8.0, "told that the other goes on")
    assert len({event["id"] for event in listener.events("old")}) == 1, "the other play is still the same one"
    assert kinds(listener.events("old")) == ["started"]

    # A catalogue that can no longer be read is complained of, once; what is in memory stays in service.
    catalogue.rename(catalogue.with_name("elsewhere"))
    until(lambda: "new catalogue refused" in daemon.said, 6.0, "a complaint about the catalogue")
    before = len(listener.events("new"))
    until(lambda: len(listener.events("new")) > before, 8.0, "told that detection goes on")
    assert daemon.said.count("new catalogue refused") == 1
    status, text = daemon.page("/readyz")
    assert (status, "newer one refused" in text) == (200, True)
    assert time.monotonic() - added_s < 60.0
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    assert "Traceback" not in daemon.said


def test_streams_come_and_go_and_the_others_do_not_notice(tmp_path: Path, radio: Radio, listener: Listener, daemon: Daemon) -> None:
    clip, other = LISTED / "paniq-progression.opus", LISTED / "jordan-trudgett-castle.opus"
    stays = radio.add("stays", programme(tmp_path, "stays", (clip, 0.0, 95.0)))
    goes = radio.add("goes", programme(tmp_path, "goes", (other, 0.0, 75.0)))
    comes = radio.add("comes", programme(tmp_path, "comes", (VOICE, 0.0, 3.0), (other, 30.0, 45.0)))
    daemon.configure({"stays": stays, "goes": goes})
    daemon.start()
    until(lambda: listener.events("stays", "started") and listener.events("goes", "started"), 12.0, "told of both")
    ffmpeg = daemon.ffmpeg_of(stays)

    daemon.configure({"stays": stays, "comes": comes})
    daemon.signal(signal.SIGHUP)
    until(lambda: listener.events("goes", "ended"), 5.0, "told that the play on the removed stream is over")
    until(lambda: listener.events("comes", "started"), 15.0, "told of the recording on the added stream")
    assert listener.last("goes/now") == listener.last("goes/status") == b"", "its retained topics are cleared"
    assert not [command for command in daemon.family().values() if goes in command]
    assert daemon.metric('monitor_stream_state{state="online",station="comes"}') == 1
    assert "goes" not in daemon.page("/readyz")[1]

    # A configuration that cannot be used changes nothing.
    rest = daemon.config.read_text()
    daemon.config.write_text(rest + "nonsense = 1\n")
    daemon.signal(signal.SIGHUP)
    until(lambda: "configuration not taken up" in daemon.said, 5.0, "a complaint about the configuration")
    daemon.configure({"stays": stays, "comes": comes, "strange": "gopher://127.0.0.1/x"})
    daemon.signal(signal.SIGHUP)
    until(lambda: "gopher:// is not listened to" in daemon.said, 5.0, "a complaint about the address")

    before = len(listener.events("stays"))
    until(lambda: len(listener.events("stays")) > before, 8.0, "told that the untouched one goes on")
    assert daemon.ffmpeg_of(stays) == ffmpeg
    assert len({event["id"] for event in listener.events("stays")}) == 1
    assert kinds(listener.events("stays")) == ["started"]
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said

    # Removed while the daemon was down: nobody else would ever clear what is retained of it.
    assert listener.last("comes/status")["state"] == "offline"
    daemon.configure({"stays": stays})
    daemon.start()
    until(lambda: listener.last("comes/status") == listener.last("comes/now") == b"", 5.0, "cleared, the topics of the removed one")
    assert listener.last("stays/status")["state"] in ("connecting", "online")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    assert "Traceback" not in daemon.said
