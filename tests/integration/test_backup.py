"""The commands of deploy/README.md that back up and restore, run as they stand there, on a catalogue and an outbox in use."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.catalog.store import Store
from monitor.messages import Detection, EventKind, Play, Reference
from monitor.publish.outbox import DiskOutbox
from tests.acceptance.box import LISTED, monitor

PAGE = Path(__file__).parents[2] / "deploy/README.md"
PLAY = Play(
    stream="one",
    reference_id=1,
    start_s=1.0,
    end_s=9.0,
    reference_start_s=0.0,
    reference_end_s=8.0,
    speed=1.0,
    score=0.9,
    evidence=90.0,
    confidence=0.999,
    detected_s=4.0,
)
DETECTION = Detection(
    id="play-1",
    kind=EventKind.STARTED,
    station="one",
    start_utc_s=1_790_000_000.0,
    end_utc_s=1_790_000_008.0,
    uncertainty_s=0.2,
    detected_utc_s=1_790_000_004.0,
    play=PLAY,
    reference=Reference(id=1, path="a.opus", title="A"),
    recipe="0123456789abcdef",
    generation=1,
)


class Machine:
    """The paths of the page, below a folder of our own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "var/lib/monitor"
        self.state.mkdir(parents=True)
        (root / "etc/monitor").mkdir(parents=True)
        (root / "etc/monitor/config.toml").write_text("# mine\n")
        with closing(sqlite3.connect(self.state / "ledger.db")) as ledger:
            ledger.execute("CREATE TABLE airtime (station TEXT)")
            ledger.execute("INSERT INTO airtime VALUES ('one')")
            ledger.commit()

    def follow(self, name: str) -> None:
        """Run a block of commands; what speaks to systemd or changes owners is left out."""
        found = re.search(rf"^```sh {name}\n(.+?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert found is not None
        lines = [line for line in found.group(1).splitlines() if not line.startswith(("systemctl ", "chown "))]
        text = re.sub(r"(?<![\w/])/(var|etc)/", rf"{self.root}/\1/", "\n".join(lines))
        text = text.replace("runuser -u monitor -- ", "").replace("-o monitor -g monitor ", "")
        text = re.sub("^monitor ", f"{sys.executable} -m monitor ", text, flags=re.MULTILINE)
        done = subprocess.run(["/bin/sh", "-euc", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def outbox(self) -> DiskOutbox:
        return DiskOutbox(self.state / "outbox.db", keep_days=30.0, max_mb=100.0, tell=lambda fact: None)


def sequences(outbox: DiskOutbox) -> list[int]:
    return [json.loads(message.payload)["sequence"] for message in outbox.pending(100)]


@pytest.fixture
def machine(tmp_path: Path, need: Callable[[str], Path]) -> Machine:
    need("sqlite3")
    need("ffmpeg")
    return Machine(tmp_path)


def test_what_was_backed_up_comes_back(machine: Machine) -> None:
    catalogue = machine.state / "catalog"
    done = monitor("catalog", "add", "--catalog", catalogue, "--jobs", 1, LISTED / "paniq-progression.opus")
    assert done.returncode == 0, done.stderr
    before = Store(catalogue).numbers()
    outbox = machine.outbox()
    outbox.put([DETECTION, replace(DETECTION, kind=EventKind.ENDED)])

    machine.follow("backup")
    outbox.put([replace(DETECTION, id="play-2")])  # in use, before and after
    assert sequences(outbox) == [1, 2, 3]
    outbox.close()

    (machine.root / "etc/monitor/config.toml").unlink()
    shutil.rmtree(catalogue)
    (machine.state / "outbox.db").write_bytes(b"spoiled")
    (machine.state / "ledger.db").unlink()
    machine.follow("restore")

    assert (machine.root / "etc/monitor/config.toml").read_text() == "# mine\n"
    after = Store(catalogue).numbers()
    assert (after.references, after.fingerprints) == (before.references, before.fingerprints)
    with closing(sqlite3.connect(machine.state / "ledger.db")) as ledger:
        assert ledger.execute("SELECT * FROM airtime").fetchall() == [("one",)]
    outbox = machine.outbox()
    assert sequences(outbox) == [1, 2], "what waited is sent again"
    outbox.put([replace(DETECTION, id="play-3")])
    assert sequences(outbox)[-1] == 100_003, "no number is given twice for two events"
    outbox.close()


def test_the_copy_is_whole_while_the_outbox_is_written(machine: Machine) -> None:
    """A plain copy of an SQLite file in use may be torn, and leaves out what is still in its log."""
    (machine.state / "catalog").mkdir()
    sqlite3.connect(machine.state / "catalog/catalog.db").close()
    outbox = machine.outbox()
    outbox.put([replace(DETECTION, id=f"play-{number}") for number in range(500)])
    machine.follow("backup")
    copy = sqlite3.connect(machine.root / "var/backups/monitor/outbox.db")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copy.execute("SELECT count(*) FROM message").fetchone() == (500,)
    copy.close()
    outbox.close()
