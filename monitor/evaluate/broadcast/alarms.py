"""False alarms against the budget, on what must not be recognised.

The budget of one a day cannot be seen in an hour, so the same hours are matched again at larger budgets, where alarms come. How
often strangers are told should be in proportion to the number of fingerprints (a union of rare chances), which the decision reckons
with; so catalogues of several sizes are searched. Knows the matcher as a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.catalogue import Catalogue
from monitor.evaluate.broadcast.heard import Heard
from monitor.messages import Embeddings, EventKind, Play, PlayEvent
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings

LOOSE = 1000.0
"""Per station-day: so many that there are doubtful plays to hold `confidence` against."""
BUDGETS = (24.0, 100.0, 300.0, LOOSE, 3000.0)
"""Per station-day, beside the one that is set. At 10,000 there would be more than one in 12 s, which is as long as an
alignment: so many cannot come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened at one budget in a catalogue of one size."""

    recordings: int
    fingerprints: int
    budget: float
    """False alarms per station-day that were allowed."""
    alarms: int
    hours: float

    @property
    def per_day(self) -> float:
        """False alarms per station-day that came."""
        return self.alarms * 24.0 / self.hours if self.hours else 0.0


def follow(scenes: Sequence[Heard], matcher: Matcher) -> list[list[Play]]:
    """Match scenes as the daemon does streams that it hears side by side; return of each every play as it was told last."""
    told: dict[str, dict[int, Play]] = {heard.scene.name: {} for heard in scenes}
    for hop in range(max((len(heard.vectors) for heard in scenes), default=0)):
        here = [heard for heard in scenes if hop < len(heard.vectors)]
        embeddings = Embeddings(
            streams=tuple(heard.scene.name for heard in here),
            hops=np.full(len(here), hop),
            vectors=np.stack([heard.vectors[hop] for heard in here]),
            arrived_s=np.zeros(len(here)),
        )
        for event in matcher.match(embeddings):
            _note(event, told[event.play.stream])
    for name, plays in told.items():
        for event in matcher.close(name):
            _note(event, plays)
    return [sorted(plays.values(), key=lambda play: (play.start_s, play.reference_id)) for plays in told.values()]


def _note(event: PlayEvent, told: dict[int, Play]) -> None:
    """Keep a play as it was told last; one that was taken back was not told, after all."""
    if event.kind is EventKind.RETRACTED:
        told.pop(event.number, None)
    else:
        told[event.number] = event.play


def ladder(
    scenes: Sequence[Heard], catalogue: Catalogue, evidence: Evidence, recipe: Recipe, settings: MatcherSettings
) -> list[Step]:
    """Match scenes in which nothing is known at the budget that is set and at others; no scene, no steps."""
    hours = sum(heard.scene.length_s for heard in scenes) / 3600.0
    steps = []
    for budget in sorted({settings.false_alarms_per_day, *BUDGETS} if scenes else ()):
        matcher = Matcher(catalogue.library, evidence, recipe, replace(settings, false_alarms_per_day=budget), lambda _: None)
        alarms = sum(map(len, follow(scenes, matcher)))
        size = {"recordings": catalogue.recordings, "fingerprints": catalogue.library.rows}
        steps.append(Step(**size, budget=budget, alarms=alarms, hours=hours))
    return steps
