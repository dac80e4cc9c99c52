"""Places that hits agree on are proposed, best first; a lone weak hit is not."""

from __future__ import annotations

import numpy as np

from monitor.core.alignment import SPAN
from monitor.core.hits import FRESH, NOTHING, PROPOSALS, Findings, Found, Hits
from tests.unit.core.stories import EVIDENCE


def put(hits: Hits, hop: int, *found: tuple[int, int, float]) -> None:
    """Put (reference, position, nats) of one hop."""
    references, positions, nats = zip(*found, strict=True) if found else ((), (), ())
    hits.put(hop, references, positions, nats)


def test_nothing_heard_proposes_nothing() -> None:
    assert Hits(single=4.0).proposals(5) == []


def test_hits_on_one_diagonal_are_one_place_carried_to_now() -> None:
    hits = Hits(single=4.0)
    for hop in (10, 11, 13):
        put(hits, hop, (5, hop + 90, 1.0))
    assert hits.proposals(14) == [(5, 104)]


def test_a_place_is_proposed_anew_only_where_something_points_at_it_anew() -> None:
    """Places that had gathered a few hits were scored at every hop for twelve seconds, with the same result."""
    hits = Hits(single=4.0)
    for hop in (10, 11):
        put(hits, hop, (5, hop + 90, 1.0))
    assert hits.proposals(11 + FRESH - 1) == [(5, 101 + FRESH - 1)]
    assert hits.proposals(11 + FRESH) == []
    put(hits, 20, (5, 110, 1.0))
    assert hits.proposals(20) == [(5, 110)]


def test_one_weak_hit_needs_company_one_strong_does_not() -> None:
    hits = Hits(single=4.0)
    put(hits, 1, (5, 40, 3.9), (6, 70, 4.1))
    assert hits.proposals(1) == [(6, 70)]
    put(hits, 2, (5, 41, 0.1))
    assert hits.proposals(2) == [(6, 71), (5, 41)]


def test_the_diagonal_beside_keeps_company() -> None:
    """Faster or slower playing moves hits from one diagonal to the next: they vote together, and are proposed once."""
    hits = Hits(single=4.0)
    put(hits, 1, (5, 40, 2.0))
    put(hits, 2, (5, 42, 3.0))
    (place,) = hits.proposals(2)
    assert place in {(5, 41), (5, 42)}
    put(hits, 3, (5, 47, 2.0))
    assert len(hits.proposals(3)) == 1


def test_the_place_with_most_evidence_comes_first() -> None:
    hits = Hits(single=4.0)
    for hop in range(4):
        put(hits, hop, (1, hop + 100, 2.0), (2, hop + 50, 3.0), (3, hop, 1.0))
    assert hits.proposals(3) == [(2, 53), (1, 103), (3, 3)]


def test_hits_that_speak_against_count_nothing() -> None:
    hits = Hits(single=4.0)
    put(hits, 1, (5, 40, -1.0), (5, 41, 0.0))
    put(hits, 2, (5, 41, -1.0))
    assert hits.proposals(2) == []


def test_hits_older_than_the_span_are_forgotten() -> None:
    hits = Hits(single=4.0)
    put(hits, 1, (5, 40, 3.0))
    put(hits, SPAN, (5, 39 + SPAN, 0.5))
    assert hits.proposals(SPAN) == [(5, 39 + SPAN)]
    put(hits, SPAN + 1, (6, 90, 0.5))
    assert hits.proposals(SPAN + 1) == []


def test_proposals_are_limited_to_the_best() -> None:
    hits = Hits(single=0.5)
    put(hits, 0, *((who, 10 * who, float(who)) for who in range(1, 40)))
    assert [who for who, _ in hits.proposals(0)] == list(range(39, 39 - PROPOSALS, -1))


def test_a_place_before_the_beginning_belongs_to_its_own_reference() -> None:
    """The diagonal of a hit near a recording's beginning, late in a stream, is far below zero."""
    hits = Hits(single=4.0)
    late = 10**9
    put(hits, late, (5, 0, 3.0), (4, 2 * 10**9, 3.0))
    put(hits, late + 1, (5, 1, 3.0), (4, 2 * 10**9 + 1, 3.0))
    assert sorted(hits.proposals(late + 1)) == [(4, 2 * 10**9 + 1), (5, 1)]


def test_of_what_searches_found_only_what_speaks_for_a_recording_is_kept() -> None:
    """An id of -1 is no hit, whatever it is said to be like."""
    findings = Findings.of(
        np.array([[5, -1], [6, 7], [-1, -1], [8, 9]]),
        np.array([[10, 0], [20, 30], [0, 0], [40, 50]]),
        np.array([[0.9, 0.9], [0.1, 0.5], [-np.inf, -np.inf], [0.7, 0.6]], np.float32),
        EVIDENCE,
    )
    strong, weak, nothing, two = findings.one_by_one()
    assert (strong.references, strong.positions, strong.nats) == ([5], [10], [EVIDENCE.highest])
    assert (weak.references, weak.positions) == ([7], [30])
    assert nothing == NOTHING
    assert (two.references, two.positions) == ([8, 9], [40, 50])
    assert two.nats[0] > two.nats[1] > 0
    assert findings.where(findings.references == 9).one_by_one() == [
        NOTHING,
        NOTHING,
        NOTHING,
        Found([9], [50], two.similarity[1:], two.nats[1:]),
    ]
    assert findings.where(findings.references == 0).one_by_one() == [NOTHING] * 4
