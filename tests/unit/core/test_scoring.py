"""Places of many streams scored together fit as they do alone."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from monitor.core.alignment import INTERCEPTS, SPAN, SPEEDS, stored
from monitor.core.ring import RECENT, Ring
from monitor.core.scoring import PLACES, Wish, score, score_all
from tests.unit.core.stories import DIM, EVIDENCE, Air, Shelf, fingerprints, recording

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


def hummed(seed: int) -> Ring:
    """Return a ring of a station that hums, each louder than the one before, which makes what is heard steady; some have a gap."""
    air = Air(20, seed)
    air.play(SONG, 2.0, from_s=1.5 * seed, speed=1.0 + 0.02 * (seed % 3 - 1))
    vectors = air.heard() + 0.3 * seed * np.eye(DIM, dtype=np.float32)[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    context = EVIDENCE.context(vectors)
    ring = Ring(60, DIM)
    for hop in range(len(vectors)):
        if seed % 2 or hop not in (28, 29, 33):
            ring.put(hop, vectors[hop], context[hop])
    return ring


def steady_here_and_there() -> Shelf:
    """Return the song as it would be stored if it hummed too, here more and there less."""
    rows = fingerprints(SONG)
    rows = rows + (1.0 + np.sin(np.arange(len(rows)) / 4))[:, None] * np.eye(DIM, dtype=np.float32)[0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Shelf({1: rows.astype(np.float32)})


def steady_by_hand(heard: np.ndarray) -> list[float]:
    """How alike each was to the second before it; where that is not known, as at the last hop where it is, or the first."""
    known = {at: float(heard[at] @ heard[at - 2]) for at in range(2, len(heard)) if heard[at].any() and heard[at - 2].any()}
    return [known[max((one for one in known if one <= at), default=min(known))] for at in range(len(heard))]


def best_by_hand(ring: Ring, who: int, position: int, shelf: Shelf) -> float:
    """Try all lines through a place, window by window."""
    heard, lines = ring.last(SPAN), []
    steady = steady_by_hand(heard.vectors)

    def row(at: int) -> np.ndarray:
        return stored(shelf, who, at, 1)[0]

    for speed in SPEEDS:
        for shift in INTERCEPTS:
            nats = []
            for hop in range(SPAN):
                ago = SPAN - 1 - hop
                at = np.clip(np.rint(2 * (3 + shift + (1 - speed) * ago)), 0, 12) / 2 - 3 + position - ago
                low = int(np.floor(at))
                there = row(low) if at == low else row(low) + row(low + 1)
                there = there / max(float(np.linalg.norm(there)), 1e-3)
                own = float(row(low) @ row(low - 2)) if low > position - SPAN - 1 else 0.0
                fresh = min(max((1 - own) / 0.6, 0.4), 1.0) * min(max((1.02 - steady[hop]) / (1.02 - max(own, 0.4)), 0.0), 1.0)
                distinct = float(heard.vectors[hop] @ there) - max(0.0, *(heard.context[hop] @ there))
                says = float(np.interp(distinct, EVIDENCE.knots, EVIDENCE.nats)) if abs(distinct) > 1e-9 else 0.0
                if not 0 <= low <= at <= shelf.hops(who) - 1:
                    says = EVIDENCE.lowest
                nats.append((says * fresh if says > 0 else says) * bool(heard.present[hop]))
            lines.append(max(sum(nats[first:]) for first in range(SPAN)))
    return max(lines)


def test_the_evidence_is_that_of_the_best_line_by_hand_on_stations_that_hum() -> None:
    rings, shelf = [hummed(seed) for seed in range(6)], steady_here_and_there()
    wishes = [replace(wish_of(seed, ring), references=shelf) for seed, ring in enumerate(rings)]
    wishes = [replace(wish, places=[(1, position) for _, position in wish.places]) for wish in wishes]
    for wish, ring, found in zip(wishes, rings, score_all(wishes, EVIDENCE), strict=True):
        for (_, position), one in zip(wish.places, found, strict=True):
            assert one.evidence == pytest.approx(best_by_hand(ring, 1, position, shelf), abs=0.05)


def test_what_has_too_little_evidence_is_left_out() -> None:
    for seed, ring in enumerate(RINGS):
        (every,) = score_all([wish_of(seed, ring)], EVIDENCE)
        (some,) = score_all([wish_of(seed, ring, least=20.0)], EVIDENCE)
        assert some == [one for one in every if one.evidence >= 20.0]
    assert score_all([], EVIDENCE) == []
