"""The matcher keeps the streams of a batch apart, uses the library in service, and says how long it took."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.facts import BatchMatched, DecoyHeard, Fact
from monitor.messages import Embeddings, EventKind, PlayEvent
from monitor.pipeline.matching import LEAST_WHOLE, Matcher
from monitor.settings import MatcherSettings
from tests.unit.core.stories import EVIDENCE, Air, Shelf, plays_of, recording

RECIPE = Recipe(name="test")
SONG, OTHER = recording(1, 40), recording(2, 40)
SHELF = Shelf.of({1: SONG, 2: OTHER})


def matcher_of(library: Shelf, facts: list[Fact] | None = None, **settings: float) -> Matcher:
    facts = [] if facts is None else facts
    return Matcher(library, EVIDENCE, RECIPE, MatcherSettings(**{"update_every_s": 0.0, **settings}), facts.append)


def batch(hop: int, **heard: np.ndarray) -> Embeddings:
    return Embeddings(
        streams=tuple(heard),
        hops=np.full(len(heard), hop, np.int64),
        vectors=np.stack([vectors[hop] for vectors in heard.values()]),
        arrived_s=np.zeros(len(heard)),
    )


def two_stations() -> dict[str, np.ndarray]:
    one, two = Air(60, seed=1), Air(60, seed=2)
    one.play(SONG, 10.0)
    two.play(OTHER, 5.0, speed=1.02)
    return {"one": one.heard(), "two": two.heard()}


def test_streams_of_one_batch_are_followed_apart() -> None:
    matcher, heard = matcher_of(SHELF), two_stations()
    events: list[PlayEvent] = []
    for hop in range(len(heard["one"])):
        events += matcher.match(batch(hop, **heard))
    events += matcher.close_all()
    (one,) = plays_of(event for event in events if event.play.stream == "one")
    (two,) = plays_of(event for event in events if event.play.stream == "two")
    assert (one.reference_id, two.reference_id) == (1, 2)
    assert (one.start_s, two.start_s) == (pytest.approx(10.0, abs=0.6), pytest.approx(5.0, abs=0.6))
    assert (one.speed, two.speed) == (pytest.approx(1.0, abs=0.004), pytest.approx(1.02, abs=0.004))


def test_how_a_stream_is_cut_into_batches_does_not_matter() -> None:
    """The tracker sees hop after hop, whether they come one by one or all at once."""
    heard = two_stations()["one"]
    one_by_one = matcher_of(SHELF)
    events = [event for hop in range(len(heard)) for event in one_by_one.match(batch(hop, radio=heard))]
    at_once = matcher_of(SHELF).match(
        Embeddings(streams=("radio",) * len(heard), hops=np.arange(len(heard)), vectors=heard, arrived_s=np.zeros(len(heard)))
    )
    assert [event.kind for event in at_once] == [event.kind for event in events] == [EventKind.STARTED, EventKind.ENDED]
    for one, other in zip(at_once, events, strict=True):
        for name, value in asdict(one.play).items():
            assert getattr(other.play, name) == (pytest.approx(value, abs=1e-4) if isinstance(value, float) else value)


def test_a_few_short_recordings_are_not_told_for_next_to_nothing() -> None:
    """Two jingles compete in six places: at a loose budget the tail would ask for nothing at all."""
    few = Shelf.of({1: SONG, 2: recording(3, 3), 3: recording(4, 3)})
    many = Shelf.of({1: SONG, **{number: recording(number, 3) for number in range(2, 200)}})
    assert matcher_of(few, false_alarms_per_day=1000.0).needed_both[1] == LEAST_WHOLE
    assert matcher_of(many).needed_both[1] > LEAST_WHOLE


def station(seed: int) -> np.ndarray:
    """Return what is heard of one of many: the songs at their speeds, over each other, cut, or backwards, which is a decoy's."""
    air = Air(40, seed)
    air.play((SONG, OTHER)[seed % 2], 1.0 + seed % 7, from_s=seed % 11, to_s=20.0 + seed % 13, speed=0.98 + 0.01 * (seed % 5))
    if seed % 3 == 0:
        air.play((OTHER, SONG)[seed % 2], 15.0, from_s=5.0, loud=1.5)
    heard = air.heard()
    return heard[::-1].copy() if seed % 4 == 3 else heard


