"""One recording on air: where it is, how long already, and whether it still is.

Follows a line through the stored fingerprints; no search is needed once a recording is found. Knows fingerprints, hops and
evidence. Knows nothing of what else is on air, of stations or of thresholds.

The line is fitted by least squares through the sub-hop positions of the windows that speak for the recording (a parabola through
the similarities of the nearest stored window and its neighbours), so it yields the speed. Start and end are where the accumulated
evidence turned: the running sum from one hop to the next, its highest point so far, and the time since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import NEW_AFTER, Alignment, References, novelty, stored
from monitor.core.evidence import Evidence
from monitor.core.ring import Heard, Ring

FITTED = 240
"""Windows the line is fitted through: two minutes."""
TRUSTED = 12
"""Windows needed before the fitted speed replaces the scored one."""
CLEAR_NATS = 1.0
"""Evidence of a window that may tell where in the recording it is."""


@dataclass(slots=True)
class Line:
    """Position in the recording, in hops, as a straight function of the stream's hop."""

    hop: float
    position: float
    speed: float

    def at(self, hop: float) -> float:
        """Return the position at a hop."""
        return self.position + self.speed * (hop - self.hop)

    def when(self, position: float) -> float:
        """Return the hop at which a position is reached."""
        return self.hop + (position - self.position) / self.speed


