"""What the project has set itself to reach, and whether a run reached it. Knows figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.evaluate.broadcast.tables import Summary, cross_fades, quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the project's measures."""

    condition: str
    what: str
    least: float | None = None
    most: float | None = None
    value: Callable[[Summary], float]

    def verdict(self, summary: Summary) -> str:
        """Say value, goal, and whether it is met."""
        value = self.value(summary)
        met = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return f"| {self.condition} | {self.what} | {bound} | {value:.3f} | {'met' if met else '**missed**'} |"


def _speech(level_db: int, least: float) -> tuple[Goal, Goal]:
    name = f"speech {level_db} dB"
    return (
        Goal(condition=name, what="F1 in seconds", least=least, value=lambda one: one.seconds.f1),
        Goal(condition=name, what="precision in seconds", least=0.97, value=lambda one: one.seconds.precision),
    )


GOALS: tuple[Goal, ...] = (
    Goal(condition="foreground", what="F1 in seconds", least=0.98, value=lambda one: one.seconds.f1),
    Goal(condition="foreground", what="matches per play", most=1.02, value=lambda one: one.matches.per_play),
    Goal(condition="foreground", what="start error, median, s", most=0.25, value=lambda one: quantile(one.start_errors_s, 0.5)),
    Goal(condition="foreground", what="start error, 95 %, s", most=1.0, value=lambda one: quantile(one.start_errors_s, 0.95)),
    Goal(condition="foreground", what="end error, median, s", most=0.25, value=lambda one: quantile(one.end_errors_s, 0.5)),
    Goal(condition="foreground", what="end error, 95 %, s", most=1.0, value=lambda one: quantile(one.end_errors_s, 0.95)),
    Goal(condition="foreground", what="first message, median, s", most=3.0, value=lambda one: quantile(one.after_s, 0.5)),
    Goal(condition="cross-fades", what="both found", least=0.95, value=lambda one: cross_fades(one)[0]),
    Goal(condition="cross-fades", what="boundary inside the fade", least=0.95, value=lambda one: cross_fades(one)[1]),
    *(goal for level_db, least in ((0, 0.97), (-6, 0.93), (-12, 0.80), (-18, 0.50)) for goal in _speech(level_db, least)),
    Goal(condition="speech -6 dB", what="first message, median, s", most=6.0, value=lambda one: quantile(one.after_s, 0.5)),
    Goal(condition="spots 5 s", what="plays found", least=0.95, value=lambda one: one.share_found),
    Goal(condition="spots 10-30 s", what="plays found", least=0.99, value=lambda one: one.share_found),
    Goal(condition="jingles 2-3 s", what="plays found", least=0.85, value=lambda one: one.share_found),
    Goal(condition="speed with pitch", what="F1 in seconds", least=0.90, value=lambda one: one.seconds.f1),
    Goal(
        condition="speed with pitch",
        what="factor error, median, %",
        most=0.2,
        value=lambda one: 100 * quantile(one.speed_errors, 0.5),
    ),
    Goal(condition="unknown", what="false detections per station-day", most=1.0, value=lambda one: one.false_per_day),
    Goal(condition="whole", what="F1 in seconds", least=0.85, value=lambda one: one.seconds.f1),
    Goal(condition="whole", what="precision in seconds", least=0.97, value=lambda one: one.seconds.precision),
)


def goals_table(summaries: Mapping[str, Summary]) -> str:
    """Write every goal whose condition was run, and whether it is met."""
    rows = [goal.verdict(summaries[goal.condition]) for goal in GOALS if goal.condition in summaries]
    return "\n".join(["| condition | measure | goal | is | |", "|---|---|--:|--:|---|", *rows]) + "\n"
