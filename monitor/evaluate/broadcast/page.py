"""The page a run leaves behind, in Markdown: what was asked, what came out.

Knows figures and words. Knows no files and no sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast import alarms, impostors, tables
from monitor.evaluate.broadcast.catalogue import Catalogue
from monitor.evaluate.broadcast.causes import Cause, causes_table
from monitor.evaluate.broadcast.goals import goals_table
from monitor.evaluate.broadcast.judge import Told, Verdict
from monitor.evaluate.broadcast.oracle import Known
from monitor.evaluate.broadcast.plan import CONDITIONS
from monitor.evaluate.broadcast.tables import Summary, summarise
from monitor.settings import MatcherSettings

LARGER = (3000, 10_000)
"""Catalogues in which the unknown is searched as well, if nothing else is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of a run."""

    split: str
    hours: float
    seed: int
    conditions: Sequence[str] = ()
    unknown_hours: float | None = None
    """Of unknown audio, in place of its share of the hours."""
    recordings: int = 1000
    """Size of the catalogue, impostors included."""
    larger: Sequence[int] = ()
    """Sizes in which the unknown is searched as well."""
    encoder: str = "compact"
    device: str = "auto"
    settings: MatcherSettings = field(default_factory=lambda: MatcherSettings(update_every_s=0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a run found out."""

    wish: Wish
    recipe: Recipe
    query: str
    """SHA-256 of the network that heard the air; empty: the encoder's own."""
    catalogue: Catalogue
    verdicts: Sequence[Verdict]
    loose: Sequence[Verdict]
    """Doubtful conditions at a much larger budget."""
    known: Mapping[str, Sequence[Known]]
    steps: Sequence[alarms.Step]
    causes: Sequence[Cause]
    """Of what was told of the unknown at the budget that is set."""
    distinct_s: Mapping[str, float]
    """Different seconds in the unknown, by kind; the others are the same again."""
    likeness: Sequence[impostors.Likeness]
    """At rising sizes."""
    chromaprint: str
    encode_s: float
    match_s: float

    def encoder(self) -> str:
        """Return which encoder it was, and what heard the air for it."""
        air = f", the air heard by {self.query[:16]}" if self.query else ""
        return f"{self.recipe.name} ({self.recipe.hash}{air})"

    def all(self) -> Summary:
        """Return the figures of all scenes together."""
        return summarise("all", self.verdicts, self.known)

    def summaries(self) -> dict[str, Summary]:
        """Return the figures of each condition that was run, in their order."""
        names = [name for name in CONDITIONS if any(one.scene.condition == name for one in self.verdicts)]
        return {name: summarise(name, [one for one in self.verdicts if one.scene.condition == name], self.known) for name in names}


def readme(outcome: Outcome, summaries: Mapping[str, Summary]) -> str:
    """Write what goes into the README: on what it was measured, the short table, and what was said of the unknown."""
    wish, every, catalogue = outcome.wish, outcome.all(), outcome.catalogue
    text = (
        f"`monitor evaluate broadcast --split {wish.split} --hours {wish.hours:g} --seed {wish.seed}`: "
        f"{every.hours:.1f} station-hours of free music from package registries (nearly all instrumental) and human speech, each "
        f"scene through its own studio processing and codec; {catalogue.recordings} recordings in the catalogue, "
        f"{len(catalogue.stored)} of them played, {catalogue.unplayed} others never, the rest made up; "
        f"encoder {outcome.encoder()}. F1, "
        "precision and recall are in seconds, by the rules of BAF; the oracle is told where every recording is and only has to "
        "believe it.\n"
    )
    right = sum(bool(one.told) for one in every.found)
    said = f"In all {every.hours:.1f} h: {len(every.false)} false detections; {right} of {len(every.found)} plays found.\n"
    if unknown := summaries.get("unknown"):
        said += f"In {unknown.hours:.1f} h of unknown music, speech, noise and silence: {len(unknown.false)} false detections.\n"
    return "\n".join([text, tables.readme_table([*summaries.values(), every]), said])


def page(outcome: Outcome, summaries: Mapping[str, Summary], bins: Sequence[tables.Bin], loose: Sequence[tables.Bin]) -> str:
    """Write the page in Markdown."""
    wish, hours = outcome.wish, sum(one.hours for one in summaries.values())
    names = list(outcome.catalogue.names.values())
    parts = [
        "# The broadcast benchmark\n",
        f"Split {wish.split}, seed {wish.seed}, {hours:.2f} station-hours; encoder {outcome.encoder()}; "
        f"{len(names)} recordings in the catalogue ({outcome.catalogue.library.rows} fingerprints), "
        f"{len(outcome.catalogue.stored)} of them played, {outcome.catalogue.unplayed} others never, the rest impostors; "
        f"false alarms allowed per "
        f"station-day: {wish.settings.false_alarms_per_day:g}. Free music of package registries, nearly all instrumental; "
        "hardly any singing.\n",
        "## By condition\n",
        tables.main_table([*summaries.values(), outcome.all()]),
        "![](conditions.png)\n",
        "`F1 s`, `precision s`, `recall s`: in seconds, by the rules of BAF. `found`: share of true plays that a told play speaks "
        "of; `told right`: share of told plays that touch a true one of their name. `oracle`: the evidence along the true line, "
        "nothing else. Errors are absolute, of the plays found. The first message counts from the first audible sample.\n",
        "## Goals\n",
        goals_table(summaries),
        "![](errors.png)\n\n![](timelines.png)\n",
        "## Are start and end as sure as is said\n",
        "Within the uncertainty that is told with each, less the clock's part; 95 % is meant, and slow fades are not in it:\n",
        tables.inside_table([*summaries.values(), outcome.all()]),
        "## What else\n",
        _remarks(summaries),
        *(["## False alarms\n", _alarm_table(outcome), "![](alarms.png)\n"] if outcome.steps else []),
        "## Is confidence what it says\n",
        _bins(bins),
        tables.reliability_by_group(outcome.verdicts),
        "And where hardly anything is asked of a play, so that there are doubtful ones (a thousand false alarms a day; the hardest "
        "conditions only):\n",
        _bins(loose),
        tables.reliability_by_group(outcome.loose),
        "![](reliability.png)\n",
        "## Are impostors like real rivals\n",
        _likeness_table(outcome.likeness),
    ]
    if outcome.chromaprint:
        parts += ["## Chromaprint (Debian's fpcalc) on the same audio\n", outcome.chromaprint]
    parts += [
        "## How fast\n",
        f"Encoding {hours * 3600 / max(outcome.encode_s, 1e-9):.0f} × real time, matching "
        f"{hours * 3600 / max(outcome.match_s, 1e-9):.0f} ×: matching takes {outcome.match_s / max(outcome.encode_s, 1e-9):.2f} "
        f"of the encoder's time (search of {outcome.catalogue.library.rows} fingerprints included, "
        f"{len(outcome.verdicts)} streams side by side). "
        "Encoding was timed beside rendering, matching alone.\n",
    ]
    return "\n".join(parts)


