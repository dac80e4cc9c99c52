"""From verdicts to figures, and from figures to Markdown.

Knows verdicts, what the oracle knew and which goals the project has set itself. Knows no files and no pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.evaluate.broadcast.judge import Found, Told, Verdict
from monitor.evaluate.broadcast.oracle import Known
from monitor.evaluate.broadcast.score import Count, Matches

DAY_H = 24.0
GROUPS = {
    "in front": ("foreground", "cross-fades", "twice"),
    "under speech": ("speech ",),
    "short": ("spot", "jingles"),
    "other speeds": ("speed ", "speed,"),
    "unknown": ("unknown",),
    "as BAF has it": ("whole",),
}
"""Conditions by the beginning of their names."""
CONFIDENCE_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one condition, or of all."""

    condition: str
    hours: float
    seconds: Count
    matches: Matches
    found: tuple[Found, ...]
    false: tuple[Told, ...]
    known: tuple[Known, ...]

    @property
    def start_errors_s(self) -> list[float]:
        """Absolute, of the plays found."""
        return [abs(one.start_error_s) for one in self.found if one.told]

    @property
    def end_errors_s(self) -> list[float]:
        """Absolute, of the plays found."""
        return [abs(one.end_error_s) for one in self.found if one.told]

    @property
    def after_s(self) -> list[float]:
        """To the first message, of the plays found."""
        return [one.after_s for one in self.found if one.told]

    @property
    def speed_errors(self) -> list[float]:
        """Absolute, of the plays found."""
        return [abs(one.speed_error) for one in self.found if one.told]

    @property
    def share_found(self) -> float:
        """Share of the plays that a told play speaks of; one told play speaks of one true one, whatever else it touches."""
        return sum(bool(one.told) for one in self.found) / len(self.found) if self.found else 1.0

    @property
    def oracle(self) -> Count:
        """What the oracle would have said, in seconds; it says nothing false."""
        said = sum(min(one.said_s, one.element.length_s) for one in self.known)
        return Count(right=said, missed=sum(one.element.length_s for one in self.known) - said)

    @property
    def oracle_found(self) -> float:
        """Share of the plays that the oracle would have named."""
        return sum(one.after_s is not None for one in self.known) / len(self.known) if self.known else 1.0

    @property
    def false_per_day(self) -> float:
        """False detections per station-day."""
        return len(self.false) * DAY_H / self.hours if self.hours else 0.0


