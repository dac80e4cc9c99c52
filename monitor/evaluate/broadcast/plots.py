"""Pictures of a run. Knows figures and matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from monitor.evaluate.broadcast.alarms import Step
from monitor.evaluate.broadcast.judge import Verdict
from monitor.evaluate.broadcast.tables import Bin, Summary

mpl.use("Agg")
BLUE, ORANGE, GREEN, RED, GREY = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#a0aec0"


def conditions(path: Path, summaries: Sequence[Summary]) -> None:
    """Draw F1, precision and recall in seconds of each condition, and the oracle's F1."""
    shown = [one for one in summaries if one.found]
    figure = Figure(figsize=(9, 0.42 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))
    axes.barh(places, [one.seconds.f1 for one in shown], color=BLUE, height=0.6, label="F1 in seconds")
    for values, marker, colour, label in (
        ([one.oracle.f1 for one in shown], "|", RED, "oracle's F1: the encoder's limit"),
        ([one.seconds.precision for one in shown], ">", ORANGE, "precision"),
        ([one.seconds.recall for one in shown], "<", GREEN, "recall"),
    ):
        axes.scatter(values, places, marker=marker, s=260 if marker == "|" else 34, color=colour, label=label, zorder=3)
    axes.set_yticks(places, [one.condition for one in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def errors(path: Path, summaries: Sequence[Summary]) -> None:
    """Draw how far starts and ends are off, and how long the first message takes, as cumulative shares of the plays found."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for axes, title, limit_s, values in (
        (panels[0], "start off by, s", 3.0, [one.start_errors_s for one in summaries]),
        (panels[1], "end off by, s", 3.0, [one.end_errors_s for one in summaries]),
        (panels[2], "first message after, s", 20.0, [one.after_s for one in summaries]),
    ):
        for number, (one, some) in enumerate(zip(summaries, values, strict=True)):
            if some:
                axes.step(np.sort(some), np.arange(1, len(some) + 1) / len(some), color=colours[number % 20], label=one.condition)
        axes.set_xlim(0, limit_s)
        axes.set_xlabel(title)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of the plays found")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def reliability(path: Path, bins: Sequence[Bin], loose: Sequence[Bin]) -> None:
    """Draw claimed confidence against what came true, with how many plays each point stands for."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for some, colour, label in ((bins, BLUE, "as it is set"), (loose, ORANGE, "at 1000 false alarms a day, hardest conditions")):
        for number, one in enumerate(some):
            spread = 1.96 * np.sqrt(max(one.right * (1 - one.right), 0.25 / one.told) / one.told)
            axes.errorbar(one.claimed, one.right, yerr=spread, color=colour, marker="o", capsize=3, label=None if number else label)
            axes.annotate(f" {one.told}", (one.claimed, one.right), fontsize=8, va="top", color=colour)
    if bins or loose:
        axes.legend(loc="lower left", frameon=False, fontsize=8)
    axes.set(xlabel="confidence claimed", ylabel="share that was right", xlim=(0, 1.05), ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def alarms(path: Path, steps: Sequence[Step]) -> None:
    """Draw false alarms that came against those that were allowed."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    budgets = np.unique([one.budget for one in steps])
    axes.fill_between(budgets, budgets / 2, budgets * 2, color=GREY, alpha=0.3, label="within a factor 2 of the budget")
    for number, recordings in enumerate(sorted({one.recordings for one in steps})):
        some = [one for one in steps if one.recordings == recordings]
        seen, none = [one for one in some if one.alarms], [one for one in some if not one.alarms]
        (line,) = axes.plot([one.budget for one in seen], [one.per_day for one in seen], label=f"{recordings} recordings")
        spread = [one.per_day / np.sqrt(one.alarms) for one in seen]
        axes.errorbar(*line.get_data(), yerr=spread, color=line.get_color(), marker="o", capsize=3)
        label = "none came: below this (95 %)" if not number else None
        below = [3 * 24 / one.hours for one in none]
        axes.scatter([one.budget for one in none], below, marker="v", color=line.get_color(), label=label)
    axes.set(xscale="log", yscale="log", xlabel="false alarms allowed per station-day", ylabel="false alarms per station-day")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def timelines(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Draw the first scene of each condition: what was on air (above) and what was told (below); red is false."""
    figure = Figure(figsize=(12, 0.75 * len(verdicts) + 0.8), layout="constrained")
    axes = figure.subplots()
    for row, verdict in enumerate(verdicts):
        false = {id(told) for told in verdict.false}
        for element in verdict.scene.elements:
            colour = BLUE if element.listed else GREY
            height = 0.3 if element.name else 0.08
            axes.barh(row - 0.2, element.length_s, left=element.at_s, height=height, color=colour, edgecolor="white", alpha=0.8)
        for told in verdict.told:
            colour = RED if id(told) in false else GREEN
            axes.barh(row + 0.15, told.end_s - told.start_s, left=told.start_s, height=0.3, color=colour, edgecolor="white")
            axes.plot([told.detected_s], [row + 0.15], marker="|", color="black", markersize=9)
    axes.set_ylim(-0.6, len(verdicts) - 0.4)
    axes.set_yticks(range(len(verdicts)), [f"{verdict.scene.name}\n{verdict.scene.codec}" for verdict in verdicts], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("seconds; blue: known, grey: unknown; green: told right, red: told falsely; bar: when it was certain")
    figure.savefig(path, dpi=110)
