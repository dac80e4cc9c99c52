"""False alarms against the budget, on what must not be recognised.

The budget of one a day cannot be seen in an hour, so the same hours are matched again at larger budgets, where alarms come. How
often strangers are told is in proportion to the number of fingerprints (a union of rare chances), and a budget and a catalogue
enter the decision only as their ratio. Knows the matcher as a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.heard import Heard
from monitor.messages import Embeddings, EventKind, Play, PlayEvent
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Library
from monitor.replay import BATCH
from monitor.settings import MatcherSettings

BUDGETS = (24.0, 100.0, 300.0, 3000.0)
"""Per station-day, beside the one that is set and `LOOSE`. At 10,000 there would be more than one in 12 s, which is as long as an
alignment: so many cannot come."""
LOOSE = 1000.0
"""Per station-day: so many that there are doubtful plays to hold `confidence` against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened at one budget."""

    budget: float
    """False alarms per station-day that were allowed."""
    alarms: int
    hours: float

    @property
    def per_day(self) -> float:
        """False alarms per station-day that came."""
        return self.alarms * 24.0 / self.hours if self.hours else 0.0


def follow(heard: Heard, matcher: Matcher) -> list[Play]:
    """Match a scene as `replay.plays` does; return every play as it was told last."""
    name = heard.scene.name
    told: dict[int, Play] = {}
    for at in range(0, len(heard.vectors), BATCH):
        vectors = heard.vectors[at : at + BATCH]
        hops = np.arange(at, at + len(vectors))
        embeddings = Embeddings(streams=(name,) * len(vectors), hops=hops, vectors=vectors, arrived_s=np.zeros(len(vectors)))
        for event in matcher.match(embeddings):
            _note(event, told)
    for event in matcher.close(name):
        _note(event, told)
    return sorted(told.values(), key=lambda play: (play.start_s, play.reference_id))


def _note(event: PlayEvent, told: dict[int, Play]) -> None:
    """Keep a play as it was told last; one that was taken back was not told, after all."""
    if event.kind is EventKind.RETRACTED:
        told.pop(event.number, None)
    else:
        told[event.number] = event.play


def ladder(scenes: Sequence[Heard], library: Library, evidence: Evidence, recipe: Recipe, settings: MatcherSettings) -> list[Step]:
    """Match scenes in which nothing is known at larger and larger budgets; where there is no such scene, there are no steps."""
    hours = sum(heard.scene.length_s for heard in scenes) / 3600.0
    steps = []
    for budget in BUDGETS:
        if scenes and budget > settings.false_alarms_per_day:
            matcher = Matcher(library, evidence, recipe, replace(settings, false_alarms_per_day=budget), lambda _: None)
            alarms = sum(len(follow(heard, matcher)) for heard in scenes)
            steps.append(Step(budget=budget, alarms=alarms, hours=hours))
    return steps
