"""The service under a real systemd: in a container that sees this machine's files, and whose changes are forgotten.

systemd-nspawn boots a systemd of its own over an overlay of `/`. That needs root and a kernel that lets us; else it is skipped, but
what systemd hears is tested in `tests/unit/observe/test_notify.py` too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.box import LISTED

ROOT = Path(__file__).parents[2]
PYTHON = Path("/usr/bin/python3")
"""A Python that the service may see: it does not see anybody's home."""
CLIP = LISTED / "paniq-progression.opus"
UNITS = {
    "trial.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\nWants=trial.service\n",
    "trial.service": (
        "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nTimeoutStartSec=240\nExecStart=/bin/bash /trial.sh\n"
        "ExecStopPost=/bin/systemctl --no-block poweroff\n"
    ),
    "broker.service": "[Service]\nExecStart=/usr/sbin/mosquitto -c /etc/trial-mosquitto.conf\n",
    "monitor.service.d/trial.conf": "[Service]\nWatchdogSec=10\nTimeoutAbortSec=1\n",
}
CONFIG = f"""
[[stream]]
name = "one"
url = "/var/lib/monitor/{CLIP.name}"
loop = true
[encoder]
device = "cpu"
threads = 1
[mqtt]
username = "monitor"
prefix = "monitor"
"""
BROKER = "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/trial-passwords\nuser root\n"


def run(*command: str | Path, **options: object) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr


def nspawn(root: Path, *more: str) -> list[str]:
    quiet = (
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--console=pipe",
        "--resolv-conf=off",
        "--timezone=off",
    )
    return ["systemd-nspawn", f"--directory={root}", *quiet, *more]


@pytest.fixture
def machine(tmp_path: Path, need: Callable[[str], Path]) -> Iterator[Path]:
    """The files of a machine: ours, with a layer of its own on top."""
    if any(ROOT.is_relative_to(home) for home in ("/root", "/home")):
        pytest.skip("the service sees nobody's home, and this checkout lies in one")
    for program in ("systemd-nspawn", "mosquitto", "mosquitto_passwd", "ffmpeg"):
        need(program)
    if os.geteuid() != 0 or not PYTHON.exists():
        pytest.skip("needs root and a system Python")
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout
    if version.split() != [str(number) for number in sys.version_info[:2]]:
        pytest.skip(f"{PYTHON} is not the Python that the packages were installed for")
    layer, root = tmp_path / "layer", tmp_path / "root"
    layer.mkdir()
    root.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", layer)
    try:
        (layer / "upper").mkdir()
        (layer / "work").mkdir()
        options = f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/work"
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=False).returncode:
            pytest.skip("this kernel does not let us lay a folder over /")
        if subprocess.run(nspawn(root, "/bin/true"), stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
            pytest.skip("systemd-nspawn may not make a container here")
        yield root
    finally:
        subprocess.run(["umount", root], check=False)
        run("umount", layer)


def furnish(root: Path, catalogue: Path) -> None:
    """Install the service as deploy/README.md says, and prepare the trial."""
    deps = root / "opt/monitor-deps"
    run(PYTHON, "-m", "venv", "--without-pip", deps)
    site = next(path for path in sys.path if path.endswith("site-packages"))
    next(deps.glob("lib/python*/site-packages")).joinpath("shared.pth").write_text(site + "\n")
    shutil.rmtree(root / "etc/systemd/system/multi-user.target.wants", ignore_errors=True)
    install = (f"--setenv=PYTHON={sys.executable}", f"{ROOT}/deploy/install.sh", "--deps", "/opt/monitor-deps")
    run(*nspawn(root, *install), timeout=120)
    state = root / "var/lib/monitor"
    shutil.copytree(catalogue, state / "catalog")
    shutil.copy(CLIP, state)
    run("chroot", root, "chown", "-R", "monitor:monitor", "/var/lib/monitor")
    (root / "etc/monitor/config.toml").write_text(CONFIG)
    (root / "etc/monitor/mqtt-password").write_text("from the credential\n")
    (root / "etc/monitor/mqtt-password").chmod(0o600)
    (root / "etc/trial-mosquitto.conf").write_text(BROKER)
    run("mosquitto_passwd", "-b", "-c", root / "etc/trial-passwords", "monitor", "from the credential")
    shutil.copy(Path(__file__).parent / "machine/trial.sh", root / "trial.sh")
    for name, text in UNITS.items():
        file = root / "etc/systemd/system" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (root / "etc/systemd/system/default.target").unlink(missing_ok=True)
    (root / "etc/systemd/system/default.target").symlink_to("trial.target")
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "etc/systemd/system/systemd-networkd-wait-online.service").symlink_to("/dev/null")  # there is no network to wait for


def test_it_lives_under_a_real_systemd(machine: Path, made_catalogue: Path, tmp_path: Path) -> None:
    furnish(machine, made_catalogue)
    subprocess.run(
        nspawn(machine, "--boot", "--private-network"), stdin=subprocess.DEVNULL, capture_output=True, timeout=280, check=False
    )
    if not (machine / "trial.txt").exists():
        pytest.skip("no systemd of its own starts here")
    told = dict(line.partition("=")[::2] for line in (machine / "trial.txt").read_text().splitlines())
    log = machine / "trial.log"
    assert told.get("end") == "reached", told
    assert "gave_up" not in told, f"{told}\n{log.read_text()}"
    assert (told["start"], told["active"], told["ready_said"]) == ("0", "active", "1"), "systemctl start waits for READY"
    assert told["user"] == "monitor"
    assert told["broker"] == "1.0", "the password came as a credential"
    assert told["detections"] == "1.0", "it works in its sandbox, decoder included"
    assert told["status"].startswith("1 of 1 stations heard, "), told["status"]
    assert "broker connected" in told["status"]
    assert told["limits"].split() == ["65536", "0", "16384"]
    assert float(told["exposure"]) <= 2.0
    assert told["world_can_read_state"] == "no"
    assert (told["reload"], told["reloaded"], told["after_reload"]) == ("0", "1.0", "active")
    assert int(told["watchdog"]) >= 1
    assert told["restarts"] == "1"
    assert told["stopped"] == "success 0"
    assert told["left_over"] == "0"
    assert told["misconfigured"] != "0"
    assert told["left_alone"].split() == ["failed", "78", "0"], "it is not started again"
    assert told["left_alone_because"] == "1", "among the errors"
    assert "prot: no such key; did you mean port?" in log.read_text()
