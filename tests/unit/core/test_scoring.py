"""Places of many streams scored together fit as they do alone."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from monitor.core.ring import RECENT, Ring
from monitor.core.scoring import PLACES, Wish, score, score_all
from tests.unit.core.stories import DIM, EVIDENCE, Air, Shelf, recording

SONG, OTHER = recording(1, 60), recording(2, 8)
SHELVES = Shelf.of({1: SONG, 2: OTHER}), Shelf.of({1: OTHER[::-1], 3: SONG})
"""Two catalogues: a wish may look into either."""


def ring_of(seed: int) -> Ring:
    """Return what a station was heard with: the song at some place and speed, every third of them with holes."""
    air = Air(20, seed)
    air.play(SONG, 2.0, from_s=1.5 * seed, speed=1.0 + 0.02 * (seed % 3 - 1))
    vectors = air.heard()
    context = EVIDENCE.context(vectors)
    ring = Ring(60, DIM)
    for hop in range(len(vectors)):
        if seed % 3 or hop % 7:
            ring.put(hop, vectors[hop], context[hop])
    return ring


def wish_of(seed: int, ring: Ring, least: float = -np.inf) -> Wish:
    """Ask for places in the song, right, wrong and partly or all outside."""
    shelf, song = (SHELVES[0], 1) if seed % 2 else (SHELVES[1], 3)
    asked, present = ring.recent()
    right = ring.newest - 4 + 3 * seed
    places = [(song, right), (song, right + 40), (1, 3), (song, shelf.hops(song) + 200), (song, right - 1)][: 1 + seed % 5]
    return Wish(newest=ring.newest, asked=asked, present=present, places=places, references=shelf, least=least)


RINGS = [ring_of(seed) for seed in range(30)]


def test_places_of_many_streams_fit_as_they_do_alone() -> None:
    wishes = [wish_of(seed, ring) for seed, ring in enumerate(RINGS)]
    assert sum(len(wish.places) for wish in wishes) > PLACES
    for wish, ring, together in zip(wishes, RINGS, score_all(wishes, EVIDENCE), strict=True):
        assert [one.reference_id for one in together] == [who for who, _ in wish.places]
        for place, one in zip(wish.places, together, strict=True):
            (alone,) = score(ring.last(RECENT), [place], wish.references, EVIDENCE)
            assert asdict(one) == pytest.approx(asdict(alone), abs=1e-3)


def test_what_has_too_little_evidence_is_left_out() -> None:
    for seed, ring in enumerate(RINGS):
        (every,) = score_all([wish_of(seed, ring)], EVIDENCE)
        (some,) = score_all([wish_of(seed, ring, least=20.0)], EVIDENCE)
        assert some == [one for one in every if one.evidence >= 20.0]
    assert score_all([], EVIDENCE) == []
