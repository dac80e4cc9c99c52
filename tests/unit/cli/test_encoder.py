"""What `monitor encoder` says of the encoder that is shipped, and of a file that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cli import main
from monitor.encoder import weights


def test_the_shipped_encoder_is_listed_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    recipe, _ = weights.load(weights.find("compact"))
    assert main(["encoder", "list"]) == 0
    assert f"recipe {recipe.hash}" in capsys.readouterr().out
    assert main(["encoder", "info"]) == 0
    told = capsys.readouterr().out
    assert f"recipe hash: {recipe.hash}" in told
    assert f"weights_sha256: {recipe.weights_sha256}" in told
    assert "runs here: on " in told


@pytest.mark.parametrize("action", ["info", "install"])
def test_a_foreign_file_is_refused_in_one_line(action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(b"something else")
    assert main(["encoder", action, str(path)]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "foreign.safetensors is not an encoder of this product" in told.err
