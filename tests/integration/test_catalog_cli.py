"""`monitor catalog` as a person uses it, with the encoder that is shipped and real ffmpeg."""

from __future__ import annotations

import argparse
import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monitor.catalog.store import Store
from monitor.cli import catalog
from monitor.encoder import weights
from monitor.errors import ConfigError, EncoderError, ForeignFingerprints

CHILD = """
import argparse, signal, sys
from monitor.cli import catalog
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored
parser = argparse.ArgumentParser()
catalog.register(parser.add_subparsers())
arguments = parser.parse_args(sys.argv[1:])
sys.exit(arguments.run(arguments))
"""


@pytest.fixture
def monitor(tmp_path: Path) -> Callable[..., int]:
    """Return a function that runs `monitor catalog ACTION …` on a catalogue in a temporary folder."""

    def run(action: str, *arguments: object) -> int:
        parser = argparse.ArgumentParser()
        catalog.register(parser.add_subparsers())
        parsed = parser.parse_args(["catalog", action, *map(str, arguments), "--catalog", str(tmp_path / "catalog")])
        return int(parsed.run(parsed))

    return run


@pytest.fixture
def music(tmp_path: Path, need: Callable[[str], Path]) -> Path:
    ffmpeg = need("ffmpeg")
    folder = tmp_path / "music"
    folder.mkdir()
    for n in range(3):
        source = f"sine=frequency={300 + 200 * n}:duration=5:sample_rate=8000,tremolo=f={n + 2}"
        names = ["-metadata", f"title=Song [{n}]", "-metadata", "artist=\x1b[31mRed"]
        subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", source, *names, folder / f"{n}.flac"], check=True)
    (folder / "list.mp3").write_text("a shopping list\n" * 100)
    return folder


def test_what_hears_the_air_has_no_part_in_what_is_stored(monitor: Callable[..., int], music: Path, tmp_path: Path) -> None:
    (music / "list.mp3").unlink()
    assert monitor("add", music) == 0
    path = tmp_path / "compact.safetensors"
    path.write_bytes(weights.find("compact").read_bytes())
    recipe, tensors = weights.load(path)
    weights.save_query(path.with_suffix(weights.QUERY_SUFFIX), recipe, {name: one * 0 for name, one in tensors.items()})
    config = tmp_path / "config.toml"
    config.write_text(f'[encoder]\nname = "{path}"\n')
    other = tmp_path / "other"
    add = [sys.executable, "-m", "monitor", "catalog", "add", "-c", config, "--catalog", other, music]
    subprocess.run(add, check=True, stdin=subprocess.DEVNULL)
    tables = [np.fromfile(Store(folder, recipe).table().path, np.float16) for folder in (tmp_path / "catalog", other)]
    rows, again = (sorted(row.tobytes() for row in table.reshape(-1, recipe.dim)) for table in tables)
    assert len(rows) == 30
    assert rows == again


