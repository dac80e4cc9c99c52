"""What was told against what was on air, by the rules of BAF.

Rules as in the evaluation that comes with the set (Cortes et al., BAF, ISMIR 2022; `compute_statistics.py` in its repository).
On each station and for each reference the time axis is cut wherever a true or a told segment begins or ends. A piece that lies
in both is right, in a told one only false, in a true one only missed; summed lengths give precision and recall in seconds
(pieces are counted once, however many segments cover them). A told segment is right if any piece of it is, a true one found if
any piece of it is: matches. Matches per true play are right told segments by true ones found. Recall in matches is true ones
found by all true ones.

Knows segments only. `sed_eval` would compute the seconds, but rests on a package that was last released in 2018 and pulls in a
feature extractor; the tests compare with a slow plain count instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A reference on a station for a while."""

    station: str
    reference: str
    start_s: float
    end_s: float

    def overlaps(self, other: Segment) -> bool:
        """Say whether both are of the same reference on the same station at some time."""
        return (self.station, self.reference) == (other.station, other.reference) and (
            min(self.end_s, other.end_s) > max(self.start_s, other.start_s)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How much, or how many, was right, false and missed."""

    right: float = 0.0
    false: float = 0.0
    missed: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(right=self.right + other.right, false=self.false + other.false, missed=self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of what was told that is right; 1 where nothing was told."""
        told = self.right + self.false
        return self.right / told if told else 1.0

    @property
    def recall(self) -> float:
        """Share of what was on air that was told; 1 where nothing was on air."""
        true = self.right + self.missed
        return self.right / true if true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = 2 * self.right + self.false + self.missed
        return 2 * self.right / both if both else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Told and true segments, whole ones."""

    told_right: int = 0
    told_false: int = 0
    true_found: int = 0
    true_missed: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(
            told_right=self.told_right + other.told_right,
            told_false=self.told_false + other.told_false,
            true_found=self.true_found + other.true_found,
            true_missed=self.true_missed + other.true_missed,
        )

    @property
    def precision(self) -> float:
        """Share of told segments that are right; 1 where nothing was told."""
        told = self.told_right + self.told_false
        return self.told_right / told if told else 1.0

    @property
    def recall(self) -> float:
        """Share of true segments that were found; 1 where there was none."""
        true = self.true_found + self.true_missed
        return self.true_found / true if true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def per_play(self) -> float:
        """Right told segments for each true one that was found."""
        return self.told_right / self.true_found if self.true_found else 0.0


def seconds(true: Iterable[Segment], told: Iterable[Segment]) -> Count:
    """Count seconds by the rules above."""
    edges: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)
    for which, segments in enumerate((true, told)):
        for segment in segments:
            if segment.end_s > segment.start_s:
                edges[segment.station, segment.reference] += [(segment.start_s, which, 1), (segment.end_s, which, -1)]
    sums = {(True, True): 0.0, (False, True): 0.0, (True, False): 0.0, (False, False): 0.0}
    for events in edges.values():
        depth, since = [0, 0], 0.0
        for at_s, which, step in sorted(events):
            sums[depth[0] > 0, depth[1] > 0] += at_s - since
            since = at_s
            depth[which] += step
    return Count(right=sums[True, True], false=sums[False, True], missed=sums[True, False])


def matches(true: Sequence[Segment], told: Sequence[Segment]) -> Matches:
    """Count matches by the rules above."""
    right = sum(any(one.overlaps(play) for play in true) for one in told)
    found = sum(any(one.overlaps(play) for one in told) for play in true)
    return Matches(told_right=right, told_false=len(told) - right, true_found=found, true_missed=len(true) - found)
