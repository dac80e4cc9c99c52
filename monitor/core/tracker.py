"""What is on air on one stream: from alignments to plays.

Knows hops, alignments and how much evidence a play needs. Decides when a play starts, goes on elsewhere in its recording, changes
its name, and ends. Knows nothing of UTC, names, searches or messages.

Evidence that another play already accounts for does not count twice. Let p be the similarity of the heard window to the recording
on air, c that of the two stored windows to each other, n that of the heard window to the new candidate: if the candidate is only
alike,
n is about p * c. What is counted is the evidence of n - p * c. So re-issues, shared samples and a recording's own repetitions
stay silent while the right one is known, and a second recording on top of the first is still heard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN, Alignment, References, score
from monitor.core.evidence import Evidence
from monitor.core.hits import Hits
from monitor.core.play import Line, LivePlay, along
from monitor.core.ring import Heard, Ring
from monitor.messages import EventKind, Play, PlayEvent

START_AFTER_S = 0.3
"""How far into its first window that speaks for it a recording begins, on average (measured on validation, foreground)."""
END_AFTER_S = 0.7
"""The same for its end in the last window."""
SNAP_S = 1.2
"""A play that begins or ends so near to the recording's own beginning or end does so exactly there."""
HINT_SHARE = 0.3
"""Share of the needed evidence from which on it is worth looking farther back for the rest."""
LONG_FACTOR = 2.6
"""How many times the needed evidence is asked for then, on the curve for following, which is kinder to weak windows."""
SAME_SOUND = 0.8
"""Mean similarity of two stored stretches from which on they count as the same sound under two names."""
BETTER_NATS = 8.0
"""By how much another explanation of the same sound must be better to replace the one that was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerLimits:
    """The numbers a tracker needs, in hops and seconds."""

    hop_s: float
    window_s: float
    dim: int
    ring_hops: int
    bridge_hops: int
    min_play_s: float
    update_every_hops: int
    """0: a running play is not told again."""


class Tracker:
    """Plays of one stream. It is told hop after hop; it never asks."""

    def __init__(self, stream: str, limits: TrackerLimits, evidence: Evidence) -> None:
        self._stream, self._limits, self._evidence = stream, limits, evidence
        self._ring = Ring(limits.ring_hops, limits.dim)
        self._hits = Hits(single=0.6 * evidence.highest)
        self._live: list[LivePlay] = []
        self._past: list[LivePlay] = []
        self._count = 0
        self._fingerprints = 0

    def __repr__(self) -> str:
        return f"Tracker({self._stream}, {len(self._live)} on air)"

    def step(
        self,
        hop: int,
        fingerprint: tuple[NDArray[np.float32], NDArray[np.float32]],
        hits: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
        references: References,
        *,
        needed: float,
        fingerprints: int,
    ) -> list[PlayEvent]:
        """Take one fingerprint and what the search found for it.

        Args:
            hop: Which hop; hops rise, missing ones were not heard.
            fingerprint: The vector [dim] and its context, see `Evidence.context`.
            hits: Reference ids, positions (hops) and similarities, [k] each; an id of -1 is no hit.
            references: What is stored now.
            needed: Evidence a play needs to be told, in nats.
            fingerprints: Size of the catalogue, for the confidence.

        Returns:
            What there is to say, in order.
        """
        self._take_up(references)
        self._ring.put(hop, *fingerprint)
        self._fingerprints = fingerprints
        found, positions, similarity = hits
        there = found >= 0
        self._hits.put(hop, found[there], positions[there], self._evidence.of_hit(similarity[there]))
        heard = self._ring.last(SPAN)
        events = self._follow(heard.tail(1), references)
        proposals = [(who, at) for who, at in self._hits.proposals(hop) if references.hops(who) and not self._on_line(who, at, hop)]
        if proposals:
            for candidate in sorted(score(heard, proposals, references, self._evidence), key=lambda one: -one.evidence):
                if candidate.evidence >= needed * HINT_SHARE:
                    events += self._consider(candidate, heard, references, needed)
        return events

    def close(self, references: References) -> list[PlayEvent]:
        """End all plays: nothing more will be heard."""
        events = [self._event(EventKind.ENDED, play, references) for play in self._live]
        self._live.clear()
        return events

    def _follow(self, newest: Heard, references: References) -> list[PlayEvent]:
        events, hop = [], newest.newest
        for play in list(self._live):
            if references.hops(play.reference_id):
                play.hear(newest)
            if not references.hops(play.reference_id) or play.lost(hop):
                events.append(self._end(play, references))
            elif self._limits.update_every_hops and hop - play.told_hop >= self._limits.update_every_hops:
                play.told_hop = hop
                events.append(self._event(EventKind.UPDATED, play, references))
        return events

    def _end(self, play: LivePlay, references: References) -> PlayEvent:
        """Take a play off the air; the last eight are remembered, for what sounds like them."""
        self._live.remove(play)
        self._past = [*self._past[-7:], play]
        return self._event(EventKind.ENDED, play, references)

    def _take_up(self, references: References) -> None:
        """Let all plays look into this generation of the catalogue, and forget past ones of recordings it no longer has."""
        self._past = [play for play in self._past if references.hops(play.reference_id)]
        for play in (*self._live, *self._past):
            play.references = references

    def _on_line(self, who: int, position: int, hop: int) -> bool:
        """Say whether a live play already is at this place."""
        return any(play.reference_id == who and abs(play.line.at(hop) - position) < 2.0 for play in self._live)

    def _consider(self, found: Alignment, heard: Heard, references: References, needed: float) -> list[PlayEvent]:
        """Decide what an alignment that may have enough evidence is: a new play, a jump, another name, or nothing.

        What the last SPAN hops leave open, all that was heard since the recording may have begun can decide, if nothing else is on.
        """
        recent = [*self._live, *(past for past in self._past if past.last_hop > found.hop - SPAN)]
        if found.evidence < needed:
            return [] if recent else self._begin(found, references, recent, needed * LONG_FACTOR)
        for play in recent:
            said = self._beside(found, play, heard.tail(found.hops), references, needed)
            if said is not None:
                return said
        return self._begin(found, references, recent, 0.0)

    def _beside(
        self, found: Alignment, play: LivePlay, heard: Heard, references: References, needed: float
    ) -> list[PlayEvent] | None:
        """Decide what an alignment is to a play that was on at the time; None: something of its own."""
        live, same = play in self._live, play.reference_id == found.reference_id
        own, beyond, alike = self._compare(found, play, heard, references)
        again = same and self._restarted(play, found)
        if beyond < needed:
            if found.evidence < own + BETTER_NATS:
                return []
            if live and not again and (same or alike >= SAME_SOUND):
                return self._jump(play, found, references)
        if live and same:
            if found.hop - play.last_hop < self._limits.bridge_hops // 4 and play.last_hop >= found.hop - found.hops:
                return []
            if not again:
                return self._jump(play, found, references)
        return None

    def _jump(self, play: LivePlay, found: Alignment, references: References) -> list[PlayEvent]:
        play.jump(found, self._ring)
        return [self._event(EventKind.UPDATED, play, references)]

    def _begin(self, found: Alignment, references: References, recent: list[LivePlay], least: float) -> list[PlayEvent]:
        """Begin a play, unless it is too short or all that was heard of it is less than `least` nats; end the one it repeats."""
        number, bridge = self._count + 1, self._limits.bridge_hops
        begun = LivePlay(number, found, self._ring, references, self._evidence, bridge=bridge, others=recent)
        same = [one for one in self._live if one.reference_id == found.reference_id]
        for past in [*self._past, *same]:
            if past.reference_id == begun.reference_id:
                begun.first_hop = max(begun.first_hop, past.last_hop + 1)
        heard_s = (begun.last_hop - begun.first_hop) * self._limits.hop_s + END_AFTER_S - START_AFTER_S
        if begun.found_total < least or heard_s < self._limits.min_play_s:
            return []
        events = []
        for play in same:
            events.append(self._end(play, references))
        self._count = number
        self._live.append(begun)
        return [*events, self._event(EventKind.STARTED, begun, references)]

    def _restarted(self, play: LivePlay, found: Alignment) -> bool:
        """Say whether a jump goes back to the beginning of the recording, from well inside it: a second play."""
        begin = found.hop - found.hops + 1
        return found.at(begin) * self._limits.hop_s < 2.0 and play.line.at(play.last_hop) * self._limits.hop_s > 10.0

    def _compare(self, found: Alignment, play: LivePlay, heard: Heard, references: References) -> tuple[float, float, float]:
        """Compare an alignment with a play, over the alignment's hops.

        Returns:
            The play's own evidence, the evidence the alignment has beyond what the play explains, and the mean similarity of the
            two recordings where both are.
        """
        theirs = along(references, found.reference_id, Line(found.hop, found.position, found.speed), heard.hops)
        mine = play.stored_along(heard.hops)
        both = heard.present & (heard.hops >= play.first_hop) & (heard.hops <= play.last_hop)
        own = float(self._evidence.of(heard.distinct(mine))[both].sum())
        beyond = np.where(heard.present, self._evidence.of(play.unexplained(heard, theirs)), 0.0)
        alike = float(np.einsum("nd,nd->n", mine, theirs)[both].mean()) if both.any() else 0.0
        return own, float(beyond[::-1].cumsum().max()), alike

    def _event(self, kind: EventKind, play: LivePlay, references: References) -> PlayEvent:
        """Put a play into seconds."""
        hop_s, window_s = self._limits.hop_s, self._limits.window_s
        start_s, end_s = play.first_hop * hop_s + START_AFTER_S, play.last_hop * hop_s + END_AFTER_S
        begin, line = play.begin, play.line
        reference_start_s, reference_end_s = begin.at(start_s / hop_s) * hop_s, line.at(end_s / hop_s) * hop_s
        duration_s = (references.hops(play.reference_id) - 1) * hop_s + 0.75 * window_s
        if abs(reference_start_s) < SNAP_S:
            start_s, reference_start_s = max(start_s - reference_start_s / begin.speed, 0.0), 0.0
        if abs(duration_s - reference_end_s) < SNAP_S and kind is EventKind.ENDED:
            end_s, reference_end_s = end_s + (duration_s - reference_end_s) / line.speed, duration_s
        return PlayEvent(
            kind=kind,
            number=play.number,
            play=Play(
                stream=self._stream,
                reference_id=play.reference_id,
                start_s=start_s,
                end_s=max(end_s, start_s),
                reference_start_s=max(reference_start_s, 0.0),
                reference_end_s=max(reference_end_s, reference_start_s, 0.0),
                speed=line.speed,
                score=play.similarity,
                evidence=play.best_total,
                confidence=self._evidence.confidence(play.best_total, self._fingerprints),
                detected_s=play.detected_hop * hop_s + window_s,
            ),
        )
