"""Fingerprints in, plays out: the lookup and the tracking of all streams, the same for live sound and for files.

Knows the library in service and one tracker a stream. Called from one thread at a time. Knows nothing of sound, UTC or messages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN
from monitor.core.evidence import Evidence
from monitor.core.hits import Findings
from monitor.core.recipe import Recipe
from monitor.core.round import Turn, play_round
from monitor.core.tracker import Needed, Tracker, TrackerLimits
from monitor.facts import BatchMatched, DecoyHeard, Tell
from monitor.messages import Embeddings, EventKind, PlayEvent
from monitor.pipeline.decoys import Decoys
from monitor.pipeline.ports import Library
from monitor.settings import MatcherSettings

NEIGHBOURS = 8
"""Places looked up for each fingerprint: enough for a recording that repeats itself a few times, or has a few re-issues."""
WHOLE_PLACES = 3
"""Places at which a short recording counts as heard whole: it may be a hop early or late."""
LEAST_WHOLE = 15.0
"""Nats that are asked of a short recording at least, however few of them there are: what less would do was not measured."""
DAY_S = 86400.0


class Matcher:
    """Looks fingerprints up and follows what they agree on, stream by stream."""

    def __init__(self, library: Library, evidence: Evidence, recipe: Recipe, settings: MatcherSettings, tell: Tell) -> None:
        self._evidence, self._settings, self._recipe, self._tell = evidence, settings, recipe, tell
        self._limits = TrackerLimits(
            hop_s=recipe.hop_s,
            window_s=recipe.window_s,
            dim=recipe.dim,
            ring_hops=round(settings.ring_s / recipe.hop_s),
            bridge_hops=round(settings.bridge_s / recipe.hop_s),
            min_play_s=settings.min_play_s,
            update_every_hops=round(settings.update_every_s / recipe.hop_s),
        )
        self._trackers: dict[str, Tracker] = {}
        self._decoys = Decoys(settings.decoy_share, self._limits, evidence, library) if settings.decoy_share else None
        self.library = library
        self.swap(library)

    def swap(self, library: Library) -> None:
        """Put another generation of the catalogue into service; plays on air go on."""
        self.library = library
        per_hop = self._settings.false_alarms_per_day * self._recipe.hop_s / DAY_S
        wholes = WHOLE_PLACES * library.shorter(SPAN)
        self._needed = Needed(
            anywhere=self._evidence.needed(library.rows, per_hop),
            whole=max(self._evidence.needed(wholes, per_hop), LEAST_WHOLE),
            places=library.rows,
            wholes=wholes,
        )

    @property
    def needed(self) -> float:
        """Evidence that a play anywhere in the catalogue needs to be told, in nats."""
        return self._needed.anywhere

    @property
    def needed_both(self) -> tuple[float, float]:
        """The same, and that of a short recording heard from beginning to end."""
        return self._needed.anywhere, self._needed.whole

    def match(self, embeddings: Embeddings) -> list[PlayEvent]:
        """Take a batch, hops rising within each stream; return what there is to say."""
        started_s = time.monotonic()
        similarity, found, positions = self._look_up(embeddings)
        context = self._evidence.context(embeddings.vectors)
        searched_s = time.monotonic()
        findings = Findings.of(found, positions, similarity, self._evidence)
        own = findings.one_by_one()
        mirrored = self._decoys.mirrored(findings, self.library).one_by_one() if self._decoys else []
        events: list[list[PlayEvent]] = [[] for _ in embeddings.streams]
        for numbers in _rounds(embeddings.streams):
            trackers = [self._tracker(embeddings.streams[number]) for number in numbers]
            for number, tracker in zip(numbers, trackers, strict=True):
                tracker.ring.put(int(embeddings.hops[number]), embeddings.vectors[number], context[number])
            turns = [Turn(tracker, own[number], self.library) for number, tracker in zip(numbers, trackers, strict=True)]
            if self._decoys:
                turns += [self._decoys.turn(tracker, mirrored[number]) for number, tracker in zip(numbers, trackers, strict=True)]
            said = play_round(turns, self._needed, self._evidence)
            for number, some in zip(numbers, said, strict=False):
                events[number] = some
            for tracker, some in zip(trackers, said[len(trackers) :], strict=False):
                self._note_decoys(tracker, some)
        now_s = time.monotonic()
        self._tell(
            BatchMatched(
                windows=len(embeddings.streams),
                search_s=searched_s - started_s,
                track_s=now_s - searched_s,
                behind_s=now_s - float(embeddings.arrived_s.min()) if len(embeddings.streams) else 0.0,
            )
        )
        return [event for some in events for event in some]

    def _note_decoys(self, tracker: Tracker, events: Sequence[PlayEvent]) -> None:
        """Count the decoys that begin to be heard where nothing is on air."""
        count = sum(event.kind is EventKind.STARTED for event in events)
        if count and not tracker.busy(tracker.ring.newest):
            self._tell(DecoyHeard(stream=tracker.stream, count=count))

    def _tracker(self, stream: str) -> Tracker:
        tracker = self._trackers.get(stream)
        if tracker is None:
            tracker = self._trackers[stream] = Tracker(stream, self._limits, self._evidence)
        return tracker

    def _look_up(self, embeddings: Embeddings) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Return similarities, reference ids and positions of the nearest, [n, NEIGHBOURS]; id -1 is none, or was not asked for.

        A stream's first window in the batch is looked up if its tracker wants it; of later ones that is not known yet.
        """
        first = {stream: index for index, stream in reversed(list(enumerate(embeddings.streams)))}
        asked = np.array(
            [
                first[stream] != index or self._tracker(stream).wants(int(embeddings.hops[index]))
                for index, stream in enumerate(embeddings.streams)
            ],
            np.bool_,
        )
        shape = (len(asked), NEIGHBOURS)
        similarity, rows = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64)
        if asked.any():
            similarity[asked], rows[asked] = self.library.search(embeddings.vectors[asked], NEIGHBOURS)
        found, positions = self.library.locate(rows)
        return similarity, np.where(rows >= 0, found, -1), positions

    def close(self, stream: str) -> list[PlayEvent]:
        """End the plays of a stream that is over."""
        tracker = self._trackers.pop(stream, None)
        if self._decoys:
            self._decoys.forget(stream)
        return tracker.close(self.library) if tracker else []

    def close_all(self) -> list[PlayEvent]:
        """End all plays of all streams."""
        return [event for stream in list(self._trackers) for event in self.close(stream)]


def _rounds(streams: Sequence[str]) -> list[list[int]]:
    """Return the numbers of the hops of a batch, each stream's first ones together, then each one's second, and so on."""
    rounds: list[list[int]] = []
    seen: dict[str, int] = {}
    for number, stream in enumerate(streams):
        turn = seen[stream] = seen.get(stream, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(number)
    return rounds