def along(references: References, reference_id: int, line: Line, hops: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the stored fingerprints [n, dim] of a recording on a line, at rising hops [n]."""
    positions = np.rint(line.position + line.speed * (hops - line.hop)).astype(np.int64)
    first = int(positions[0])
    table = stored(references, reference_id, first, int(positions[-1]) - first + 1)
    vectors: NDArray[np.float32] = np.take(table, positions - first, axis=0)
    return vectors


class LivePlay:
    """A recording that is being followed."""

    def __init__(
        self,
        number: int,
        found: Alignment,
        ring: Ring,
        references: References,
        evidence: Evidence,
        *,
        bridge: int,
        others: Sequence[LivePlay] = (),
    ) -> None:
        """Take up an alignment and look back in the ring for its start.

        Args:
            number: Of the play on its stream.
            found: Where it was found.
            ring: What was heard.
            references: What is stored.
            evidence: What a similarity says.
            bridge: Hops that may say nothing for the recording without ending it.
            others: Plays whose sound must not be taken for this one's when looking back.
        """
        self.number = number
        self.reference_id = found.reference_id
        self.line = Line(found.hop, found.position, found.speed)
        self._begin: Line | None = None
        self.references, self._evidence, self._bridge = references, evidence, bridge
        self._points: list[tuple[int, float, float]] = []
        self.detected_hop = found.hop
        self.told_hop = found.hop
        self._look_back(ring, found.hop - found.hops + 1, others)

    def __repr__(self) -> str:
        return (
            f"LivePlay({self.number}, reference {self.reference_id}, hops {self.first_hop}-{self.last_hop}, {self.total:.0f} nats)"
        )

    def _look_back(self, ring: Ring, sure: int, others: Sequence[LivePlay]) -> None:
        """Find the start: follow the line back through the ring until evidence has been lacking for too long.

        Before the hop `sure`, what another play accounts for says nothing for this one.
        """
        newest = ring.newest
        length = int(min(ring.capacity, newest + 1, max(self.line.at(newest), 0.0) / self.line.speed + 2))
        heard = ring.last(max(length, 1))
        hops = heard.hops
        mine = self.stored_along(hops)
        similarity = heard.similarity(mine)
        distinct = heard.distinct(mine)
        for other in others:
            distinct = np.where(hops < sure, np.minimum(distinct, other.unexplained(heard, mine)), distinct)
        nats = np.where(heard.present, self._evidence.of_followed(distinct), 0.0)
        back = nats[::-1].cumsum()
        peak = np.maximum.accumulate(back)
        since = np.arange(len(back)) - np.maximum.accumulate(np.where(back >= peak, np.arange(len(back)), 0))
        over = np.nonzero(since > self._bridge)[0]
        reach = int(over[0]) if len(over) else len(back)
        taken = int(back[:reach].argmax()) + 1
        self.first_hop = newest - taken + 1
        news = np.where(nats > 0, nats * novelty(mine[None])[0], nats) if len(mine) > NEW_AFTER else nats
        self.found_total = float(news[::-1].cumsum()[:taken].max())
        forward = nats[len(nats) - taken :].cumsum()
        self.best_total = float(forward.max())
        self.last_hop = self.first_hop + int(forward.argmax())
        self.total = float(forward[-1])
        inside = slice(len(nats) - taken, None)
        good = heard.present[inside] & (nats[inside] > 0)
        self._alike_sum = float(similarity[inside][good].sum())
        self._alike_count = int(good.sum())
        for number in np.nonzero(good)[0] + len(nats) - taken:
            self._note_position(int(hops[number]), heard.vectors[number], float(nats[number]))
        self._refit()

    def stored_along(self, hops: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the stored fingerprints [n, dim] on the line, at rising hops [n]."""
        return along(self.references, self.reference_id, self.line, hops)

    def unexplained(self, heard: Heard, theirs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how alike what was heard and other fingerprints [n, dim] are beyond common sounds and beyond this play.

        Hops outside the play are not explained by it.
        """
        mine = self.stored_along(heard.hops)
        shared = heard.similarity(mine).clip(0.0) * np.einsum("nd,nd->n", mine, theirs).clip(0.0)
        inside = (heard.hops >= self.first_hop) & (heard.hops <= self.last_hop)
        distinct = heard.distinct(theirs)
        rest: NDArray[np.float32] = np.where(inside, np.minimum(distinct, heard.similarity(theirs) - shared), distinct)
        return rest

    def hear(self, heard: Heard) -> None:
        """Take the next fingerprint, the only one in `heard`."""
        hop, mine = heard.newest, self.stored_along(heard.hops)
        nats = float(self._evidence.of_followed(heard.distinct(mine))[0])
        self.total += nats
        if nats > 0:
            self._alike_sum += float(heard.similarity(mine)[0])
            self._alike_count += 1
        if self.total > self.best_total:
            self.best_total, self.last_hop = self.total, hop
        if self._note_position(hop, heard.vectors[0], nats):
            self._refit()

    def lost(self, hop: int) -> bool:
        """Say whether the play is over: the recording has ended, or it has not been heard for too long."""
        return self.line.at(hop) >= self.references.hops(self.reference_id) + 1 or hop - self.last_hop > self._bridge

    def _note_position(self, hop: int, vector: NDArray[np.float32], nats: float) -> bool:
        """Keep where in the recording a window was, to a fraction of a hop; say whether it could tell."""
        near = round(self.line.at(hop))
        alike = stored(self.references, self.reference_id, near - 2, 5) @ vector
        top = int(alike[1:4].argmax()) + 1
        left, middle, right = (float(alike[top + step]) for step in (-1, 0, 1))
        bend = left - 2 * middle + right
        if nats <= CLEAR_NATS or bend >= -1e-3:
            return False
        shift = max(-0.5, min(0.5, 0.5 * (left - right) / bend))
        self._points.append((hop, near - 2 + top + shift, nats))
        del self._points[:-FITTED]
        return True

    def _refit(self) -> None:
        """Fit the line through the noted positions, weighted by their evidence, twice: the second time without the outliers."""
        if len(self._points) < TRUSTED or self._points[-1][0] - self._points[0][0] < TRUSTED:
            return
        hops, positions, weights = np.array(self._points).T
        for _ in range(2):
            share = weights / weights.sum()
            middle, level = share @ hops, share @ positions
            spread = share @ (hops - middle) ** 2
            if spread < 1e-6:
                return
            speed = float(share @ ((hops - middle) * (positions - level)) / spread)
            off = np.abs(positions - level - speed * (hops - middle))
            weights = weights * (off < max(3 * float(np.median(off)), 0.1))
            if weights.sum() <= 0:
                return
        if 0.9 < speed < 1.1:
            self.line = Line(float(middle), float(level), speed)

    def jump(self, found: Alignment, ring: Ring) -> None:
        """Go on elsewhere in the recording: an edit, a loop, or a place that was mistaken for its repetition.

        If the new line explains the whole play as well as the old one did, it was the right one all along.
        """
        other = LivePlay(self.number, found, ring, self.references, self._evidence, bridge=self._bridge)
        if other.first_hop <= self.first_hop + 1 and other.best_total > self.best_total:
            self.first_hop, self.total, self.best_total = other.first_hop, other.total, other.best_total
            self._begin = None
        else:
            self._begin = self.begin if other.reference_id == self.reference_id else None
            gained = max(found.evidence, 0.0)
            self.total = self.best_total = max(self.best_total, self.total + gained)
        self.reference_id, self.line, self._points = other.reference_id, other.line, other._points
        self.last_hop = max(self.last_hop, other.last_hop)

    @property
    def begin(self) -> Line:
        """The line the play began on: that before its first jump."""
        return self._begin or self.line

    @property
    def similarity(self) -> float:
        """Mean similarity of the windows that speak for the recording."""
        return self._alike_sum / self._alike_count if self._alike_count else 0.0
