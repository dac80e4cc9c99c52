"""What is said of a play: hops become seconds, and the recording's own beginning and end are recognised.

Knows a play, the plays beside it, and how long hops and windows are. Decides nothing about what is on air.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.evidence import Evidence
from monitor.core.play import LivePlay
from monitor.messages import EventKind, Play, PlayEvent

SNAP_S = 1.2
"""A play that begins or ends so near to the recording's own beginning or end does so exactly there."""
BESIDE_S = 3.0
"""Another recording on air so near to an end of a play may have hidden some of it in a fade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Puts the plays of one stream into words."""

    stream: str
    hop_s: float
    window_s: float
    evidence: Evidence

    def event(self, kind: EventKind, play: LivePlay, newest: int, known: Iterable[LivePlay]) -> PlayEvent:
        """Put a play into seconds of the stream.

        Args:
            kind: What happened to it.
            play: Which.
            newest: The newest hop heard.
            known: The plays that are, or of late were, on air.
        """
        duration_s = (play.references.hops(play.reference_id) - 1) * self.hop_s + 0.75 * self.window_s
        first, last = play.edges
        start_s = play.first_hop * self.hop_s + (1.0 - first) * self.window_s
        end_s = play.last_hop * self.hop_s + last * self.window_s
        begin, line = play.begin, play.line
        reference_start_s, reference_end_s = begin.at(start_s / self.hop_s) * self.hop_s, line.at(end_s / self.hop_s) * self.hop_s
        if abs(reference_start_s) < SNAP_S:
            start_s, reference_start_s = max(start_s - reference_start_s / begin.speed, 0.0), 0.0
        if abs(duration_s - reference_end_s) < SNAP_S and kind is EventKind.ENDED:
            end_s, reference_end_s = end_s + (duration_s - reference_end_s) / line.speed, duration_s
        came_softly, went_softly = play.soft
        heard_until_s = newest * self.hop_s + self.window_s
        if end_s > heard_until_s:  # nothing is claimed of what has not been heard yet
            end_s, reference_end_s = heard_until_s, reference_end_s - (end_s - heard_until_s) * line.speed
        others = [other for other in known if other is not play]
        return PlayEvent(
            kind=kind,
            number=play.number,
            play=Play(
                stream=self.stream,
                reference_id=play.reference_id,
                start_s=start_s,
                end_s=max(end_s, start_s),
                reference_start_s=max(reference_start_s, 0.0),
                reference_end_s=max(reference_end_s, reference_start_s, 0.0),
                speed=line.speed,
                score=play.similarity,
                evidence=play.best_total,
                confidence=self.evidence.confidence(play.best_total, play.similarity, play.places),
                detected_s=play.detected_hop * self.hop_s + self.window_s,
                alternatives=play.alternatives,
                usage=play.usage,
                complete=kind is EventKind.ENDED
                and _complete(duration_s, reference_end_s - reference_start_s, (end_s - start_s) * line.speed),
                start_blended=came_softly and reference_start_s > 0.0 and self._beside(others, play.first_hop),
                end_blended=went_softly and reference_end_s < duration_s and self._beside(others, play.last_hop),
            ),
        )

    def _beside(self, others: Iterable[LivePlay], hop: int) -> bool:
        """Say whether another recording is known to have been on air near a hop."""
        near = round(BESIDE_S / self.hop_s)
        return any(other.first_hop - near <= hop <= other.last_hop + near for other in others)


def _complete(duration_s: float, heard_s: float, played_s: float) -> bool:
    """Say whether a recording was on air from its beginning to its end, with nothing left out or repeated.

    Args:
        duration_s: Of the recording.
        heard_s: From the first to the last place in it that was heard.
        played_s: What was on air, at the recording's own speed.
    """
    return min(heard_s, played_s) > duration_s - 2 * SNAP_S and played_s < duration_s + 2 * SNAP_S
