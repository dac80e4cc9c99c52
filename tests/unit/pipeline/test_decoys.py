"""Decoys are the references backwards: heard when one is really played backwards, and not when it is played as it should be."""

from __future__ import annotations

import numpy as np

from monitor.core.alignment import stored
from monitor.core.recipe import Recipe
from monitor.facts import DecoyHeard, Fact
from monitor.messages import Embeddings
from monitor.pipeline.decoys import Decoys, Mirror
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings
from tests.unit.core.stories import EVIDENCE, LIMITS, Air, Shelf, recording

SONG, OTHER = recording(1, 40), recording(2, 40)
SHELF = Shelf.of({1: SONG, 2: OTHER})


def listen(vectors: np.ndarray, share: float) -> tuple[list[DecoyHeard], list[str]]:
    """Send fingerprints through a matcher; return the decoys heard and the kinds of what was told."""
    facts: list[Fact] = []
    settings = MatcherSettings(decoy_share=share, update_every_s=0.0)
    matcher = Matcher(SHELF, EVIDENCE, Recipe(name="test"), settings, facts.append)
    count = len(vectors)
    events = matcher.match(
        Embeddings(streams=("radio",) * count, hops=np.arange(count), vectors=vectors, arrived_s=np.zeros(count))
    )
    return [fact for fact in facts if isinstance(fact, DecoyHeard)], [event.kind.value for event in [*events, *matcher.close_all()]]


def backwards() -> np.ndarray:
    air = Air(60)
    air.play(SONG, 10.0)
    return air.heard()[::-1].copy()


def forwards() -> np.ndarray:
    air = Air(60)
    air.play(SONG, 10.0)
    return air.heard()


def test_what_is_played_backwards_is_a_decoy_and_never_told() -> None:
    heard, told = listen(backwards(), 1.0)
    assert [(fact.stream, fact.count) for fact in heard] == [("radio", 1)]
    assert told == []


def test_what_is_played_as_it_should_be_is_none() -> None:
    heard, told = listen(forwards(), 1.0)
    assert heard == []
    assert told == ["started", "ended"]


def test_no_share_no_decoys() -> None:
    assert listen(backwards(), 0.0) == ([], [])


def test_the_share_is_that_of_the_references() -> None:
    ids = np.arange(1, 20_001)
    for share in (0.05, 0.5):
        decoys = Decoys(share, LIMITS, EVIDENCE, SHELF)
        assert abs(decoys.chosen(ids).mean() - share) < 0.02


def test_a_mirror_shows_the_last_first() -> None:
    mirror = Mirror(SHELF)
    hops = SHELF.hops(1)
    assert (mirror.hops(1), mirror.hops(9)) == (hops, 0)
    np.testing.assert_array_equal(mirror.fingerprints(1, 0, hops), SHELF.fingerprints(1, 0, hops)[::-1])
    np.testing.assert_array_equal(mirror.fingerprints(1, 3, 5), SHELF.fingerprints(1, hops - 5, hops - 3)[::-1])
    starts = (0, 3, -2, hops - 4)
    for rows, start in zip(mirror.stretches([1] * len(starts), starts, 6), starts, strict=True):
        np.testing.assert_array_equal(rows, stored(mirror, 1, start, 6))
