"""A watch on the false-alarm budget: references that cannot be on air, because they are played backwards.

What is told of such a decoy is a false alarm for certain, and as alike in every other respect as can be: the fingerprints are those
of the catalogue, in the reverse order (target and decoy, as with reversed protein sequences: Elias and Gygi, Nature Methods 4,
2007). So decoys are told about as often as unknown audio is taken for a recording, and an operator sees whether the budget
holds, with no truth at hand. Nothing is stored and nothing is looked up twice: a hit on a fingerprint is a hit on its mirror image.
Knows one tracker a stream, apart from the one whose plays are told. Knows nothing of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.hits import Findings, Found
from monitor.core.round import Turn
from monitor.core.tracker import Tracker, TrackerLimits
from monitor.messages import Kinship
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

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:
        """Return vectors [n, count, dim] of n stretches, counted from the references' ends; zero outside them."""
        ends = [self.library.hops(who) - start for who, start in zip(reference_ids, starts, strict=True)]
        return self.library.stretches(reference_ids, [end - count for end in ends], count)[:, ::-1]


class Decoys:
    """Decoys of a share of the references, listened for on all streams."""

    def __init__(self, share: float, limits: TrackerLimits, evidence: Evidence, library: Library) -> None:
        self._share, self._limits, self._evidence = share, limits, evidence
        self._trackers: dict[str, Tracker] = {}
        self._mirror = Mirror(library)

    def mirrored(self, findings: Findings, library: Library) -> Findings:
        """Return what searches found as hits on the decoys: of a hit on a reference that has one, its mirror image."""
        if self._mirror.library is not library:
            self._mirror = Mirror(library)
        some = findings.where(self.chosen(findings.references))
        hops = np.array([library.hops(who) for who in some.references.tolist()], np.int64)
        return replace(some, positions=hops - 1 - some.positions)

    def turn(self, tracker: Tracker, found: Found) -> Turn:
        """Return the step of the tracker of a stream's decoys, which hears what the stream's own tracker does.

        Args:
            tracker: The stream's own.
            found: What of `mirrored` is the hop's.
        """
        decoys = self._trackers.get(tracker.stream)
        if decoys is None:
            decoys = self._trackers[tracker.stream] = Tracker(tracker.stream, self._limits, self._evidence, tracker.ring)
        return Turn(decoys, found, self._mirror)

    def chosen(self, reference_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which references have a decoy."""
        is_one: NDArray[np.bool_] = (reference_ids * _SPREAD) % 2**32 < self._share * 2**32
        return is_one

    def forget(self, stream: str) -> None:
        """Drop a stream that is over."""
        self._trackers.pop(stream, None)
