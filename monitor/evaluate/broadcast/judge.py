"""One scene's truth beside what was told of it: who is right, how far off, how soon, and is the place in the recording right.

Knows plays, told plays and stored fingerprints. A recording that repeats itself, or is in the catalogue twice, cannot be told
apart by its sound: where the stored fingerprints along the told line are those along the true line (`TWIN`), a told name or
place is right. Spots and their versions are judged by their names alone: to tell these apart is the task. A play that was told
as one of several is right if the true one is among them; how many were left so is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import between
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.catalogue import Catalogue
from monitor.evaluate.broadcast.scene import Element, Kind, Scene
from monitor.evaluate.broadcast.score import Count, Matches, Segment, matches, seconds
from monitor.messages import Play, Usage
from monitor.pipeline.announce import end_doubt_s, start_doubt_s

TWIN = 0.8
"""Mean similarity of two stored stretches from which on they are the same sound: cut half a hop apart, it has 0.87."""
PLACE_S = 1.0
"""A told place in the recording may be so far off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A play that was told, by name."""

    scene: str
    reference: str
    said: str
    """The name it was told under; `reference` is the true play's where both sound the same."""
    start_s: float
    end_s: float
    reference_start_s: float
    speed: float
    evidence: float
    confidence: float
    detected_s: float
    start_doubt_s: float = 0.0
    end_doubt_s: float = 0.0
    """How far off its start and its end may be by what was said."""
    alternatives: tuple[str, ...] = ()
    """Other names it was told with: one of these, no more was said."""
    usage: Usage = Usage.UNKNOWN
    complete: bool = False
    place_right: bool | None = None
    """None: it is false anyway."""

    @property
    def segment(self) -> Segment:
        """As BAF counts it."""
        return Segment(station=self.scene, reference=self.reference, start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One true play and how it was told."""

    scene: str
    element: Element
    told: tuple[Told, ...]

    @property
    def start_error_s(self) -> float:
        """First told start less true start."""
        return min(one.start_s for one in self.told) - self.element.at_s

    @property
    def end_error_s(self) -> float:
        """Last told end less true end."""
        return max(one.end_s for one in self.told) - self.element.end_s

    @property
    def start_inside(self) -> bool:
        """Whether the true start is where the first told one said it might be."""
        return abs(self.start_error_s) <= min(self.told, key=lambda one: one.start_s).start_doubt_s

    @property
    def end_inside(self) -> bool:
        """Whether the true end is where the last told one said it might be."""
        return abs(self.end_error_s) <= max(self.told, key=lambda one: one.end_s).end_doubt_s

    @property
    def after_s(self) -> float:
        """From the true start to the first message."""
        return min(one.detected_s for one in self.told) - self.element.at_s

    @property
    def speed_error(self) -> float:
        """Told speed over true speed, less one, of the longest told play."""
        return max(self.told, key=lambda one: one.end_s - one.start_s).speed / self.element.speed - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A scene, judged."""

    scene: Scene
    plays: tuple[Found, ...]
    told: tuple[Told, ...]
    seconds: Count
    matches: Matches

    @property
    def false(self) -> list[Told]:
        """Told plays that touch no true play of that name."""
        right = {id(told) for play in self.plays for told in play.told}
        return [told for told in self.told if id(told) not in right]


def judge(scene: Scene, plays: Sequence[Play], catalogue: Catalogue, recipe: Recipe) -> Verdict:
    """Compare what was told of a scene with what was on air."""
    told = tuple(_resolve(_told(scene, play, catalogue), scene, catalogue, recipe) for play in plays)
    true = [segment(scene, element) for element in scene.plays]
    segments = [one.segment for one in told]
    spoken_of = [_play(one, scene) for one in told]
    found = tuple(
        Found(scene=scene.name, element=element, told=tuple(one for one, of in zip(told, spoken_of, strict=True) if of is element))
        for element in scene.plays
    )
    return Verdict(scene=scene, plays=found, told=told, seconds=seconds(true, segments), matches=matches(true, segments))


def _play(told: Told, scene: Scene) -> Element | None:
    """Return the true play that a told one speaks of: of those it touches, the one it shares most time with."""
    touched = [element for element in scene.plays if told.segment.overlaps(segment(scene, element))]
    return max(touched, key=lambda one: min(told.end_s, one.end_s) - max(told.start_s, one.at_s), default=None)


def segment(scene: Scene, element: Element) -> Segment:
    """Return a true play as BAF counts it."""
    return Segment(station=scene.name, reference=element.name, start_s=element.at_s, end_s=element.end_s)


def line(
    stored: NDArray[np.float32], hops: NDArray[np.int64], first_s: float, speed: float, at_s: float, hop_s: float
) -> NDArray[np.float32]:
    """Return the stored fingerprints [n, dim], to half a hop, that a play has at hops [n] of the stream; zero beyond the recording.

    Args:
        stored: Of the recording.
        hops: Of the stream.
        first_s: Where in the recording the play is at `at_s`.
        speed: Seconds of the recording a second.
        at_s: Some time of the play.
        hop_s: Seconds a hop.
    """
    place = (first_s + speed * (hops * hop_s - at_s)) / hop_s
    inside = (place > -0.5) & (place < len(stored) - 0.5)
    rows: NDArray[np.float32] = np.where(inside[:, None], between(stored, place.clip(0, len(stored) - 1)), np.float32(0.0))
    return rows


def _told(scene: Scene, play: Play, catalogue: Catalogue) -> Told:
    name = catalogue.names[play.reference_id]
    return Told(
        scene=scene.name,
        reference=name,
        said=name,
        start_s=play.start_s,
        end_s=play.end_s,
        reference_start_s=play.reference_start_s,
        speed=play.speed,
        evidence=play.evidence,
        confidence=play.confidence,
        detected_s=play.detected_s,
        start_doubt_s=start_doubt_s(play),
        end_doubt_s=end_doubt_s(play),
        alternatives=tuple(catalogue.names[other] for other in play.alternatives),
        usage=play.usage,
        complete=play.complete,
    )


def _resolve(told: Told, scene: Scene, catalogue: Catalogue, recipe: Recipe) -> Told:
    """Give a told play the true name if it sounds the same, and say whether its place in the recording is right."""
    best: Told | None = None
    for element in scene.plays:
        start_s, end_s = max(told.start_s, element.at_s), min(told.end_s, element.end_s)
        named = told.said == element.name or element.name in told.alternatives
        if end_s <= start_s or (not named and element.kind is Kind.SPOT):
            continue
        true_s = element.from_s + element.speed * (told.start_s - element.at_s)
        near = abs(told.reference_start_s - true_s) <= PLACE_S
        alike = named and near
        if not alike and told.said in catalogue.stored:
            hops = np.arange(round(start_s / recipe.hop_s), max(round(end_s / recipe.hop_s), round(start_s / recipe.hop_s) + 1))
            mine = line(catalogue.stored[told.said], hops, told.reference_start_s, told.speed, told.start_s, recipe.hop_s)
            theirs = line(catalogue.stored[element.name], hops, element.from_s, element.speed, element.at_s, recipe.hop_s)
            alike = float(np.einsum("nd,nd->n", mine, theirs).mean()) >= TWIN
        if alike or (named and best is None):
            best = replace(told, reference=element.name, place_right=alike)
    return best or told
