"""What is on air and unknown is really unknown to the catalogue it is held against."""

from __future__ import annotations

import numpy as np

from monitor.core.recipe import Recipe
from monitor.evaluate.strangers import Strangers, twins, windows
from tests.unit.core.stories import fingerprints, recording


def test_windows_lie_on_the_hop_grid() -> None:
    recipe = Recipe(name="small", window_samples=80, hop_samples=40)
    cut = windows(np.arange(215, dtype=np.float32), recipe, 10)
    assert cut[:, 0].tolist() == [10, 50, 90, 130]
    assert cut.shape == (4, 80)


def test_unknown_is_a_recording_whose_package_and_whatever_sounds_like_it_are_not_catalogued() -> None:
    """Of four catalogued recordings the second shares its package with what is on air, the fourth holds a quarter of its sound."""
    first, second, third, on_air = (fingerprints(recording(seed, 40)) for seed in (1, 2, 3, 4))
    fourth = np.concatenate([fingerprints(recording(5, 60)), on_air[20:40]])
    kept = {("validation", 0): first, ("validation", 1): second, ("train", 0): third, ("train", 1): fourth}
    stranger = ("train", 7)
    packages = {("validation", 0): "a", ("validation", 1): "b", ("train", 0): "c", ("train", 1): "d", stranger: "b"}
    shelf = Strangers(
        paths=dict.fromkeys(packages, "a.ogg"),
        packages=packages,
        kept=kept,
        sounds={},
        elsewhere={stranger: on_air},
        twins=twins(kept | {stranger: on_air}),
    )
    assert shelf.kin(stranger) == [2, 4]
    assert shelf.kin(("validation", 0)) == [1]
    assert shelf.same(("validation", 0)) == {1}
    assert shelf.same(("train", 1)) == {4}
