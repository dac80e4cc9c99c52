"""Why something was told where nothing known was on air: a version of it, a sound they share, or chance.

Knows scenes, told plays and the stored fingerprints of both sides: the recording that was told and the stranger on air, along the
lines that they were told and played on. Judges no matcher; a version that is told is a mistake of the truth as
much as of the matcher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.catalogue import IMPOSTOR
from monitor.evaluate.broadcast.judge import TWIN, Told, Verdict, line
from monitor.evaluate.broadcast.scene import Element, Kind, Scene

SHARED = 0.55
"""Mean similarity along both lines from which on they share a sound: two strangers have 0.1 to 0.3, half a hop apart the same has
0.87."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One false detection."""

    told: Told
    on_air: str
    alike: float | None
    """Mean similarity of the two recordings there; None where no recording was on air, or an impostor was told."""
    cause: str


def causes(verdicts: Sequence[Verdict], stored: Mapping[str, NDArray[np.float32]], recipe: Recipe) -> list[Cause]:
    """Say of every false detection what it was.

    Args:
        verdicts: Scenes in which nothing is known.
        stored: Fingerprints of all that was told or heard, but impostors, by name.
        recipe: Of the encoder.
    """
    return [_cause(told, verdict.scene, stored, recipe) for verdict in verdicts for told in verdict.false]


def _cause(told: Told, scene: Scene, stored: Mapping[str, NDArray[np.float32]], recipe: Recipe) -> Cause:
    on_air = [(min(told.end_s, one.end_s) - max(told.start_s, one.at_s), one) for one in scene.elements]
    longest = max((one for one in on_air if one[1].kind is Kind.RECORDING), key=lambda one: one[0], default=None)
    names = "; ".join(one.name or one.kind.value for shared_s, one in on_air if shared_s > 0) or "nothing"
    if told.said.startswith(IMPOSTOR):
        return Cause(told=told, on_air=names, alike=None, cause="other (an impostor)")
    if longest is None or longest[0] <= 0 or told.said not in stored or longest[1].name not in stored:
        return Cause(told=told, on_air=names, alike=None, cause="other")
    alike = _alike(told, longest[1], stored, recipe)
    cause = "a version, or the same music" if alike >= TWIN else "a shared sound" if alike >= SHARED else "other"
    return Cause(told=told, on_air=names, alike=alike, cause=cause)


def _alike(told: Told, element: Element, stored: Mapping[str, NDArray[np.float32]], recipe: Recipe) -> float:
    first, last = (round(at / recipe.hop_s) for at in (max(told.start_s, element.at_s), min(told.end_s, element.end_s)))
    hops = np.arange(first, max(last, first + 1))
    mine = line(stored[told.said], hops, told.reference_start_s, told.speed, told.start_s, recipe.hop_s)
    theirs = line(stored[element.name], hops, element.from_s, element.speed, element.at_s, recipe.hop_s)
    return float(np.einsum("nd,nd->n", mine, theirs).mean())


def causes_table(causes: Sequence[Cause]) -> str:
    """List them."""
    if not causes:
        return "At the budget that is set nothing was told.\n"
    lines = ["| scene | from, s | s | told | on air | nats | confidence | alike | cause |", "|---|--:|--:|---|---|--:|--:|--:|---|"]
    for one in causes:
        told, alike = one.told, "–" if one.alike is None else f"{one.alike:.2f}"
        lines.append(
            f"| {told.scene} | {told.start_s:.0f} | {told.end_s - told.start_s:.1f} | {told.said} | {one.on_air} | "
            f"{told.evidence:.0f} | {told.confidence:.3f} | {alike} | {one.cause} |"
        )
    return "\n".join(lines) + "\n"


def distinct(scenes: Sequence[Scene]) -> dict[str, float]:
    """Return how many different seconds of recordings are in scenes, and how many seconds of voices and noise, by kind."""
    pieces: dict[str, list[tuple[float, float]]] = {}
    talk_s = noise_s = 0.0
    for scene in scenes:
        for one in scene.elements:
            match one.kind:
                case Kind.RECORDING:
                    pieces.setdefault(one.name, []).append((one.from_s, one.from_s + one.length_s * one.speed))
                case Kind.VOICE:
                    talk_s += one.length_s
                case Kind.NOISE:
                    noise_s += one.length_s
                case _:
                    pass
    music_s = sum(_covered(some) for some in pieces.values())
    return {"music": music_s, "speech": talk_s, "noise": noise_s}


def _covered(pieces: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, -np.inf
    for start, stop in sorted(pieces):
        total += max(stop - max(start, reached), 0.0)
        reached = max(reached, stop)
    return total
