"""A watch on the false-alarm budget: references that cannot be on air, because they are played backwards.

What is told of such a decoy is a false alarm for certain, and as alike in every other respect as can be: the fingerprints are those
of the catalogue, in the reverse order (target and decoy, as with reversed protein sequences: Elias and Gygi, Nature Methods 4,
2007). So decoys are told about as often as unknown audio is taken for a recording, and an operator sees whether the budget
holds, with no truth at hand. Nothing is stored and nothing is looked up twice: a hit on a fingerprint is a hit on its mirror image.
Knows one tracker a stream, apart from the one whose plays are told. Knows nothing of messages.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.tracker import Needed, Tracker, TrackerLimits
from monitor.messages import EventKind, Kinship
from monitor.pipeline.ports import Library

_SPREAD = 2654435761
"""Knuth's multiplier: spreads consecutive ids over 32 bits (The Art of Computer Programming 3, section 6.4)."""


class Mirror:
    """The references of a library, backwards: fits `core.alignment.References`."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def hops(self, reference_id: int) -> int:
        """Return the number of fingerprints of a reference; 0 when unknown."""
        return self.library.hops(reference_id)

    def kin(self, _reference_id: int, /) -> tuple[Kinship, ...]:
        """Return nothing: that two decoys share a sound changes nothing."""
        return ()

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:
        """Return vectors [stop - start, dim] of consecutive hops, counted from the reference's end."""
        hops = self.library.hops(reference_id)
        return self.library.fingerprints(reference_id, hops - stop, hops - start)[::-1]


class Decoys:
    """Decoys of a share of the references, listened for on all streams."""

    def __init__(self, share: float, limits: TrackerLimits, evidence: Evidence) -> None:
        self._share, self._limits, self._evidence = share, limits, evidence
        self._trackers: dict[str, Tracker] = {}
        self._mirror: Mirror | None = None

    def listen(
        self,
        stream: str,
        hop: int,
        fingerprint: tuple[NDArray[np.float32], NDArray[np.float32]],
        hits: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
        library: Library,
        *,
        needed: Needed,
    ) -> int:
        """Take what the stream's own tracker is given; return how many decoys begin to be heard.

        Args:
            stream: Which stream.
            hop: Which hop.
            fingerprint: The vector [dim] and its context.
            hits: Reference ids, positions and similarities, [k] each; an id of -1 is no hit.
            library: Where the references are.
            needed: Evidence a play needs to be told.
        """
        tracker = self._trackers.get(stream)
        if tracker is None:
            tracker = self._trackers[stream] = Tracker(stream, self._limits, self._evidence)
        if self._mirror is None or self._mirror.library is not library:
            self._mirror = Mirror(library)
        found, positions, similarity = hits
        chosen = (found >= 0) & self.chosen(found)
        mirrored = np.array([library.hops(int(who)) - 1 - at for who, at in zip(found[chosen], positions[chosen], strict=True)])
        events = tracker.step(
            hop,
            fingerprint,
            (found[chosen], mirrored.astype(np.int64), similarity[chosen]),
            self._mirror,
            needed=needed,
        )
        return sum(event.kind is EventKind.STARTED for event in events)

    def chosen(self, reference_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which references have a decoy."""
        is_one: NDArray[np.bool_] = (reference_ids * _SPREAD) % 2**32 < self._share * 2**32
        return is_one

    def forget(self, stream: str) -> None:
        """Drop a stream that is over."""
        self._trackers.pop(stream, None)
