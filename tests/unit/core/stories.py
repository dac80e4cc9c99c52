"""Made-up recordings and what stations make of them, as fingerprints.

A recording is white noise in DIM channels, twenty slots a second; the fingerprint of a window is the sum over its second, of
unit length. Windows are then as alike as they overlap, any cut, speed and mix can be rendered, and the truth is known to a slot.
`Shelf` fits `pipeline.ports.Library` and passes `tests/contract/test_library.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN, stored
from monitor.core.evidence import Evidence
from monitor.core.hits import Findings
from monitor.core.kinship import SAME_SOUND, longest, shared
from monitor.core.round import Turn, play_round
from monitor.core.tracker import Needed, Tracker, TrackerLimits
from monitor.messages import EventKind, Kinship, Play, PlayEvent, Reference

DIM = 128
SLOTS_A_SECOND = 20
SLOTS_A_HOP = 10
HOP_S = 0.5
_COHORT = np.random.default_rng(8).standard_normal((32, DIM)).astype(np.float32)
EVIDENCE = Evidence(
    knots=np.array([0.28, 0.37, 0.75], np.float32),
    nats=np.array([-1.5, 0.0, 9.0], np.float32),
    followed=np.array([-1.5, 0.0, 9.0], np.float32),
    cohort=_COHORT / np.linalg.norm(_COHORT, axis=1, keepdims=True),
    shared=0.04,
    tail_offset=4.0,
    tail_slope=0.35,
    sure_offset=4.0,
    sure_nats=0.2,
    sure_log=1.0,
    sure_similarity=4.0,
    recipe="made up",
)
"""Like what is fitted to a real encoder, in three knots, with a cohort that has nothing to do with what is played."""
PER_HOP = 1.0 / 172800
"""One false alarm a day."""
LIMITS = TrackerLimits(hop_s=HOP_S, window_s=1.0, dim=DIM, ring_hops=360, bridge_hops=20, min_play_s=2.0, update_every_hops=0)

Sound = NDArray[np.float32]
"""Slots [n, DIM]."""


def recording(seed: int, seconds: float) -> Sound:
    """Make a recording."""
    return np.random.default_rng([77, seed]).standard_normal((round(seconds * SLOTS_A_SECOND), DIM)).astype(np.float32)


def fingerprints(sound: Sound, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Return the fingerprints [hops, DIM] of a sound, half a second of silence at its end, as the catalogue does.

    `noise` is what comes with a window that has nothing to do with it, over what has: 0.75 leaves a similarity of 0.8.
    """
    padded = np.concatenate([np.zeros((1, DIM)), sound, np.zeros((SLOTS_A_HOP, DIM))]).cumsum(axis=0)
    windows = (padded[2 * SLOTS_A_HOP :] - padded[: -2 * SLOTS_A_HOP])[::SLOTS_A_HOP]
    windows = windows / np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-6)
    windows = windows + noise * np.random.default_rng(seed).standard_normal(windows.shape) / DIM**0.5
    windows /= np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-6)
    return windows.astype(np.float32)


class Air:
    """What a station sends: something unknown, wherever nothing is played."""

    def __init__(self, seconds: float, seed: int = 1) -> None:
        self._seed = seed
        self.sound = recording(1000 + seed, seconds)

    def play(
        self,
        sound: Sound,
        at_s: float,
        *,
        from_s: float = 0.0,
        to_s: float | None = None,
        speed: float = 1.0,
        fade_s: float = 0.0,
        loud: float = 1.0,
    ) -> float:
        """Play a part of a recording; with a fade, what was there goes as it comes, and it goes at its end. Return its end."""
        end_s = at_s + ((len(sound) / SLOTS_A_SECOND if to_s is None else to_s) - from_s) / speed
        slots = np.arange(round(at_s * SLOTS_A_SECOND), min(round(end_s * SLOTS_A_SECOND), len(self.sound)))
        time_s = slots / SLOTS_A_SECOND
        source = np.rint((from_s + (time_s - at_s) * speed) * SLOTS_A_SECOND).astype(int).clip(0, len(sound) - 1)
        gain = np.ones(len(slots))
        if fade_s:
            gain = np.minimum((time_s - at_s) / fade_s, (end_s - time_s) / fade_s).clip(0.0, 1.0)
        part = self.sound[slots] * np.sqrt(1.0 - gain**2)[:, None] + loud * sound[source] * gain[:, None]
        self.sound[slots] = part
        return end_s

    def talk(self, at_s: float, to_s: float, loud: float = 4.0) -> None:
        """Put somebody's voice over what is there."""
        first, last = round(at_s * SLOTS_A_SECOND), round(to_s * SLOTS_A_SECOND)
        self.sound[first:last] += loud * recording(5000 + self._seed, to_s - at_s)

    def heard(self, noise: float = 0.75) -> NDArray[np.float32]:
        """Return the fingerprints of it all, with noise."""
        return fingerprints(self.sound, noise, seed=self._seed)


