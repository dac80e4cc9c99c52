"""The install script, into a folder instead of this machine. On a machine with a systemd: tests/acceptance/test_systemd.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import config
from monitor.settings import Settings

ROOT = Path(__file__).parents[2]
NEEDED = ("deploy", "systemd", "monitor", "pyproject.toml", "constraints.txt", "config.toml", "CHANGELOG.md", "LICENSE")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what is installed from, to make another release of."""
    made = tmp_path / "source"
    made.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__", "clips"), symlinks=True)
        else:
            shutil.copy(ROOT / name, made)
    return made


class Machine:
    def __init__(self, source: Path, root: Path) -> None:
        self.source, self.root = source, root
        self.home = root / "usr/lib/monitor"
        self.config = root / "etc/monitor/config.toml"

    def script(self, *arguments: str) -> tuple[int, str]:
        environ = {**os.environ, "DESTDIR": str(self.root)}
        command = [self.source / "deploy/install.sh", *arguments]
        done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def install(self) -> str:
        code, said = self.script("--deps", sys.prefix)
        assert code == 0, said
        return (self.home / "current").readlink().name

    def files(self) -> dict[str, float]:
        return {str(path.relative_to(self.root)): path.lstat().st_mtime for path in self.home.rglob("*")}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed program, as if it stood at its place."""
        text = (self.home / "current/bin/monitor").read_text().replace("/usr/lib/monitor", str(self.home))
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            ["/bin/sh", "-c", text, "monitor", *arguments], env=environ, capture_output=True, text=True, check=False
        )


@pytest.fixture
def machine(source: Path, tmp_path: Path) -> Machine:
    return Machine(source, tmp_path / "root")


def change(source: Path) -> None:
    """Make another release."""
    with (source / "monitor/errors.py").open("a") as file:
        file.write("\nNEWER = True\n")


def test_what_is_installed_runs_and_is_complete(machine: Machine) -> None:
    machine.install()
    done = machine.run("--help")
    assert done.returncode == 0, done.stderr
    where = machine.run("check", "--offline", "-c", "/nowhere.toml")
    assert where.returncode == 78, where.stderr
    assert config.load(machine.config, {}) == Settings()
    for path in (
        "usr/bin/monitor",
        "usr/lib/systemd/system/monitor.service",
        "usr/lib/sysusers.d/monitor.conf",
        "usr/lib/tmpfiles.d/monitor.conf",
        "usr/share/doc/monitor/README.md",
        "var/lib/monitor",
    ):
        assert (machine.root / path).exists(), path
    unit = (machine.root / "usr/lib/systemd/system/monitor.service").read_text()
    assert "ExecStart=/usr/bin/monitor run -c /etc/monitor/config.toml\n" in unit
    assert not (machine.root / "etc/passwd").exists(), "a package must not bring users along"
    assert {path.stat().st_mode & 0o777 for path in machine.config.parent.iterdir()} == {0o640}


def test_a_second_time_changes_nothing(machine: Machine) -> None:
    machine.install()
    machine.config.write_text("# mine\n")
    before = machine.files()
    machine.install()
    assert machine.files() == before
    assert machine.config.read_text() == "# mine\n"


def test_an_upgrade_keeps_the_configuration_and_the_release_before(machine: Machine) -> None:
    first = machine.install()
    machine.config.write_text("# mine\n")
    change(machine.source)
    (machine.source / "config.toml").write_text("# the new sample\n")
    second = machine.install()
    assert first != second
    assert (machine.home / "previous").readlink().name == first
    assert machine.config.read_text() == "# mine\n"
    assert machine.config.with_name("config.toml.dist").read_text() == "# the new sample\n"
    assert machine.script("rollback")[0] == 0
    assert (machine.home / "current").readlink().name == first
    assert machine.run("--help").returncode == 0
    change(machine.source)
    third = machine.install()
    kept = {path.name for path in machine.home.glob("release-*")}
    assert kept == {first, third}, "those before the last are swept"


def test_an_interrupted_installation_is_done_again(machine: Machine) -> None:
    release = machine.home / machine.install()
    (release / ".complete").unlink()
    (release / "lib/monitor/errors.py").unlink()
    machine.install()
    assert (release / "lib/monitor/errors.py").exists()


def test_dependencies_that_could_not_be_installed_are_not_taken_for_complete(machine: Machine) -> None:
    """Within $( ) bash goes on after an error, unless told not to: half a set of dependencies would have been used for ever."""
    broken = machine.source / "broken-python"
    broken.write_text('#!/bin/sh\nmkdir -p "$3/bin"\nprintf "#!/bin/sh\\nexit 3\\n" >"$3/bin/python"\nchmod +x "$3/bin/python"\n')
    broken.chmod(0o755)
    environ = {**os.environ, "DESTDIR": str(machine.root), "PYTHON": str(broken)}
    done = subprocess.run([machine.source / "deploy/install.sh"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert list(machine.home.glob("deps-*")), "it was begun"
    assert not list(machine.home.glob("deps-*/.complete"))
    assert not (machine.home / "current").exists()


def test_an_installed_service_makes_what_the_page_tells_people_to_make(machine: Machine) -> None:
    # `monitor report --out november.xlsx` and `monitor airtime --format png` ended with 78 on every machine set up by this script.
    log, stand_in = machine.source / "asked", machine.source / "stand-in"
    stand_in.write_text(f'#!/bin/sh\necho "$*" >>{log}\nif [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n')
    stand_in.chmod(0o755)
    environ = {**os.environ, "DESTDIR": str(machine.root), "PYTHON": str(stand_in)}
    project = machine.source / "pyproject.toml"

    def install() -> set[str]:
        subprocess.run([machine.source / "deploy/install.sh"], env=environ, capture_output=True, check=True)
        return {path.name for path in machine.home.glob("deps-*")}

    first = install()
    assert len(first) == 1
    asked = [line for line in log.read_text().splitlines() if line.startswith("-m pip install ")]
    assert [line.split()[-1] for line in asked] == [".[openvino,report,pictures]"]
    text = project.read_text()
    project.write_text(text.replace('"ruff", ', '"ruff>=1", '))
    assert install() == first, "what developers need is not installed"
    project.write_text(text.replace('"xlsxwriter", ', '"xlsxwriter>=3", '))
    assert install() > first


def test_uninstalling_leaves_what_is_the_operators(machine: Machine) -> None:
    machine.install()
    machine.config.write_text("# mine\n")
    (machine.root / "var/lib/monitor/outbox.db").write_bytes(b"x")
    assert machine.script("uninstall")[0] == 0
    left = {str(path.relative_to(machine.root)) for path in machine.root.rglob("*") if not path.is_dir()}
    assert left == {"etc/monitor/config.toml", "var/lib/monitor/outbox.db"}
    assert machine.script("purge")[0] == 0
    assert not machine.config.exists()
    assert not (machine.root / "var/lib/monitor").exists()


@pytest.mark.parametrize(("arguments", "says"), [(("remove",), "unknown: remove"), (("--deps", "/nowhere"), "no bin/python there")])
def test_what_is_wrong_is_said(machine: Machine, arguments: tuple[str, ...], says: str) -> None:
    code, said = machine.script(*arguments)
    assert code == 1
    assert says in said
    assert not machine.home.joinpath("current").exists()


def test_there_is_no_way_back_from_the_first(machine: Machine) -> None:
    machine.install()
    code, said = machine.script("rollback")
    assert (code, "no release before" in said) == (1, True)