def summarise(condition: str, verdicts: Sequence[Verdict], known: Mapping[str, Sequence[Known]]) -> Summary:
    """Put the verdicts of some scenes together."""
    return Summary(
        condition=condition,
        hours=sum(verdict.scene.length_s for verdict in verdicts) / 3600.0,
        seconds=sum((verdict.seconds for verdict in verdicts), Count()),
        matches=sum((verdict.matches for verdict in verdicts), Matches()),
        found=tuple(found for verdict in verdicts for found in verdict.plays),
        false=tuple(told for verdict in verdicts for told in verdict.false),
        known=tuple(one for verdict in verdicts for one in known[verdict.scene.name]),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile; not a number where there is nothing."""
    return float(np.quantile(values, share)) if values else float("nan")


def main_table(summaries: Iterable[Summary]) -> str:
    """Write the figures of every condition."""
    lines = [
        "| condition | hours | plays | F1 s | precision s | recall s | oracle F1 s | found | oracle found | told right "
        "| matches a play | start off, s: median / 95 % | end off, s | first message, s | false a day |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in summaries:
        plays = bool(one.found)
        cells = [
            one.condition,
            f"{one.hours:.2f}",
            str(len(one.found)),
            f"{one.seconds.f1:.3f}" if plays else "–",
            f"{one.seconds.precision:.3f}" if plays else "–",
            f"{one.seconds.recall:.3f}" if plays else "–",
            f"{one.oracle.f1:.3f}" if plays else "–",
            f"{one.share_found:.3f}" if plays else "–",
            f"{one.oracle_found:.3f}" if plays else "–",
            f"{one.matches.precision:.3f}" if plays else "–",
            f"{one.matches.per_play:.2f}" if plays else "–",
            _spread(one.start_errors_s),
            _spread(one.end_errors_s),
            _spread(one.after_s, digits=1),
            f"{one.false_per_day:.1f} ({len(one.false)})",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def inside_table(summaries: Iterable[Summary]) -> str:
    """Write how many true starts and ends lie within the uncertainty that was said with them."""
    lines = ["| condition | plays found | starts inside | ends inside |", "|---|--:|--:|--:|"]
    for one in summaries:
        told = [found for found in one.found if found.told]
        if told:
            shares = " | ".join(
                f"{100 * sum(inside) / len(told):.1f} %"
                for inside in ([found.start_inside for found in told], [found.end_inside for found in told])
            )
            lines.append(f"| {one.condition} | {len(told)} | {shares} |")
    return "\n".join(lines) + "\n"


def readme_table(summaries: Iterable[Summary]) -> str:
    """Write the shorter table that goes into the README."""
    lines = [
        "| what is on air | plays | F1 (oracle) | precision | recall | matches a play | start, end off, s | first message, s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in summaries:
        if one.found:
            seconds, off = one.seconds, (quantile(one.start_errors_s, 0.5), quantile(one.end_errors_s, 0.5))
            after_s = quantile(one.after_s, 0.5)
            lines.append(
                f"| {one.condition} | {len(one.found)} | {seconds.f1:.2f} ({one.oracle.f1:.2f}) | {seconds.precision:.3f} | "
                f"{seconds.recall:.2f} | {one.matches.per_play:.2f} | {off[0]:.2f}, {off[1]:.2f} | {after_s:.1f} |"
            )
    return "\n".join(lines) + "\n"


def cross_fades(summary: Summary) -> tuple[float, float]:
    """Return the share of fades of which both sides were found, and the share of told boundaries that lie inside their fade.

    A boundary is the middle between the told end of one and the told start of the other.
    """
    fades = both = inside = 0
    by_scene: dict[str, list[Found]] = {}
    for found in summary.found:
        by_scene.setdefault(found.scene, []).append(found)
    for plays in by_scene.values():
        for one, other in itertools.pairwise(plays):
            if other.element.at_s >= one.element.end_s:
                continue
            fades += 1
            if one.told and other.told:
                both += 1
                middle_s = (max(told.end_s for told in one.told) + min(told.start_s for told in other.told)) / 2
                inside += other.element.at_s <= middle_s <= one.element.end_s
    return (both / fades, inside / both if both else 0.0) if fades else (1.0, 1.0)


def versions(summary: Summary) -> tuple[int, int, int]:
    """Return how many plays of spots were told right, under a sibling's name only, and not at all."""
    right = sibling = missed = 0
    false = list(summary.false)
    for found in summary.found:
        others = [told for told in false if told.scene == found.scene and _together(told, found)]
        if found.told:
            right += 1
        elif others:
            sibling += 1
        else:
            missed += 1
    return right, sibling, missed


def also_siblings(summary: Summary) -> int:
    """Count plays of spots that were told right and under another name too."""
    return sum(
        bool(found.told) and any(told.scene == found.scene and _together(told, found) for told in summary.false)
        for found in summary.found
    )


def _together(told: Told, found: Found) -> bool:
    return min(told.end_s, found.element.end_s) > max(told.start_s, found.element.at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Told plays of like confidence."""

    low: float
    high: float
    told: int
    claimed: float
    right: float


def _claims(verdicts: Iterable[Verdict]) -> list[tuple[float, bool]]:
    """Return of every told play its confidence and whether it was right."""
    claims: list[tuple[float, bool]] = []
    for verdict in verdicts:
        false = {id(told) for told in verdict.false}
        claims += [(told.confidence, id(told) not in false) for told in verdict.told]
    return claims


def reliability_by_group(verdicts: Sequence[Verdict]) -> str:
    """Write for each group of conditions what was claimed and what came true, with the error of that (one standard deviation)."""
    lines = ["| conditions | told plays | mean claim | right |", "|---|--:|--:|--:|"]
    for name, starts in GROUPS.items():
        claims = _claims(one for one in verdicts if one.scene.condition.startswith(starts))
        if claims:
            claimed, right = (float(np.mean(column)) for column in zip(*claims, strict=True))
            error = float(np.sqrt(max(right * (1 - right), 0.25 / len(claims)) / len(claims)))
            lines.append(f"| {name} | {len(claims)} | {claimed:.3f} | {right:.3f} ± {error:.3f} |")
    return "\n".join(lines) + "\n"


def reliability(verdicts: Iterable[Verdict]) -> list[Bin]:
    """Compare what `confidence` claims with what came true, over all told plays."""
    claims = _claims(verdicts)
    bins = []
    for low, high in itertools.pairwise(CONFIDENCE_EDGES):
        inside = [(claim, right) for claim, right in claims if low <= claim < high or (high == 1.0 and claim == 1.0)]
        if inside:
            claimed, right = (float(np.mean(column)) for column in zip(*inside, strict=True))
            bins.append(Bin(low=low, high=high, told=len(inside), claimed=claimed, right=right))
    return bins


def _spread(values: Sequence[float], *, digits: int = 2) -> str:
    return f"{quantile(values, 0.5):.{digits}f} / {quantile(values, 0.95):.{digits}f}" if values else "–"
