"""Two explanations of the same sound: how much of what was heard each accounts for, and how much is left without the other.

Evidence that another play already accounts for does not count twice. Let p be the similarity of the heard window to the recording
on air, c that of the two stored windows to each other, n that of the heard window to the new candidate: if the candidate is only
alike, n is about p * c. What is counted is the evidence of n - p * c. So re-issues, shared samples and a recording's own
repetitions stay silent while the right one is known, and a second recording on top of the first is still heard.

Knows plays, alignments and what was heard. Knows nothing of thresholds, or of what becomes of either.
"""

from __future__ import annotations

import numpy as np

from monitor.core.alignment import Alignment
from monitor.core.evidence import Evidence
from monitor.core.line import Line, along
from monitor.core.play import LivePlay
from monitor.core.ring import Heard


def compare(found: Alignment, play: LivePlay, heard: Heard, evidence: Evidence) -> tuple[float, float, float]:
    """Compare an alignment with a play, over the alignment's hops.

    Returns:
        The play's own evidence, the evidence the alignment has beyond what the play explains, and the mean similarity of the
        two recordings where both are.
    """
    theirs = along(play.references, found.reference_id, Line(found.hop, found.position, found.speed), heard.hops)
    hops = heard.hops
    mine = play.stored_along(hops)
    both = heard.present & play.explains(hops)
    own = float(evidence.of(heard.distinct(mine))[both].sum())
    beyond = np.where(heard.present, evidence.of(play.unexplained(heard, theirs, mine)), 0.0)
    alike = float(np.einsum("nd,nd->n", mine, theirs)[both].mean()) if both.any() else 0.0
    return own, float(beyond[::-1].cumsum().max()), alike


def left_of(play: LivePlay, by: LivePlay, heard: Heard, evidence: Evidence) -> float:
    """Return the evidence, in nats, that a play keeps beyond what another explains of what was heard."""
    rest = evidence.of(by.unexplained(heard, play.stored_along(heard.hops)))
    return float(np.where(heard.present, rest, 0.0).sum())


def parted(before: LivePlay, after: LivePlay, heard: Heard, evidence: Evidence) -> int:
    """Return how many of the hops that two plays of a recording share are the first one's: both together explain most so."""
    ours, theirs = (
        np.where(heard.present, evidence.of_followed(heard.distinct(play.stored_along(heard.hops))), 0.0)
        for play in (before, after)
    )
    return int((np.append(0.0, ours.cumsum()) - np.append(0.0, theirs.cumsum())).argmax())
