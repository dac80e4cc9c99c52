"""What is on air on one stream: from alignments to plays.

Knows hops, alignments and how much evidence a play needs. Decides when a play starts, goes on elsewhere in its recording, changes
its name, and ends. Knows nothing of UTC, names, searches or messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core import contest
from monitor.core.alignment import SPAN, Alignment, References
from monitor.core.evidence import Evidence
from monitor.core.hits import Found, Hits
from monitor.core.kinship import SAME_SOUND
from monitor.core.play import LivePlay
from monitor.core.ring import Heard, Ring
from monitor.core.scoring import Wish
from monitor.core.telling import SNAP_S, Teller
from monitor.messages import EventKind, Kinship, PlayEvent

HINT_SHARE = 0.3
"""Share of the needed evidence from which on it is worth looking farther back for the rest."""
LONG_FACTOR = 2.6
"""How many times the needed evidence is asked for then, on the curve for following, which is kinder to weak windows."""
BEGUN, ENDED = 1.0, 2.5
"""Hops from its beginning, and before its last fingerprint (which is half silence), at which a recording has been heard whole."""
BEGINNING_NATS = 8.0
"""How much evidence it is worth that a place lets the recording begin where the evidence does."""
RESTART_S = 10.0
"""A recording that begins again so long after a play of it began is a second play; sooner, the first place was mistaken."""
LOOK_EVERY = 4
"""Hops between lookups while a play is clearly heard, and between long looks back for one place."""
UNHEARD = 4
"""Hops after which a play that says nothing may be elsewhere than its line says."""
BROKEN_OFF = 11.0
"""Nats: about one play in fifty is broken off within seconds of being found, and nearly every chance likeness is."""
LITTLE_LEFT = 0.5
"""A play that keeps less than this share of the needed evidence beyond what another explains never was."""
BETTER_NATS = 8.0
"""By how much another explanation of the same sound must be better to replace the one that was told."""


class _Nothing:
    """No references, before any are told."""

    def hops(self, reference_id: int) -> int:  # noqa: ARG002
        return 0

    def fingerprints(self, reference_id: int, start: int, stop: int) -> NDArray[np.float32]:  # noqa: ARG002
        raise KeyError(reference_id)

    def stretches(self, reference_ids: Sequence[int], starts: Sequence[int], count: int) -> NDArray[np.float32]:  # noqa: ARG002
        raise KeyError(reference_ids)

    def kin(self, _reference_id: int) -> tuple[Kinship, ...]:
        return ()


_NOTHING = _Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """How much evidence a play needs, and against how many chances.

    A stretch anywhere competes with every fingerprint of the catalogue. A short recording that was heard from its beginning to its
    end competes only with other short recordings, in as many places as there are: a jingle of three windows can be told.
    """

    anywhere: float
    """Nats."""
    whole: float
    """Nats, for a recording of at most SPAN hops heard from beginning to end."""
    places: int
    """Fingerprints in the catalogue."""
    wholes: int
    """Places in which a short recording may be heard whole."""


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


def _likeliest(found: Alignment) -> float:
    """Order alignments, the likeliest first: of two as good, recordings are rather played from their beginning."""
    return -found.evidence - (BEGINNING_NATS if abs(found.at(found.hop - found.hops + 1)) <= BEGUN else 0.0)


class Tracker:
    """Plays of one stream. It is told hop after hop; it never asks.

    A step is taken in three parts, between which others compute, for all trackers together, what it needs: see `core.round`.
    """

    def __init__(self, stream: str, limits: TrackerLimits, evidence: Evidence, ring: Ring | None = None) -> None:
        """Start with nothing on air; the ring is where the stream's fingerprints are put, its own unless it shares one."""
        self.stream, self._limits, self._evidence = stream, limits, evidence
        self.ring = ring or Ring(limits.ring_hops, limits.dim)
        self._teller = Teller(stream=stream, hop_s=limits.hop_s, window_s=limits.window_s, evidence=evidence)
        self._hits = Hits(single=0.6 * evidence.highest)
        self._live: list[LivePlay] = []
        self._past: list[LivePlay] = []
        self._count = 0
        self._needed = Needed(anywhere=0.0, whole=0.0, places=0, wholes=0)
        self._references: References = _NOTHING
        self._looked: dict[tuple[int, int], int] = {}
        self._saying: list[tuple[EventKind, LivePlay]] = []
        self._wanted = True

    def __repr__(self) -> str:
        return f"Tracker({self.stream}, {len(self._live)} on air)"

    def wants(self, hop: int) -> bool:
        """Say whether the next hop is to be looked up: always, or now and then while a play accounts for what is heard."""
        return hop % LOOK_EVERY == 0 or not any(play.last_hop >= hop - 1 for play in self._live)

    def rests(self, found: Found, references: References) -> bool:
        """Say whether a step would come to nothing: nothing is on air, nothing was found of late, the catalogue is the same."""
        return not (found.references or self._live or self._hits.fresh(self.ring.newest)) and references is self._references

    def hears(self, references: References, needed: Needed) -> list[LivePlay]:
        """Begin a step, after its fingerprint was put into the ring; return the plays that are to `hear` it.

        Args:
            references: What is stored now.
            needed: Evidence that a play needs to be told.
        """
        if references is not self._references:
            self._take_up(references)
        self._needed = needed
        self._wanted = self.wants(self.ring.newest)
        return [play for play in self._live if references.hops(play.reference_id)]

    def asks(self, found: Found) -> Wish | None:
        """Go on, after the plays have heard; return which places are to be held against what was heard last, if any are.

        Args:
            found: What the search found that speaks for its recording; not looked at where `wants` said no.
        """
        hop = self.ring.newest
        if self._live:
            self._follow(hop)
        if self._wanted:
            self._hits.put(hop, found.references, found.positions, self._beyond_plays(found))
        places = [
            (who, at) for who, at in self._hits.proposals(hop) if self._references.hops(who) and not self._on_line(who, at, hop)
        ]
        if not places:
            return None
        asked, present = self.ring.recent()
        return Wish(
            newest=hop,
            asked=asked,
            present=present,
            places=places,
            references=self._references,
            least=self._needed.anywhere * HINT_SHARE,
        )

    def says(self, alignments: Sequence[Alignment]) -> list[PlayEvent]:
        """End the step with what was found at the places asked for; return what there is to say, in order."""
        if alignments:
            asked, present = self.ring.recent()
            heard = Heard(newest=self.ring.newest, vectors=asked[:, 0], context=asked[:, 1:], present=present)
            for candidate in sorted(alignments, key=_likeliest):
                self._consider(candidate, heard)
        return self._said()

    def close(self, references: References) -> list[PlayEvent]:
        """End all plays: nothing more will be heard."""
        self._take_up(references)
        for play in list(self._live):
            self._end(play, broken_off=False)
        return self._said()

    def busy(self, hop: int) -> bool:
        """Say whether anything is on air, or was within the last SPAN hops."""
        return bool(self._live) or any(past.last_hop > hop - SPAN for past in self._past)

    def _said(self) -> list[PlayEvent]:
        """Put what there is to say into events, each play's names as they are known at the end of this step.

        Of a play that is told to be over, only then is forgotten what it was told from.
        """
        saying, self._saying = self._saying, []
        for play in self._live:
            names = (play.reference_id, play.alternatives)
            if names != play.told and all(play is not one for _, one in saying):
                saying.append((EventKind.UPDATED, play))
            play.told = names
        known = (*self._live, *self._past)
        said = [self._teller.event(kind, play, self.ring.newest, known) for kind, play in saying]
        for kind, play in saying:
            if kind is EventKind.ENDED:
                play.forget_details()
        return said

    def _follow(self, hop: int) -> None:
        """Decide what becomes of the plays now that they have heard."""
        for play in list(self._live):
            if not self._references.hops(play.reference_id):
                self._end(play)
                continue
            play.yield_to_best()
            if play.lost(hop) or (play.over(hop) and self._chance(play)):
                self._end(play)
            elif self._limits.update_every_hops and hop - play.told_hop >= self._limits.update_every_hops and not play.over(hop):
                play.told_hop = hop
                self._saying.append((EventKind.UPDATED, play))

    def _end(self, play: LivePlay, *, broken_off: bool = True) -> None:
        """Take a play off the air; the last eight are remembered, for what sounds like them, unless their recording was removed.

        Where it was not the station that broke it off, it is not taken back.
        """
        self._live.remove(play)
        if broken_off and self._chance(play):
            self._saying.append((EventKind.RETRACTED, play))
            return
        if self._references.hops(play.reference_id):
            self._past = [*self._past[-7:], play]
        self._saying.append((EventKind.ENDED, play))

    def _chance(self, play: LivePlay) -> bool:
        """Say whether a play that ends now was none: broken off as soon as it is found it is rarely one, so it must be surer."""
        whole = not self._references.hops(play.reference_id) or play.finished(SNAP_S / self._limits.hop_s)
        return not whole and play.nats < self._needed.anywhere + BROKEN_OFF

    def _beyond_plays(self, found: Found) -> Sequence[float]:
        """Return what hits say, in nats, beyond what the plays on air account for."""
        if not found.references or not self._live:
            return found.nats
        rows = self._references.stretches(found.references, found.positions, 1)[:, 0]
        similarity, nats = np.array(found.similarity, np.float32), np.array(found.nats, np.float32)
        for mine, own in (play.now for play in self._live if play.now is not None):
            shared = max(own, 0.0) * (rows @ mine).clip(0.0)
            nats = np.minimum(nats, self._evidence.of(similarity - np.maximum(shared, self._evidence.shared)))
        beyond: list[float] = nats.tolist()
        return beyond

    def _take_up(self, references: References) -> None:
        """Let all plays look into this generation of the catalogue, and forget past ones of recordings it no longer has."""
        self._references = references
        self._past = [play for play in self._past if references.hops(play.reference_id)]
        for play in (*self._live, *self._past):
            play.references = references
            play.rivals = [rival for rival in play.rivals if references.hops(rival.reference_id)]
        for play in self._live:
            self._add_kin(play)

    def _add_kin(self, play: LivePlay) -> None:
        """Take up what the catalogue knows to be the same sound as what was heard of a play."""
        first, last = play.line.at(play.first_hop), play.line.at(play.last_hop)
        kin = [one for one in self._references.kin(play.reference_id) if one.start <= last and one.stop > first]
        if kin:
            heard = self.ring.last(self.ring.capacity)
            for one in kin:
                play.add_rival(one.other_id, one.other_start - one.start, heard)

    def _on_line(self, who: int, position: int, hop: int) -> bool:
        """Say whether a live play that is being heard, or what sounds like it, already is at this place."""
        return any(play.last_hop > hop - UNHEARD and play.beside(who, position, hop) for play in self._live)

    def _consider(self, found: Alignment, heard: Heard) -> None:
        """Decide what an alignment that may have enough evidence is: a new play, a jump, another name, or nothing.

        What the last SPAN hops leave open, all that was heard since the recording may have begun can decide, if nothing else is on.
        """
        recent = [*self._live, *(past for past in self._past if past.last_hop > found.hop - SPAN)]
        whole = self._is_whole(found)
        needed = self._needed.whole if whole else self._evidence.asked(self._needed.anywhere, found.similarity)
        if found.evidence < needed:
            if not recent and self._worth_a_long_look(found):
                self._begin(found, recent, self._needed.anywhere * LONG_FACTOR)
            return
        for play in recent:
            if self._beside(found, play, heard.tail(found.hops), needed):
                return
        self._begin(found, recent, 0.0, whole=whole)

    def _worth_a_long_look(self, found: Alignment) -> bool:
        """Say whether it is some time ago that all that was heard was held against this place: that takes milliseconds."""
        self._looked = {place: hop for place, hop in self._looked.items() if hop > found.hop - LOOK_EVERY}
        place = (found.reference_id, round(found.position) - found.hop)
        new = not any((place[0], place[1] + off) in self._looked for off in (-1, 0, 1))
        if new:
            self._looked[place] = found.hop
        return new

    def _is_whole(self, found: Alignment) -> bool:
        """Say whether an alignment goes through the whole of a short recording."""
        hops = self._references.hops(found.reference_id)
        return hops <= SPAN and found.at(found.hop - found.hops + 1) <= BEGUN and found.position >= hops - ENDED

    def _beside(self, found: Alignment, play: LivePlay, heard: Heard, needed: float) -> bool:
        """Settle what an alignment is to a play that was on at the time; False: something of its own.

        Of a play whose recording has ended it can only still be learnt that it was elsewhere all along.
        """
        live, over, same = play in self._live, play.over(found.hop), play.reference_id == found.reference_id
        own, beyond, alike = contest.compare(found, play, heard, self._evidence)
        again = same and self._restarted(play, found)
        if beyond < needed:
            if live and not over and not same and alike >= SAME_SOUND:
                play.add_rival(found.reference_id, found.position - play.line.at(found.hop), self.ring.last(self.ring.capacity))
                return True
            if found.evidence < own + BETTER_NATS:
                return True
        if not live or not same:
            return False
        clear = found.hop - play.last_hop < self._limits.bridge_hops // 4 and play.last_hop >= found.hop - found.hops
        if again or (clear and not over and beyond >= needed):
            return clear and not over
        other = play.elsewhere(found, self.ring)
        if over and not play.mistaken(other):
            return False
        play.jump(found, other)
        self._keep_apart(play)
        self._add_kin(play)
        self._saying.append((EventKind.UPDATED, play))
        return True

    def _begin(self, found: Alignment, recent: list[LivePlay], least: float, *, whole: bool = False) -> None:
        """Begin a play, unless it is too short or all that was heard of it is less than `least` nats.

        End the one it repeats and those that are over, and take back those that it explains away.
        """
        number, bridge = self._count + 1, self._limits.bridge_hops
        same = [one for one in self._live if one.reference_id == found.reference_id]
        going = [one for one in same if not one.over(found.hop)]
        others = [one for one in recent if one not in going]
        begun = LivePlay(number, found, self.ring, self._references, self._evidence, bridge=bridge, others=others)
        for past in going:
            self._part(past, begun)
        self._keep_apart(begun, same)
        heard_s = (begun.last_hop - begun.first_hop) * self._limits.hop_s + (sum(begun.edges) - 1.0) * self._limits.window_s
        if begun.found_total < least or (heard_s < self._limits.min_play_s and not whole):
            return
        begun.places = self._needed.wholes if whole else self._needed.places
        for play in list(self._live):
            if play in same or play.over(found.hop):
                self._end(play)
            elif self._explained_away(play, begun):
                self._live.remove(play)
                self._saying.append((EventKind.RETRACTED, play))
        self._count = number
        self._live.append(begun)
        self._add_kin(begun)
        begun.yield_to_best()
        self._saying.append((EventKind.STARTED, begun))

    def _keep_apart(self, play: LivePlay, others: Sequence[LivePlay] = ()) -> None:
        """Let a play begin behind those of the same recording before it: of what was heard, each second is told once."""
        for past in (*self._past, *others):
            if past.reference_id == play.reference_id:
                play.first_hop = max(play.first_hop, past.last_hop + 1)

    def _explained_away(self, play: LivePlay, by: LivePlay) -> bool:
        """Say whether another play leaves nothing of this one: it lies within it, and is only alike."""
        if by.first_hop > play.first_hop + 1 or by.last_hop < play.last_hop - 1:
            return False
        heard = self.ring.last(min(self.ring.capacity, self.ring.newest - play.first_hop + 1))
        return contest.left_of(play, by, heard, self._evidence) < LITTLE_LEFT * self._needed.anywhere

    def _restarted(self, play: LivePlay, found: Alignment) -> bool:
        """Say whether an alignment goes back to the beginning of the recording, from well inside it: a second play."""
        begin = found.hop - found.hops + 1
        since_hops = found.hop - found.position / found.speed - play.first_hop
        return found.at(begin) * self._limits.hop_s < 2.0 and since_hops * self._limits.hop_s > RESTART_S

    def _part(self, before: LivePlay, after: LivePlay) -> None:
        """Let a play of a recording end where the next play of the same begins."""
        first = after.first_hop
        count = min(before.last_hop - first + 1, self.ring.capacity)
        if count <= 0:
            return
        heard = self.ring.last(self.ring.newest - first + 1).head(count)
        cut = contest.parted(before, after, heard, self._evidence)
        before.last_hop, after.first_hop = first + cut - 1, first + cut
