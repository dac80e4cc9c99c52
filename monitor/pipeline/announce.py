"""From plays to detections: names, UTC, one id a play.

Knows the library for the names and asks the source for the time. Knows nothing of where detections go.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from monitor.core.recipe import Recipe
from monitor.messages import Detection, EventKind, Hint, Play, PlayEvent, Reference
from monitor.pipeline.ports import Library

REMEMBERED = 64
"""Plays that were ended last, of all streams, whose id is still known: they may yet be retracted."""
NAMESPACE = uuid.UUID("5f0d3a52-3c2f-4f0a-9a0e-8f6f2d2f7c11")
"""Of the ids; any fixed number, only ours."""


START_OFF_S = 0.6
"""The start of 95 % of clean plays is found to so much (0.56 s on the validation split, after a voice)."""
END_OFF_S = 0.8
"""The end of 95 % of plays that do not fade out is found to so much (0.77 s, 419 plays of the benchmark)."""
BLENDED_OFF_S = 3.0
"""An end of a play that is softly blended with another. Validation split, 102 plays in 7 conditions, a quarter of them in mixes:
with this 95 % of all starts and 96 % of all ends are inside what is stated, without it 82 and 86 %."""
UNHEARD_S = 10.0
"""A play that seems to begin so soon after its recording's beginning may have begun with it, under a voice or a fade."""


class Announcer:
    """Turns play events of all streams into detections. Called from the matcher's thread."""

    def __init__(
        self,
        recipe: Recipe,
        utc_s: Callable[[str, int], tuple[float, float]],
        hint: Callable[[str, int], Hint | None] = lambda _station, _position: None,
    ) -> None:
        """Take what is needed to put a play into the world.

        Args:
            recipe: Of the encoder.
            utc_s: Station and position in samples to UTC seconds and their uncertainty.
            hint: Station and position in samples to what the station last said of itself.
        """
        self._recipe, self._utc_s, self._hint = recipe, utc_s, hint
        self._open: dict[tuple[str, int], tuple[str, Reference]] = {}
        self._ended: dict[tuple[str, int], tuple[str, Reference]] = {}

    def announce(self, event: PlayEvent, library: Library) -> Detection:
        """Return the detection for a play event."""
        play = event.play
        start_utc_s, clock_s = self._time(play.stream, play.start_s)
        end_utc_s, end_clock_s = self._time(play.stream, play.end_s)
        detected_utc_s, _ = self._time(play.stream, play.detected_s)
        key = (play.stream, event.number)
        said = self._open.get(key) or self._ended.get(key)
        if event.kind is EventKind.STARTED:  # a station that was removed and added again counts from one again
            said = None
        known, reference = said or ("", None)
        if reference is None or (reference.id != play.reference_id and library.hops(play.reference_id)):
            reference = library.reference(play.reference_id)
        identity = known or str(uuid.uuid5(NAMESPACE, f"{play.stream} {detected_utc_s:.3f} {event.number} {play.reference_id}"))
        self._remember(key, event.kind, (identity, reference))
        hint = self._hint(play.stream, round(play.end_s * self._recipe.sample_rate_hz))
        return Detection(
            id=identity,
            kind=event.kind,
            station=play.stream,
            start_utc_s=start_utc_s,
            end_utc_s=end_utc_s,
            uncertainty_s=clock_s + start_doubt_s(play),
            end_uncertainty_s=end_clock_s + end_doubt_s(play),
            detected_utc_s=detected_utc_s,
            play=play,
            reference=reference,
            recipe=self._recipe.hash,
            generation=library.generation,
            encoder=self._recipe.name,
            alternatives=tuple(library.reference(other) for other in play.alternatives if library.hops(other)),
            hint=hint,
            hint_utc_s=self._utc_s(play.stream, hint.position)[0] if hint else None,
        )

    def _remember(self, key: tuple[str, int], kind: EventKind, said: tuple[str, Reference]) -> None:
        self._open.pop(key, None)
        self._ended.pop(key, None)
        if kind is EventKind.ENDED:
            self._ended[key] = said
            if len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
        elif kind is not EventKind.RETRACTED:
            self._open[key] = said

    def _time(self, stream: str, media_s: float) -> tuple[float, float]:
        return self._utc_s(stream, round(media_s * self._recipe.sample_rate_hz))


def start_doubt_s(play: Play) -> float:
    """Return how far the start of a play may be from where it was found, on the stream's own time, with 95 % probability."""
    early_s = play.reference_start_s / play.speed
    found_s = BLENDED_OFF_S if play.start_blended else START_OFF_S
    return max(found_s, early_s if early_s <= UNHEARD_S else 0.0)


def end_doubt_s(play: Play) -> float:
    """Return the same of its end."""
    return BLENDED_OFF_S if play.end_blended else END_OFF_S