def test_from_files_to_a_list_and_back(
    monitor: Callable[..., int], music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert monitor("add", music) == 1
    told = capsys.readouterr()
    assert "3 added, 1 refused" in told.out
    assert told.err.count("\n") == 1
    assert "list.mp3: refused: " in told.err
    (music / "list.mp3").unlink()
    assert monitor("add", music) == 0
    assert "0 added, 3 already there" in capsys.readouterr().out

    assert monitor("list") == 0
    out = capsys.readouterr().out
    assert "Song [1]" in out
    assert "\x1b[31m" not in out
    assert monitor("list", "--format", "json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["title"] for one in records} == {"Song [0]", "Song [1]", "Song [2]"}
    assert {one["fingerprints"] for one in records} == {10}

    sheet = tmp_path / "names.csv"
    sheet.write_text(
        f"file,title,isrc,label\n{music}/0.flac,Named,de-a12-34-56789,Big\n{music}/1.flac,,what,\nmusic/gone.flac,,,\n"
    )
    assert monitor("add", music, "--metadata", sheet) == 1
    told = capsys.readouterr()
    assert "0 added, 2 already there, 1 with new names" in told.out
    assert "'what' is no ISRC" in told.err
    assert "gone.flac, which is not there" in told.err
    assert monitor("show", music / "0.flac", "--format", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["title"], row["isrc"], row["label"]) == ("Named", "DEA123456789", "Big")

    assert monitor("remove", row["id"], "99") == 1
    assert "99: no recording of this id or path" in capsys.readouterr().err
    assert monitor("stats", "--format", "json") == 0
    stats = json.loads(capsys.readouterr().out)
    assert (stats["references"], stats["fingerprints"], stats["holes"]) == (2, 20, 10)
    assert monitor("rebuild") == 0
    assert monitor("verify") == 0
    assert "2 recordings, 20 fingerprints: whole" in capsys.readouterr().out
    (music / "1.flac").unlink()
    assert monitor("verify") == 1
    assert monitor("rebuild", "--fingerprint") == 1
    assert "1.flac: refused: the file is gone" in capsys.readouterr().err


def test_weights_of_another_kind_are_refused_until_fingerprinted_anew(
    monitor: Callable[..., int], music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from monitor.encoder import weights

    monitor("add", music)
    recipe, tensors = weights.load(weights.find("compact"))
    weights.save(tmp_path / "other.safetensors", recipe, {name: tensor * 1.01 for name, tensor in tensors.items()})
    config = tmp_path / "config.toml"
    config.write_text(f'[encoder]\nname = "{tmp_path}/other.safetensors"\n[catalog]\npath = "catalog"\n')
    with pytest.raises(ForeignFingerprints, match="rebuild --fingerprint"):
        monitor("add", music, "-c", config)
    assert monitor("verify", "-c", config) == 1
    assert monitor("rebuild", "--fingerprint", "-c", config) == 0
    assert monitor("verify", "-c", config) == 0
    capsys.readouterr()
    config.write_text('[encoder]\ndevice = "cpu"\n[catalog]\npath = "catalog"\n')
    with pytest.raises(EncoderError, match=r"no installed encoder .*'compact'.*: name the .* or make them anew"):
        monitor("add", music, "-c", config)
    assert monitor("verify", "-c", config) == 1
    assert "wrong: encoder: no installed encoder made the fingerprints" in capsys.readouterr().out
    assert monitor("rebuild", "--fingerprint", "-c", config) == 0
    assert monitor("verify", "-c", config) == 0
    config.write_text("[catalogue]\npath = 'x'\n")
    with pytest.raises(ConfigError):
        monitor("list", "-c", config)


def test_auto_goes_on_with_the_encoder_that_made_the_catalogue(
    monitor: Callable[..., int], music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named, auto = tmp_path / "named.toml", tmp_path / "auto.toml"
    named.write_text('[encoder]\nname = "large"\ndevice = "cpu"\n')
    auto.write_text('[encoder]\ndevice = "cpu"\n')

    def encoder() -> str:
        capsys.readouterr()
        monitor("stats", "--format", "json")
        return str(json.loads(capsys.readouterr().out)["encoder"])

    assert monitor("add", music / "0.flac", "-c", named) == 0
    assert monitor("add", music / "1.flac", "-c", auto) == 0
    assert monitor("verify", "-c", auto) == 0
    assert monitor("rebuild", "--fingerprint", "-c", auto) == 0
    assert encoder() == "large"
    (tmp_path / "catalog" / "catalog.db").unlink()
    assert monitor("add", music / "1.flac", "-c", auto) == 0
    assert encoder() == "compact"


def test_ctrl_c_is_answered_with_what_to_do_and_a_second_run_goes_on(
    monitor: Callable[..., int], music: Path, tmp_path: Path
) -> None:
    for n in range(10):
        source = ["-f", "lavfi", "-i", f"sine=frequency={200 + 10 * n}:duration=300:sample_rate=8000"]
        subprocess.run(["ffmpeg", "-v", "error", *source, music / f"long{n}.wav"], check=True)
    arguments = ["catalog", "add", str(music), "--catalog", str(tmp_path / "catalog"), "--jobs", "2"]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (
        (tmp_path / "catalog/catalog.db").exists() and Store(tmp_path / "catalog").entries()
    ):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=30)
    assert child.returncode == 130
    assert told.splitlines()[-1].startswith("monitor: interrupted; ")
    assert told.endswith("Run the same command again to go on\n")
    done = len(Store(tmp_path / "catalog").entries())
    assert 1 <= done < 13
    assert monitor("verify") == 0
    monitor("add", music)
    assert len(Store(tmp_path / "catalog").entries()) == 13
