"""Arguments decide the exit code: 2 for wrong ones, 78 for what a person must change, with one line on stderr."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import __version__
from monitor.cli import COMMANDS, main
from monitor.cli.common import add_catalog_arguments, settings_and_catalog
from monitor.errors import ConfigError
from monitor.settings import Settings


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"monitor {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out.strip()) == (0, f"monitor {__version__}")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["identify"],
        ["identify", "a", "--format", "xml"],
        ["evaluate"],
        ["evaluate", "fly"],
        ["run", "--fly"],
        ["catalog"],
        ["report", "--layout", "other"],
        ["replay-events", "--station", "a"],
    ],
)
def test_wrong_arguments_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: monitor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["identify", "a.mp3", "-c", "{missing}"],
        ["run", "-c", "{missing}"],
        ["events", "-c", "{missing}"],
        ["report", "--outbox", "{missing}"],
        ["replay-events", "--station", "a", "--from", "0", "-c", "{missing}"],
        ["train", "--recipe", "compakt"],
        ["train", "--minutes", "0"],
        ["evaluate", "fit", "--encoder", "compakt", "--device", "cpu"],
        ["evaluate", "fit", "--encoder", "{missing}.safetensors", "--device", "cpu"],
    ],
)
def test_what_a_person_must_change_is_78_and_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.toml")
    assert main([one.replace("{missing}", missing) for one in arguments]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("monitor: ")
    assert captured.err.count("\n") == 1


def test_the_journal_is_told_why_it_ends_as_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `journalctl -p err` was empty after an exit 78: what a person must change stood there with the priority of a greeting.
    config = tmp_path / "config.toml"
    config.write_text("[mqtt]\nprot = 1\nkeepalive_s = 1\n")
    with (tmp_path / "journal").open("w") as journal, contextlib.redirect_stderr(journal):
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert main(["events", "-c", str(config)]) == 78
    first, second = (tmp_path / "journal").read_text().splitlines()
    assert first.startswith(f"<3>monitor: {config}: [mqtt] prot: no such key")
    assert second.startswith(f"<3>{config}: [mqtt] keepalive_s: ")


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_catalog_arguments(parser)
    return parser.parse_args(arguments)


def test_the_catalogue_is_the_one_named_else_the_configs_else_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[catalog]\npath = "{tmp_path}/there"\n[encoder]\ndevice = "cpu"\n')
    assert settings_and_catalog(parse()) == (Settings(), Settings().catalog.path)
    settings, folder = settings_and_catalog(parse("-c", str(file)))
    assert (settings.encoder.device, folder) == ("cpu", tmp_path / "there")
    settings, folder = settings_and_catalog(parse("-c", str(file), "--catalog", str(tmp_path)))
    assert (settings.encoder.device, folder) == ("cpu", tmp_path)


def test_a_wrong_config_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[catalogue]\n")
    with pytest.raises(ConfigError, match="catalog"):
        settings_and_catalog(parse("-c", str(file)))


def listing(out: int, *options: str) -> tuple[int, str]:
    """Return how `monitor encoder list` ends that prints there, and what it says."""
    command = [sys.executable, *(options or ("-m", "monitor")), "encoder", "list"]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False, text=True)
    os.close(out)
    return done.returncode, done.stderr


def test_who_reads_no_further_is_told_no_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert listing(writing) == (141, "")


def test_a_full_disk_under_what_is_printed_is_told() -> None:
    code, said = listing(os.open("/dev/full", os.O_WRONLY))
    assert code == 75
    assert said.startswith("monitor: the disk is full ([Errno 28] No space left on device)")
    assert len(said.splitlines()) == 1


FULL = """
import sys
from monitor import cli
from monitor.cli import encoder

def fill(arguments):
    print("printed")
    raise OSError(28, "No space left on device", "elsewhere")

encoder.list_installed = fill
sys.exit(cli.main(sys.argv[1:]))
"""


def test_what_was_printed_before_another_file_filled_the_disk_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "printed"
    code, said = listing(os.open(out, os.O_WRONLY | os.O_CREAT), "-c", FULL)
    assert (code, out.read_text()) == (75, "printed\n")
    assert said.startswith("monitor: the disk is full ([Errno 28] No space left on device: 'elsewhere')")
