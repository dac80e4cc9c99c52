"""The scoring, on fingerprints whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.evaluate.retrieval import LENGTHS, STARTS, WINDOWS, Queries, score, vote
from monitor.evaluate.same import Sounds
from monitor.train.data import Clip, Clips
from monitor.train.shelf import Shelf

CPU = torch.device("cpu")
RECIPE = Recipe(name="test", dim=64)


def unit(rows: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, 64, generator=torch.Generator().manual_seed(seed)), dim=1)


CATALOGUE = Shelf(table=unit(300, 1).half(), start=np.array([0, 100, 220, 300]))


def asked(recording: list[int], at_hops: list[int], shift_hops: float = 0.0) -> tuple[torch.Tensor, Queries]:
    """Take the stored rows themselves as what was heard."""
    firsts = [int(CATALOGUE.start[one]) + at for one, at in zip(recording, at_hops, strict=True)]
    heard = torch.stack([CATALOGUE.table[at : at + WINDOWS].float() for at in firsts])
    at_s = (np.array(at_hops) + shift_hops) * RECIPE.hop_s
    return heard, Queries(name="", speed=1.0, sounds=np.zeros((len(firsts), 1)), recording=np.array(recording), at_s=at_s)


def test_what_was_stored_is_found_where_it_was_stored() -> None:
    heard, queries = asked([0, 1, 2], [3, 40, 10])
    for seconds, found in score(heard, queries, CATALOGUE, None, RECIPE, CPU).items():
        assert seconds in LENGTHS
        assert (found.trials, found.track, found.exact, found.near) == (3 * len(STARTS), 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("shift", "exact", "near"), [(0.4, 1.0, 1.0), (1.0, 0.0, 1.0), (2.0, 0.0, 0.0)])
def test_place_counts_in_windows(shift: float, exact: float, near: float) -> None:
    heard, queries = asked([1], [40], shift)
    for found in score(heard, queries, CATALOGUE, None, RECIPE, CPU).values():
        assert (found.track, found.exact, found.near) == (1.0, exact, near)


def test_a_better_rival_in_the_padding_makes_it_wrong_and_a_longer_query_right_again() -> None:
    """One window of the padding is what was heard first, exactly; of three windows it is only one."""
    heard, queries = asked([1], [40])
    heard = torch.nn.functional.normalize(
        heard + 0.05 * torch.randn(heard.shape, generator=torch.Generator().manual_seed(3)), dim=2
    )
    rival = unit(50, 9)
    rival[20] = heard[0, STARTS[0]]
    pad = Shelf(table=rival.half(), start=np.array([0, 50]))
    plain = score(heard, queries, CATALOGUE, None, RECIPE, CPU)
    padded = score(heard, queries, CATALOGUE, pad, RECIPE, CPU)
    assert plain[1].track == 1.0
    assert padded[1].track == pytest.approx(1 - 1 / len(STARTS))
    assert padded[2].track == 1.0


def test_a_query_across_the_border_of_two_recordings_is_no_proposal() -> None:
    heard, queries = asked([0], [60])
    found = score(heard, queries, CATALOGUE, None, RECIPE, CPU)
    assert found[1].track == pytest.approx(6 / 6 if 60 + STARTS[-1] < 100 else 5 / 6)
    assert found[10].track < 1.0


@pytest.mark.parametrize(("same", "right"), [(True, 1.0), (False, 0.0)])
def test_a_recording_that_holds_the_same_sound_is_right_too(same: bool, right: float) -> None:
    """Two games of one composer hold the same passage, and a query from one cannot but be answered with either."""
    hop, rows = RECIPE.hop_samples, 100
    random = np.random.default_rng(5)
    pcm = random.integers(-9000, 9000, (2, (rows + 1) * hop)).astype(np.int16)
    later = 3 * hop  # where the second has the passage
    if same:
        pcm[1, later:] = pcm[0, :-later]
    table = unit(2 * rows, 4).half()
    table[rows + 3 :] = table[: rows - 3]
    shelf = Shelf(table=table, start=np.array([0, rows, 2 * rows]))
    heard = table[None, rows + 23 : rows + 23 + WINDOWS].float()
    queries = Queries(name="", speed=1.0, sounds=np.zeros((1, 1)), recording=np.array([1]), at_s=np.array([23 * RECIPE.hop_s]))
    sounds = Sounds([shelved(*pcm)], RECIPE.sample_rate_hz)
    for found in score(heard, queries, shelf, None, RECIPE, CPU, sounds).values():
        assert (found.track, found.exact) == (right, right)
    assert all(found.track == 0.0 for found in score(heard, queries, shelf, None, RECIPE, CPU).values())


def shelved(*recordings: np.ndarray) -> Clips:
    starts = np.cumsum([0, *map(len, recordings)])
    return Clips(
        np.concatenate(recordings),
        [Clip(path="", package="", start=int(at), length=len(one), sha256="") for at, one in zip(starts, recordings, strict=False)],
    )


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    """Five recordings on two shelves: 3 has what 1 has a quarter of a second later, 4 begins within 1; 2 is all but silent."""
    random = np.random.default_rng(7)
    noise = [random.integers(-9000, 9000, 80_000).astype(np.int16) for _ in range(3)]
    hiss = random.integers(-2, 3, 80_000).astype(np.int16)
    later = np.concatenate([noise[2][:2000], noise[1][:-2000]])
    return Sounds([shelved(noise[0], noise[1], hiss), shelved(later, noise[1][40_000:])], 8000)


def test_the_same_sound_is_found_where_it_is(sounds: Sounds) -> None:
    assert sounds.lag_s(1, 4.0, 3, 4.0, 2.0) == pytest.approx(0.25)
    assert sounds.lag_s(1, 4.0, 3, 4.5, 2.0) == pytest.approx(-0.25)
    assert sounds.lag_s(1, 7.0, 4, 2.0, 2.0) == pytest.approx(0.0)


def test_elsewhere_beyond_the_ends_and_in_silence_it_is_not(sounds: Sounds) -> None:
    assert sounds.lag_s(1, 4.0, 0, 4.0, 2.0) is None
    assert sounds.lag_s(1, 4.0, 3, 5.5, 2.0) is None  # more than a second off
    assert sounds.lag_s(1, 3.0, 0, 13.0, 2.0) is None  # in the samples of the recording behind it
    assert sounds.lag_s(1, 4.0, 4, -1.0, 2.0) is None
    assert sounds.lag_s(2, 4.0, 2, 4.0, 2.0) is None
    assert sounds.lag_s(1, -50.0, 1, 50.0, 2.0) is None


def test_the_majority_of_all_neighbours_names_the_recording() -> None:
    heard = torch.stack([CATALOGUE.table[at : at + 9].float() for at in (5, 130, 260)])
    heard[0, 4:] = CATALOGUE.table[130:135].float()
    assert vote(heard, CATALOGUE, 9, CPU, neighbours=1).tolist() == [1, 1, 2]
    assert vote(heard, CATALOGUE, 4, CPU, neighbours=1).tolist() == [0, 1, 2]
