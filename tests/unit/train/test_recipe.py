"""A training recipe is read whole or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.recipe import Recipe
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


def test_checking_a_recipe_changes_no_hash() -> None:
    """The hash is over JSON, in which 160 and 160.0 are two things."""
    for path in SHIPPED.glob("*.toml"):
        found, _ = read(path.stem)
        assert found.encoder_recipe().hash == Recipe(name=found.name, network=found.network, **found.sound).hash


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
        ("dim = 16", "dim = 16\nmel_bin = 3", "mel_bin"),
        ("dim = 16", "dim = 16.5", "dim"),
        ("dim = 16", "sample_rate_hz = 16000", "packed at 8 kHz"),
        ("batch = 4", "batch = 1", "batch must be at least 2"),
        ("rooms = 2", "rooms = 0", "rooms and rivals at least 1"),
        ("rooms = 2", "rooms = 2\nrivals = 0", "rooms and rivals at least 1"),
        ("[positives]", 'loss = "catalogue"\n[positives]\ncount = 2', "there is one positive an anchor"),
        ("learning_rate = 1e-3", "learning_rate = -1e-3", "must be above 0"),
        ("warm_up = 0.0", "warm_up = 2.0", "shares from 0 to 1"),
        ("shift_s = 0.25", "shift_s = 0.5", "at most 2"),
        ("speed = 0.05", "speed = 0.05\ncount = 0", "count must be at least 1"),
        ("speed_share = 0.5", "speed_share = 0.5\ntempo_share = 0.6", "no more than 1 together"),
        ("[positives]", "[chain]\nvoice = 7.0\n[positives]", "voice is a probability"),
        ("[positives]", "[chain]\nvoice_db = [6.0, -12.0]\n[positives]", "voice_db must rise"),
        ("[positives]", "[chain]\nbands = 1\n[positives]", "two bands"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE_TEXT.replace(old, new, 1))
    with pytest.raises(ConfigError, match=why) as told:
        read(str(path))
    assert "\n" not in str(told.value)


def test_a_recipe_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no training recipe 'compakt': shipped are .*compact.*; or name a \.toml file"):
        read("compakt")
