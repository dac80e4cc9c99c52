"""One recording on air: where it is, how long already, and whether it still is.

Follows a line through the stored fingerprints; no search is needed once a recording is found. Knows fingerprints, hops and
evidence. Knows nothing of what else is on air, of stations or of thresholds.

Start and end are where the accumulated evidence turned: the running sum from one hop to the next, its highest point so far, and the
time since.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import NEW_AFTER, Alignment, References, before, novelty, steadiness, stored
from monitor.core.evidence import Evidence
from monitor.core.levels import Levels
from monitor.core.line import FITTED, Line, Positions, along
from monitor.core.ring import Heard, Ring
from monitor.core.rival import SEPARATE_NATS, Rival, lead, partly_filled
from monitor.core.window import REACH, Place, Window, around
from monitor.messages import Usage

LONGER_VERSION = 6
"""Hops that are waited for where a recording ends: a longer version has to show that it goes on, a repeat that it was the place."""
SAME_PLACE = 2.0
"""Hops within which two positions in a recording are the same place."""
_HEARD = np.ones(1, np.bool_)


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
        self.rivals: list[Rival] = []
        self.references, self._evidence, self._bridge = references, evidence, bridge
        self._positions = Positions()
        self.detected_hop = found.hop
        self.told_hop = found.hop
        self.places = 0
        """Places in the catalogue that it was found among."""
        self.told: tuple[int, tuple[int, ...]] = (self.reference_id, ())
        """Reference and alternatives that were told last."""
        self.now: tuple[NDArray[np.float32], float] | None = None
        """What is stored where the play is now, and how alike what was heard last is to it; none before anything was followed."""
        self._look_back(ring, found.hop - found.hops + 1, others)
        self._found_nats, self._found_best = found.evidence, self.best_total

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
        self.first_hop = self.explains_from = newest - taken + 1
        news = np.where(nats > 0, nats * novelty(self._before_along(hops), steadiness(heard.vectors[None])[0]), nats)
        self.found_total = float(news[::-1].cumsum()[:taken].max())
        forward = nats[len(nats) - taken :].cumsum()
        self.best_total = float(forward.max())
        self.last_hop = self.first_hop + int(forward.argmax())
        self.total = float(forward[-1])
        inside = slice(len(nats) - taken, None)
        present = heard.present[inside]
        good = present & (nats[inside] > 0)
        self._levels = Levels(hops[inside][present], similarity[inside][present], good[present])
        clear = (np.flatnonzero(good) + len(nats) - taken)[-FITTED:]
        near = [round(self.line.at(hop)) for hop in hops[clear].tolist()]
        if near:
            rows = self.references.stretches([self.reference_id] * len(near), [at - REACH for at in near], 2 * REACH + 1)
            for hop, one, worth in zip(
                hops[clear].tolist(), around(near, rows, heard.vectors[clear]), nats[clear].tolist(), strict=True
            ):
                self._positions.note(hop, one, worth)
        self._refit()

    def stored_along(self, hops: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the stored fingerprints [n, dim] on the line, at rising hops [n]."""
        return along(self.references, self.reference_id, self.line, hops)

    def _before_along(self, hops: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how steady the recording is on the line, at rising hops [n]: as at the stored window there, or just before."""
        rows = self.line.halves(hops) >> 1
        first = int(rows[0]) - NEW_AFTER
        table = stored(self.references, self.reference_id, first, int(rows[-1]) - first + 1)
        steady: NDArray[np.float32] = before(table[None])[0][rows - first]
        return steady

    def unexplained(
        self, heard: Heard, theirs: NDArray[np.float32], mine: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return how alike what was heard and other fingerprints [n, dim] are beyond common sounds and beyond this play.

        Hops outside the play are not explained by it, but those are that its line goes through and an earlier play of the recording
        was told of. `mine` is what is `stored_along` the hops, where that is at hand.
        """
        hops = heard.hops
        mine = self.stored_along(hops) if mine is None else mine
        shared = heard.similarity(mine).clip(0.0) * np.einsum("nd,nd->n", mine, theirs).clip(0.0)
        inside = self.explains(hops)
        plain = heard.similarity(theirs)
        distinct = plain - heard.common(theirs)
        rest: NDArray[np.float32] = np.where(inside, np.minimum(distinct, plain - shared), distinct)
        return rest

    def explains(self, hops: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which of the hops [n] the play accounts for, whether they are told with it or with an earlier play."""
        return (hops >= self.explains_from) & (hops <= self.last_hop)

    def place(self, hop: int) -> Place:
        """Return where in the recording the play is at a hop."""
        return Place(references=self.references, reference_id=self.reference_id, position=self.line.at(hop))

    def hear(self, hop: int, heard: NDArray[np.float32], window: Window) -> None:
        """Take the next fingerprint and its context, [1 + NEAREST, dim], held against the play's place at that hop."""
        own, nats = window.similarity, window.nats
        self.now = window.stored, own
        self._levels.note(hop, own, speaks=nats > 0)
        self.total += nats
        if self.total > self.best_total:
            self.best_total, self.last_hop = self.total, hop
        if self._positions.note(hop, window.around, nats) and self._positions.due:
            self._refit()
        if self.rivals:
            newest = Heard(newest=hop, vectors=heard[:1], context=heard[None, 1:], present=_HEARD)
            for rival in self.rivals:
                if not rival.out:
                    self._weigh(rival, newest)

    def lost(self, hop: int) -> bool:
        """Say whether the play ends: it has not been heard for too long, or the recording has ended, and what follows was heard."""
        beyond = self.line.at(hop) - self.references.hops(self.reference_id)
        return beyond >= LONGER_VERSION or hop - self.last_hop > self._bridge

    def over(self, hop: int) -> bool:
        """Say whether the recording has ended, and none that is the same sound goes on and may take over."""
        beyond = self.line.at(hop) - self.references.hops(self.reference_id)
        goes_on = beyond < LONGER_VERSION and any(
            not rival.out and self.line.at(hop) + rival.offset < self.references.hops(rival.reference_id) - LONGER_VERSION
            for rival in self.rivals
        )
        return beyond >= 1 and not goes_on

    def finished(self, hops: float) -> bool:
        """Say whether the recording was heard to its end, or within so many hops of it."""
        return self.references.hops(self.reference_id) - self.line.at(self.last_hop) <= hops

    def forget_details(self) -> None:
        """Keep only where it was: what is asked of a play that is over and was told so."""
        self.now = None
        self.rivals = []
        self._positions.forget()
        self._levels.forget()

    @property
    def nats(self) -> float:
        """What it was found with, and what came since: comparable with what a play needs."""
        return self._found_nats + self.best_total - self._found_best

    def _refit(self) -> None:
        """Follow the line through the noted positions; where its speed has changed, keep that the play began on."""
        if fitted := self._positions.fit():
            line, changed = fitted
            if changed:
                self._begin = self.begin
            if 0.9 < line.speed < 1.1:
                self.line = line

    def elsewhere(self, found: Alignment, ring: Ring) -> LivePlay:
        """Return the play as it would be where an alignment has it."""
        return LivePlay(self.number, found, ring, self.references, self._evidence, bridge=self._bridge)

    def mistaken(self, other: LivePlay) -> bool:
        """Say whether the play was elsewhere all along: that explains the whole of it, and better."""
        return other.first_hop <= self.first_hop + 1 and other.best_total > self.best_total

    def jump(self, found: Alignment, other: LivePlay) -> None:
        """Go on elsewhere in the recording: an edit, a loop, or a place that was mistaken for its repetition."""
        if self.mistaken(other):
            self.first_hop = self.explains_from = other.first_hop
            self.total, self.best_total, self._levels = other.total, other.best_total, other._levels
            self._begin = None
        else:
            self._begin = self.begin if other.reference_id == self.reference_id else None
            gained = max(found.evidence, 0.0)
            self.total = self.best_total = max(self.best_total, self.total + gained)
        self._found_nats, self._found_best = max(self.nats, found.evidence), self.best_total
        self.reference_id, self.line = other.reference_id, other.line
        self._positions.take(other._positions)
        self.rivals = []
        self.last_hop = max(self.last_hop, other.last_hop)

    def add_rival(self, reference_id: int, offset: float, heard: Heard) -> None:
        """Take up a recording that is the same sound here, unless it is known already.

        Args:
            reference_id: Which.
            offset: Its position less that of the play's recording, in hops.
            heard: What was heard so far, which may tell them apart at once.
        """
        if any(one.reference_id == reference_id and abs(one.offset - offset) < SAME_PLACE for one in self.rivals):
            return
        rival = Rival(reference_id, offset)
        inside = heard.tail(max(min(len(heard), heard.newest - self.first_hop + 1), 1))
        self._weigh(rival, inside)
        self.rivals.append(rival)

    def _weigh(self, rival: Rival, heard: Heard) -> None:
        """Hold what was heard against both.

        A window that one of them fills in part is for that reason alike to the other, if that goes on: it does not speak for it.
        """
        line = Line(self.line.hop, self.line.position + rival.offset, self.line.speed)
        theirs = along(self.references, rival.reference_id, line, heard.hops)
        more = lead(heard, self.stored_along(heard.hops), theirs, self._evidence)
        mine_partly = partly_filled(self.line.halves(heard.hops), self.references.hops(self.reference_id))
        theirs_partly = partly_filled(line.halves(heard.hops), self.references.hops(rival.reference_id))
        more = np.where(mine_partly, more.clip(0.0), more)
        more = np.where(theirs_partly, more.clip(None, 0.0), more)
        rival.behind += float(more.sum())

    def yield_to_best(self) -> bool:
        """Let the rival that is ahead of all, by enough, take over; say whether one did."""
        best = min(self.rivals, key=lambda one: one.behind, default=None)
        if best is None or best.behind > -SEPARATE_NATS:
            return False
        offset, ahead = best.offset, -best.behind
        for rival in self.rivals:
            rival.offset -= offset
            rival.behind += ahead
        self.rivals.remove(best)
        self.rivals.append(Rival(self.reference_id, -offset, ahead))
        self.reference_id = best.reference_id
        self.line = Line(self.line.hop, self.line.position + offset, self.line.speed)
        if self._begin is not None:
            self._begin = Line(self._begin.hop, self._begin.position + offset, self._begin.speed)
        self._positions.shift(offset)
        self.total += ahead
        self.best_total = max(self.best_total, self.total)
        return True

    @property
    def alternatives(self) -> tuple[int, ...]:
        """Other references that all that was heard fits as well, rising."""
        return tuple(sorted({one.reference_id for one in self.rivals if not one.out} - {self.reference_id}))

    def beside(self, reference_id: int, position: float, hop: int) -> bool:
        """Say whether a place is where the play is, or one of its rivals."""
        off = position - self.line.at(hop)
        return (reference_id == self.reference_id and abs(off) < SAME_PLACE) or any(
            one.reference_id == reference_id and abs(off - one.offset) < SAME_PLACE for one in self.rivals
        )

    @property
    def begin(self) -> Line:
        """The line the play began on: that before its first jump."""
        return self._begin or self.line

    @property
    def edges(self) -> tuple[float, float]:
        """How much of its first and of its last window the recording fills."""
        return self._levels.edges(self.first_hop, self.last_hop)

    @property
    def soft(self) -> tuple[bool, bool]:
        """Whether it came up softly, and whether it went so."""
        return self._levels.soft(self.first_hop, self.last_hop)

    @property
    def usage(self) -> Usage:
        """How the recording was used: in the foreground, or under something louder."""
        return self._levels.usage(self.first_hop, self.last_hop, self._evidence, self.line.speed)

    @property
    def similarity(self) -> float:
        """Mean similarity of the windows that speak for the recording."""
        return self._levels.mean