class Shelf:
    """A catalogue in memory: fits `Library`."""

    def __init__(self, vectors: Mapping[int, NDArray[np.float32]], generation: int = 1) -> None:
        self.generation = generation
        self._vectors = dict(vectors)
        self._ids = np.array(list(self._vectors), np.int64)
        self._starts = np.cumsum([0, *(len(rows) for rows in self._vectors.values())])
        self._table = np.concatenate([*self._vectors.values(), np.zeros((0, DIM), np.float32)])
        self.rows = len(self._table)

    @classmethod
    def of(cls, recordings: Mapping[int, Sound]) -> Shelf:
        """Fingerprint recordings."""
        return cls({who: fingerprints(sound) for who, sound in recordings.items()})

    def without(self, who: int) -> Shelf:
        """Return the next generation, in which a reference is gone."""
        return Shelf({one: rows for one, rows in self._vectors.items() if one != who}, self.generation + 1)

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        similarity = vectors @ self._table.T
        rows = np.argsort(-similarity, axis=1)[:, :k]
        near = np.take_along_axis(similarity, rows, 1)
        missing = ((0, 0), (0, k - rows.shape[1]))
        return np.pad(near, missing, constant_values=-np.inf), np.pad(rows, missing, constant_values=-1).astype(np.int64)

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        return np.where(rows >= 0, np.append(self._ids, -1)[owner], -1), rows - self._starts[owner]

    def hops(self, reference_id: int) -> int:
        return len(self._vectors.get(reference_id, ()))

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        return self._vectors[reference_id][start:stop]  # as the real one: KeyError where it is not there

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        return np.stack([stored(self, who, start, count) for who, start in zip(reference_ids, starts, strict=True)])

    def shorter(self, hops: int) -> int:
        return sum(len(rows) <= hops for rows in self._vectors.values())

    def kin(self, reference_id: int) -> tuple[Kinship, ...]:
        return tuple(
            Kinship(start=start, stop=stop, other_id=other, other_start=start + diagonal)
            for other, rows in self._vectors.items()
            if other != reference_id
            for start, stop, diagonal in self._shared(reference_id, rows)
        )

    def _shared(self, reference_id: int, rows: NDArray[np.float32]) -> list[tuple[int, int, int]]:
        mine = self._vectors.get(reference_id, rows[:0])
        places = np.argwhere(mine @ rows.T >= SAME_SOUND)
        diagonals = np.unique(places[:, 1] - places[:, 0]).tolist()
        return longest([(*one, diagonal) for diagonal in diagonals for one in shared(mine, rows, diagonal)])

    def reference(self, reference_id: int) -> Reference:
        return Reference(
            id=reference_id, path=f"/{reference_id}", title=f"T{reference_id}", duration_s=self.hops(reference_id) * HOP_S
        )


def follow(
    tracker: Tracker,
    vectors: NDArray[np.float32],
    shelf: Shelf,
    *,
    hops: Iterable[int] | None = None,
    needed: Needed | None = None,
) -> list[tuple[int, PlayEvent]]:
    """Send fingerprints through a tracker; return what it said, and at which hop."""
    needed = needed or Needed(
        anywhere=EVIDENCE.needed(shelf.rows, PER_HOP),
        whole=EVIDENCE.needed(3 * shelf.shorter(SPAN), PER_HOP),
        places=shelf.rows,
        wholes=3 * shelf.shorter(SPAN),
    )
    context = EVIDENCE.context(vectors)
    said = []
    for hop in range(len(vectors)) if hops is None else hops:
        near, rows = shelf.search(vectors[hop : hop + 1], 8)
        found, positions = shelf.locate(rows)
        (hits,) = Findings.of(found, positions, near, EVIDENCE).one_by_one()
        tracker.ring.put(hop, vectors[hop], context[hop])
        (events,) = play_round([Turn(tracker, hits, shelf)], needed, EVIDENCE)
        said += [(hop, event) for event in events]
    return said


def plays_of(events: Iterable[PlayEvent]) -> list[Play]:
    """Return the finished plays, by start, having asked that each was started once and ended once."""
    started: list[int] = []
    ended: dict[int, Play] = {}
    for event in events:
        if event.kind is EventKind.STARTED:
            assert event.number not in started
            started.append(event.number)
        assert event.number in started
        assert event.number not in ended
        if event.kind is EventKind.ENDED:
            ended[event.number] = event.play
    assert sorted(ended) == sorted(started)
    return sorted(ended.values(), key=lambda play: play.start_s)


def listen(air: Air, shelf: Shelf, *, limits: TrackerLimits = LIMITS, noise: float = 0.75) -> list[Play]:
    """Let a tracker hear a station from beginning to end; return the plays."""
    tracker = Tracker("radio", limits, EVIDENCE)
    events = [event for _, event in follow(tracker, air.heard(noise), shelf)]
    return plays_of([*events, *tracker.close(shelf)])
