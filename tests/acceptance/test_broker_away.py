"""No broker when the daemon starts, the daemon killed in the middle of a play: nothing is lost, and the order holds."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.acceptance.box import LISTED, VOICE, Broker, Daemon, Listener, Radio, kinds, programme, until

PLAY_S = 9.0


def test_everything_is_delivered_in_order_when_the_broker_comes(
    tmp_path: Path, radio: Radio, broker: Broker, listener: Listener, daemon: Daemon
) -> None:
    first, second = LISTED / "paniq-progression.opus", LISTED / "jordan-trudgett-castle.opus"
    pause = (VOICE, 0.0, 3.0)
    sound = programme(tmp_path, "one", (first, 20.0, PLAY_S), pause, (second, 20.0, 60.0))
    daemon.configure({"one": radio.add("one", sound)})
    broker.stop()
    daemon.start()
    # started and ended of the first play, started of the second
    waiting = "monitor_outbox_pending_messages"
    until(lambda: daemon.metric('monitor_detections_total{kind="started",station="one"}') >= 2, 40.0, "both plays found")
    assert daemon.metric("monitor_broker_connected") == 0
    assert daemon.page("/readyz")[0] == 200, "monitoring goes on without a broker"
    assert daemon.metric(waiting) >= 2
    listening = daemon.family()
    assert listening
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    until(lambda: daemon.family() == {}, 5.0, "ended, the ffmpeg of a daemon that is no more")

    daemon.start()
    until(
        lambda: daemon.metric('monitor_detections_total{kind="started",station="one"}') >= 1, 15.0, "found again after the restart"
    )
    assert daemon.metric(waiting) >= 5
    assert listener.events("one") == []
    broker.start()
    until(lambda: daemon.metric(waiting) == 0, 30.0, "empty, the outbox")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    until(lambda: (listener.last("status") or {}).get("state") == "stopped", 10.0, "told that the monitor has stopped")

    events = listener.events("one")
    sequence = list(dict.fromkeys(event["sequence"] for event in events))
    assert sequence == list(range(1, len(sequence) + 1)), "each once or again, in order, none missing"
    plays = listener.plays("one")
    told = [(Path(play[0]["reference"]["path"]).name, kinds(play)) for play in plays]
    assert told == [(name.name, ["started", "ended"]) for name in (first, second, second)], told
    broken_off = plays[1]
    assert broken_off[-1]["end"] == broken_off[-2]["heard_until"], "a killed run's play ends where it was last heard"
    assert "Traceback" not in daemon.said