def _remarks(summaries: Mapping[str, Summary]) -> str:
    lines = []
    if fades := summaries.get("cross-fades"):
        both, inside = tables.cross_fades(fades)
        lines.append(f"- Cross-fades: both found in {100 * both:.1f} %, boundary inside the fade in {100 * inside:.1f} % of these.")
    for name in ("speed with pitch", "speed, tempo only"):
        if one := summaries.get(name):
            off = [100 * tables.quantile(one.speed_errors, share) for share in (0.5, 0.95)]
            lines.append(f"- {name}: factor off by {off[0]:.2f} % in the median, 95 %: {off[1]:.2f} %.")
    for name in ("spot versions", "spots 10-30 s", "spots 5 s"):
        if one := summaries.get(name):
            right, sibling, missed = tables.versions(one)
            lines.append(
                f"- {name}: {right} right ({tables.also_siblings(one)} of them with another name beside), {sibling} under another "
                f"name only, {missed} missed."
            )
    told = [told for one in summaries.values() for told in _told(one)]
    lines.append(f"- Place in the recording right in {sum(bool(one.place_right) for one in told)} of {len(told)} told plays.")
    doubt = sum(bool(one.alternatives) for one in told)
    lines.append(f"- {doubt} of them were told as one of several to the end; the true one was among these.")
    lines += [_use(one) for one in summaries.values() if one.condition == "foreground" or one.condition.startswith("speech")]
    whole = [told for name in ("spots 5 s", "spots 10-30 s") if name in summaries for told in _told(summaries[name])]
    if whole:
        lines.append(
            f"- Spots, all played from beginning to end: {sum(one.complete for one in whole)} of {len(whole)} told as complete."
        )
    twins = sum(one.said != one.reference for one in told)
    lines.append(f"- {twins} told under the name of another recording that sounds the same there, counted as right.")
    return "\n".join(lines) + "\n"


def _bins(bins: Sequence[tables.Bin]) -> str:
    rows = [f"| {one.low:g}–{one.high:g} | {one.told} | {one.claimed:.3f} | {one.right:.3f} |" for one in bins]
    return "\n".join(["| claimed | told plays | mean claim | right |", "|---|--:|--:|--:|", *rows]) + "\n"


def _told(summary: Summary) -> list[Told]:
    return [told for found in summary.found for told in found.told]


def _use(summary: Summary) -> str:
    counts = Counter(one.usage for one in _told(summary))
    return (
        f"- {summary.condition}: told as "
        + (", ".join(f"{name} {count}" for name, count in counts.most_common()) or "nothing")
        + "."
    )


def _likeness_table(likeness: Sequence[impostors.Likeness]) -> str:
    shares = " | ".join(f"{100 * share:g} %" for share in impostors.QUANTILES)
    lines = [
        "Similarity of windows of unknown music to the nearest of so many fingerprints, quantiles: real recordings / impostors "
        "made of others, each of whose fingerprints is used as often as in the largest catalogue.\n",
        f"| fingerprints | {shares} |\n|--:|{'--:|' * len(impostors.QUANTILES)}",
    ]
    for one in likeness:
        pairs = " | ".join(f"{real:.3f} / {made:.3f}" for real, made in zip(one.real, one.made, strict=True))
        lines.append(f"| {one.fingerprints} | {pairs} |")
    return "\n".join(lines) + "\n"


def _alarm_table(outcome: Outcome) -> str:
    lines = [
        "| recordings | fingerprints | allowed a station-day | came | hours | a station-day | came / allowed |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for step in outcome.steps:
        came = f"{step.alarms} | {step.hours:.2f} | {step.per_day:.1f} | {step.per_day / step.budget:.2f}"
        lines.append(f"| {step.recordings} | {step.fingerprints} | {step.budget:g} | {came} |")
    distinct = ", ".join(f"{seconds / 3600:.2f} h of {name}" for name, seconds in outcome.distinct_s.items())
    return (
        "\n".join(lines)
        + f"\n\nUnknown music (in front, faster and slower, and under speech), speech, noise and silence; {distinct} are "
        f"different, the rest is the same through another studio and codec.\n\n{causes_table(outcome.causes)}"
    )