def test_many_streams_at_once_give_what_each_gives_alone() -> None:
    """Hop after hop of all of them, now and then several of one in a batch, some with hops missing, some joining later."""
    stations = {f"station {seed}": station(seed) for seed in range(40)}
    order = np.random.default_rng(3)
    waiting = {
        name: [hop for hop in range(5 * (at % 4), len(heard)) if at % 5 or hop % 9 != 4]
        for at, (name, heard) in enumerate(stations.items())
    }

    def embeddings(hops: list[tuple[str, int]]) -> Embeddings:
        return Embeddings(
            streams=tuple(name for name, _ in hops),
            hops=np.array([hop for _, hop in hops], np.int64),
            vectors=np.stack([stations[name][hop] for name, hop in hops]),
            arrived_s=np.zeros(len(hops)),
        )

    sent: dict[str, list[list[int]]] = {name: [] for name in stations}
    facts: list[Fact] = []
    matcher = matcher_of(SHELF, facts, decoy_share=1.0)
    together: list[PlayEvent] = []
    while any(waiting.values()):
        hops: list[tuple[str, int]] = []
        for name, left in waiting.items():
            count = int(order.integers(0, 4))
            sent[name].append(left[:count])
            hops += [(name, hop) for hop in left[:count]]
            del left[:count]
        at = {name: iter(sorted(hop for who, hop in hops if who == name)) for name, _ in hops}
        order.shuffle(hops)  # the streams mixed, each one's hops still rising
        together += matcher.match(embeddings([(name, next(at[name])) for name, _ in hops]))
    together += matcher.close_all()
    decoys = [fact for fact in facts if isinstance(fact, DecoyHeard)]
    assert len(together) > 60
    assert len(decoys) > 5
    for name, batches in sent.items():
        own: list[Fact] = []
        alone = matcher_of(SHELF, own, decoy_share=1.0)
        events = [event for some in batches if some for event in alone.match(embeddings([(name, hop) for hop in some]))]
        events += alone.close_all()
        theirs = [event for event in together if event.play.stream == name]
        assert [(event.kind, event.number) for event in theirs] == [(event.kind, event.number) for event in events]
        for one, other in zip(theirs, events, strict=True):
            for field, value in asdict(one.play).items():
                assert getattr(other.play, field) == (pytest.approx(value, abs=1e-3) if isinstance(value, float) else value)
        assert [fact for fact in decoys if fact.stream == name] == [fact for fact in own if isinstance(fact, DecoyHeard)]


def test_a_stream_that_is_over_ends_its_plays_and_only_its_own() -> None:
    matcher, heard = matcher_of(SHELF), two_stations()
    for hop in range(60):
        matcher.match(batch(hop, **heard))
    assert [(event.play.stream, event.kind) for event in matcher.close("one")] == [("one", EventKind.ENDED)]
    assert matcher.close("one") == []
    assert [event.play.stream for event in matcher.close_all()] == ["two"]
    assert matcher.close("never heard of") == []


def test_a_stream_that_is_opened_again_begins_anew() -> None:
    matcher, heard = matcher_of(SHELF), two_stations()
    for _ in range(2):
        events = [event for hop in range(60) for event in matcher.match(batch(hop, one=heard["one"]))]
        assert [(event.kind, event.number) for event in events] == [(EventKind.STARTED, 1)]
        matcher.close("one")


def test_the_library_in_service_is_the_one_that_is_asked() -> None:
    matcher, heard = matcher_of(SHELF.without(1)), two_stations()
    assert [event for hop in range(50) for event in matcher.match(batch(hop, one=heard["one"]))] == []
    matcher.swap(SHELF)
    assert matcher.library is SHELF
    events = [event for hop in range(50, 70) for event in matcher.match(batch(hop, one=heard["one"]))]
    assert [event.kind for event in events] == [EventKind.STARTED]
    assert events[0].play.start_s == pytest.approx(10.0, abs=0.6)  # looked back into what was heard before the swap
    matcher.swap(SHELF.without(1))
    events = matcher.match(batch(70, one=heard["one"]))
    assert [event.kind for event in events] == [EventKind.ENDED]


def test_an_empty_library_is_served() -> None:
    matcher, heard = matcher_of(Shelf({})), two_stations()
    assert [event for hop in range(50) for event in matcher.match(batch(hop, **heard))] == []


def test_a_smaller_budget_of_false_alarms_takes_longer_to_be_certain() -> None:
    heard = two_stations()["one"]
    detected = []
    for budget in (1e5, 1e-3, 1e-14):
        matcher = matcher_of(SHELF, false_alarms_per_day=budget)
        events = [event for hop in range(60) for event in matcher.match(batch(hop, radio=heard))]
        detected.append(events[0].play.detected_s)
    assert detected[0] < detected[1] < detected[2]


def test_a_batch_is_told_with_its_times() -> None:
    facts: list[Fact] = []
    matcher, heard = matcher_of(SHELF, facts), two_stations()
    matcher.match(batch(0, **heard))
    (fact,) = facts
    assert isinstance(fact, BatchMatched)
    assert fact.windows == 2
    assert 0 <= fact.search_s < 5
    assert 0 <= fact.track_s < 5
    assert fact.behind_s > 0
