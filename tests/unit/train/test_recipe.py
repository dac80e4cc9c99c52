"""A training recipe is read whole or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.train.degrade import Chain
from monitor.train.recipe import SHIPPED, read
from tests.unit.train.clips import RECIPE_TEXT


def test_every_shipped_recipe_reads() -> None:
    for path in SHIPPED.glob("*.toml"):
        found, text = read(path.stem)
        assert found.name == path.stem
        assert text == path.read_text()
        assert found.encoder_recipe().network == found.network


def test_a_users_own_is_read_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE_TEXT + "[chain]\nvoice = 0.9\n")
    found, _ = read(str(path))
    assert (found.chain.voice, found.chain.noise) == (0.9, Chain().noise)
    assert found.encoder_recipe().dim == 16


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("seed = 1", 'seed = "x"', "seed"),
        ("seed = 1", "seed = 1\ncolour = 3", "colour"),
        ("batch = 4", "", "batch"),
        ("batch = 4", "batch = 4\nsteps = 3", "either minutes or steps"),
        ("batch = 4", 'batch = 4\nloss = "hinge"', "loss"),
        ("seed = 1", "seed = = 1", "line 4"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE_TEXT.replace(old, new, 1))
    with pytest.raises(ConfigError, match=why):
        read(str(path))


def test_a_recipe_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no training recipe 'compakt': shipped are .*compact.*; or name a \.toml file"):
        read("compakt")
