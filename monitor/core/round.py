"""One step of many trackers at once.

Each tracker decides for itself; what all of them need to have computed, over vectors, is computed together: holding the newest
window of each against its plays, and scoring the places it asks for. Knows nothing of searches and batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.core.alignment import References
from monitor.core.evidence import Evidence
from monitor.core.hits import Found
from monitor.core.scoring import score_all
from monitor.core.tracker import Needed, Tracker
from monitor.core.window import look
from monitor.messages import PlayEvent


@dataclass(frozen=True, slots=True)
class Turn:
    """A tracker whose ring has got a fingerprint, and what it is told beside it."""

    tracker: Tracker
    found: Found
    """What the search found that speaks for its recording; not looked at where the tracker does not want it."""
    references: References
    """What is stored now."""


def play_round(turns: Sequence[Turn], needed: Needed, evidence: Evidence) -> list[list[PlayEvent]]:
    """Let each tracker take a step, none of them twice; return what there is to say of each, in their order.

    Args:
        turns: The trackers.
        needed: Evidence that a play needs to be told.
        evidence: What a similarity says.
    """
    awake = [turn for turn in turns if not turn.tracker.rests(turn.found, turn.references)]
    hearing = [(play, turn.tracker.ring) for turn in awake for play in turn.tracker.hears(turn.references, needed)]
    if hearing:
        heard = np.stack([ring.now for _, ring in hearing])
        windows = look([play.place(ring.newest) for play, ring in hearing], heard, evidence)
        for number, ((play, ring), window) in enumerate(zip(hearing, windows, strict=True)):
            play.hear(ring.newest, heard[number], window)
    wishes = [turn.tracker.asks(turn.found) for turn in awake]
    scored = iter(score_all([wish for wish in wishes if wish is not None], evidence))
    said = {turn.tracker: turn.tracker.says(next(scored) if wish else ()) for turn, wish in zip(awake, wishes, strict=True)}
    return [said.get(turn.tracker, []) for turn in turns]
