"""Two recipes are comparable when all but their names is equal."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from monitor.core.recipe import Recipe

RECIPE = Recipe(name="a", weights_sha256="0" * 64)


def test_the_name_decides_nothing() -> None:
    other = replace(RECIPE, name="b")
    assert other.hash == RECIPE.hash
    assert RECIPE.differences(other) == []


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe) if field.name != "name"])
def test_every_other_field_decides(name: str) -> None:
    value = getattr(RECIPE, name)
    other = replace(RECIPE, **{name: value + "x" if isinstance(value, str) else value + 1})
    assert other.hash != RECIPE.hash
    assert RECIPE.differences(other) == [f"{name}: {value} != {getattr(other, name)}"]


def test_the_hash_does_not_change_with_the_program() -> None:
    """Catalogues hold it: if this fails, every catalogue made before is refused."""
    assert replace(RECIPE, mel_low_hz=160.0).hash == "90c91ec486ac5788"


def test_rows() -> None:
    assert (RECIPE.bins, replace(RECIPE, fine_bins=64).bins) == (128, 192)


def test_seconds() -> None:
    recipe = Recipe(name="a", sample_rate_hz=16000, window_samples=24000, hop_samples=4000)
    assert (recipe.hop_s, recipe.window_s) == (0.25, 1.5)


def test_it_comes_back_from_json() -> None:
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE


@pytest.mark.parametrize("text", ["{}", "[]", "3", "nothing", '{"name": "a", "colour": 1}'])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Recipe.from_json(text)
