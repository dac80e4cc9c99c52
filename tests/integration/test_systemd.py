"""The unit file, judged by systemd itself; the on-call page, by the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import Permanent
from monitor.facts import CatalogLoaded
from monitor.observe.metrics import Metrics
from monitor.publish.outbox import DiskOutbox

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd/monitor.service"
README = ROOT / "deploy/README.md"
EXPOSURE_LIMIT = 20
"""Tenths: 2.0 of 10."""
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze") and not os.environ.get("CI"), reason="systemd is not installed"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there: verify wants it executable."""
    made = tmp_path / "monitor.service"
    made.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.MULTILINE))
    return made


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


@needs_systemd
def test_systemd_has_nothing_to_say(unit: Path) -> None:
    assert run("systemd-analyze", "verify", unit) == (0, ""), "it exits 0 on an unknown key, so its output counts"


@needs_systemd
def test_verify_would_notice(unit: Path) -> None:
    unit.write_text(unit.read_text() + "\n[Service]\nWatchdogSek=5\n")
    assert "WatchdogSek" in run("systemd-analyze", "verify", unit)[1]


@needs_systemd
def test_exposure_stays_low(unit: Path) -> None:
    code, said = run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_LIMIT}", "--no-pager", unit)
    assert code == 0, said


@pytest.mark.skipif(not shutil.which("systemd-sysusers") and not os.environ.get("CI"), reason="systemd is not installed")
def test_the_user_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    code, said = run("systemd-sysusers", "--dry-run", f"--root={tmp_path}", ROOT / "systemd/sysusers.d/monitor.conf")
    assert code == 0
    assert "Creating user 'monitor'" in said


def test_the_unit_knows_our_exit_code_and_paths() -> None:
    text = UNIT.read_text()
    assert f"RestartPreventExitStatus={Permanent.exit_code}\n" in text
    assert "StateDirectory=monitor\n" in text
    config = (ROOT / "config.toml").read_text()
    paths = {"/var/lib/monitor/catalog", "/var/lib/monitor/outbox.db", "/var/lib/monitor/ledger.db"}
    assert set(re.findall(r'"(/var/lib/[^"]+)"', config)) == paths


def test_the_on_call_page_explains_every_metric() -> None:
    page = README.read_text()
    exported = set(re.findall(r"^# TYPE (monitor_\w+)", Metrics(["a"]).exposition().decode(), flags=re.MULTILINE))
    assert {name for name in exported if f"`{name}" not in page} == set()
    named = set(re.findall(r"`(monitor_\w+)", page))
    assert named <= exported, "the page names a metric that is not there"


def test_the_on_call_page_says_how_many_series_there_are() -> None:
    # It said 25 and 150 for as long as nobody counted.
    found = re.search(
        r"^\| Prometheus \| (\d+) series, and (\d+) for the monitor itself \|$", README.read_text(), flags=re.MULTILINE
    )
    assert found is not None

    def series(stations: list[str]) -> int:
        metrics = Metrics(stations)
        metrics.set_encoder(name="compact", recipe="0123456789abcdef", air="fedcba9876543210", device="cpu")
        metrics.tell(CatalogLoaded(generation=1, references=1, fingerprints=1, index_kind="flat", took_s=1.0))
        return sum(not line.startswith("#") for line in metrics.exposition().decode().splitlines())

    assert series(["a", "b"]) - series(["a"]) == int(found.group(1))
    assert round(series([]), -1) == int(found.group(2))


def test_the_on_call_page_tells_the_outbox_query_that_works(tmp_path: Path) -> None:
    query = re.search(r'outbox\.db "(SELECT [^"]+)"', README.read_text())
    assert query is not None
    outbox = DiskOutbox(tmp_path / "outbox.db", keep_days=1.0, tell=lambda fact: None)
    assert outbox._database.execute(query.group(1)).fetchall() == []
    outbox.close()
