"""What every second of a station was, as a user asks for it: while the daemon runs, after it was killed, and after it stopped."""

from __future__ import annotations

import csv
import io
import signal
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from tests.acceptance.box import CLIPS, LISTED, VOICE, Daemon, Radio, monitor, programme, until

KNOWN, UNKNOWN = LISTED / "paniq-progression.opus", CLIPS / "unlisted/paniq-die-gewalt.opus"
BORDER_S = 3.5
"""Classes are smoothed over three seconds to either side, and a play's borders are half a second off."""
LOST_S = 14.0
"""What a crash may cost: the writing every 5 s, the smoothing, the way through the pipeline of a busy machine."""


def asked(daemon: Daemon, start_utc_s: float, end_utc_s: float) -> tuple[int, list[tuple[float, float, str]]]:
    """Ask as a user does; return the exit status and the intervals."""
    window = (
        "--from",
        datetime.fromtimestamp(start_utc_s, UTC).isoformat(),
        "--to",
        datetime.fromtimestamp(end_utc_s, UTC).isoformat(),
    )
    done = monitor("airtime", "one", "-c", daemon.config, *window, "--format", "csv")
    assert done.returncode in (0, 1), done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    told = [
        (datetime.fromisoformat(row["start"]).timestamp(), datetime.fromisoformat(row["end"]).timestamp(), row["state"])
        for row in rows
    ]
    assert all(one[1] == other[0] for one, other in pairwise(told))
    assert abs(sum(float(row["seconds"]) for row in rows) - (end_utc_s - start_utc_s)) < 0.5
    return done.returncode, told


def state_at(told: list[tuple[float, float, str]], utc_s: float) -> str:
    return next(state for start_s, end_s, state in told if start_s <= utc_s < end_s)


def is_all(told: list[tuple[float, float, str]], start_s: float, end_s: float, state: str) -> None:
    """Check that all between two moments, less the borders, is one thing."""
    at_s = start_s + BORDER_S
    while at_s < end_s - BORDER_S:
        assert state_at(told, at_s) == state, (at_s - start_s, state, [(a - start_s, b - start_s, s) for a, b, s in told])
        at_s += 0.5


def test_every_second_is_accounted_for(tmp_path: Path, radio: Radio, daemon: Daemon) -> None:
    quiet = tmp_path / "quiet.wav"
    quiet.write_bytes(
        b"RIFF\x24\x3e\x00\x00WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\xee\2\0" + bytes(192_000)
    )
    parts = ((KNOWN, 20.0, 12.0), (UNKNOWN, 5.0, 10.0), (VOICE, 0.0, 10.0), (quiet, 0.0, 8.0))
    url = radio.add("one", programme(tmp_path, "one", *parts))
    daemon.configure({"one": url}, more="no_data_timeout_s = 2\n")
    daemon.start()
    until(lambda: "one" in radio.on_air_utc_s, 20.0, "on air")
    on_air_s = radio.on_air_utc_s["one"]
    known_s, unknown_s, voice_s, quiet_s, away_s = (on_air_s + begin_s for begin_s in (0, 12, 22, 32, 40))

    # The programme is over and the connection with it; later there is another one.
    until(lambda: time.time() > away_s + 8.0, 60.0, "silent and gone")
    status, told = asked(daemon, on_air_s + 1.0, voice_s)
    assert status == 0, "it listened to all of it, and says so while it runs"
    is_all(told, known_s, unknown_s, "matched")
    radio.add("one", programme(tmp_path, "more", *([(KNOWN, 20.0, 60.0)] * 5)))
    del radio.on_air_utc_s["one"]
    until(lambda: "one" in radio.on_air_utc_s, 30.0, "on air again")
    back_s = radio.on_air_utc_s["one"]
    until(lambda: time.time() > back_s + LOST_S + 2 * BORDER_S, 60.0, "heard for a while")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    killed_s = time.time()
    status, told = asked(daemon, back_s, killed_s)
    assert status == 1, "what is not on disk was not listened to"
    is_all(told, back_s, killed_s - LOST_S, "matched")

    daemon.start()
    until(lambda: daemon.metric('monitor_windows_analysed_total{station="one"}') > 25, 60.0, "heard once more")
    again_s = time.time()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.said
    _, told = asked(daemon, on_air_s, again_s)
    is_all(told, known_s, unknown_s, "matched")
    is_all(told, unknown_s, voice_s, "music")
    is_all(told, voice_s, quiet_s, "speech")
    is_all(told, quiet_s, away_s, "silence")
    is_all(told, away_s, back_s, "not_received")
    is_all(told, back_s, killed_s - LOST_S, "matched")
    assert state_at(told, killed_s + 0.5) == "not_received"
    assert state_at(told, again_s - 5.0) == "matched"
    lost = [one for one in told if one[2] == "shed"]
    assert sum(end_s - start_s for start_s, end_s, _ in lost) < 2.0, lost
    counted = monitor("airtime", "one", "-c", daemon.config, "--format", "png", "--out", tmp_path / "day.png")
    assert counted.returncode == 1
    assert (tmp_path / "day.png").stat().st_size > 5000
