"""The picture of a station's day: a line for each hour, or for each day of a longer window, coloured by what it was.

Knows matplotlib, and reads nothing.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.core.airtime import cut, totals
from monitor.errors import Permanent
from monitor.messages import AirState

if TYPE_CHECKING:
    from monitor.ledger.reading import Airtime

COLOURS = {
    AirState.MATCHED: "#1b7f5c",
    AirState.MUSIC: "#7fb8e6",
    AirState.SPEECH: "#f0c24b",
    AirState.SILENCE: "#a3a3a3",
    AirState.NOT_RECEIVED: "#c8371f",
    AirState.SHED: "#8e44ad",
}
LONG_S = 2 * 86400.0 + 3600.0
"""Windows longer than two days (one of them may have 25 hours) have a line for each day."""
HOUR_S = 3600.0


def draw(airtime: Airtime, zone: tzinfo, out: Path) -> None:
    """Write the picture.

    Raises:
        Permanent: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise Permanent(f"a picture needs matplotlib: {sys.executable} -m pip install matplotlib; or use --format table") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    lines = _lines(airtime, zone)
    wide_s = max(end_s - start_s for _, start_s, end_s in lines) if airtime.end_s - airtime.start_s > LONG_S else HOUR_S
    figure, axes = pyplot.subplots(figsize=(12, 1.6 + 0.27 * len(lines)), layout="constrained")
    for row, (_, start_s, end_s) in enumerate(lines):
        shown = cut(airtime.intervals, max(start_s, airtime.start_s), min(end_s, airtime.end_s))
        for state, colour in COLOURS.items():
            bars = [(one.start_s - start_s, one.seconds) for one in shown if one.state is state]
            axes.broken_barh(bars, (row - 0.42, 0.84), color=colour, linewidth=0)
    axes.set_yticks(range(len(lines)), [label for label, _, _ in lines], fontsize="small", family="monospace")
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlim(0, wide_s)
    step_s = 300.0 if wide_s == HOUR_S else 2 * HOUR_S
    ticks = [number * step_s for number in range(int(wide_s / step_s) + 1)]
    axes.set_xticks(ticks, [f"{tick / (60 if wide_s == HOUR_S else HOUR_S):.0f}" for tick in ticks])
    axes.set_xlabel("minute" if wide_s == HOUR_S else "hour")
    axes.spines[["top", "right"]].set_visible(False)
    first, last = (datetime.fromtimestamp(moment, zone) for moment in (airtime.start_s, airtime.end_s))
    axes.set_title(f"{airtime.station}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} {last.tzname()}", loc="left")
    length_s = airtime.end_s - airtime.start_s
    legend = [
        Patch(color=COLOURS[state], label=f"{state.value.replace('_', ' ')} {100 * seconds / length_s:.1f} %")
        for state, seconds in totals(airtime.intervals).items()
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False, fontsize="small")
    figure.savefig(out, dpi=120)
    pyplot.close(figure)


def _lines(airtime: Airtime, zone: tzinfo) -> list[tuple[str, float, float]]:
    """Return a label, the start and the end of each line."""
    lines = []
    first = datetime.fromtimestamp(airtime.start_s, zone)
    if airtime.end_s - airtime.start_s <= LONG_S:
        start_s = first.replace(minute=0, second=0, microsecond=0).timestamp()
        while start_s < airtime.end_s:  # in UTC: the hour of a change of clocks is there twice, or not at all
            lines.append((f"{datetime.fromtimestamp(start_s, zone):%a %H:%M}", start_s, start_s + HOUR_S))
            start_s += HOUR_S
        return lines
    day = first.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    while (start_s := day.replace(tzinfo=zone).timestamp()) < airtime.end_s:
        day += timedelta(days=1)
        lines.append((f"{datetime.fromtimestamp(start_s, zone):%a %Y-%m-%d}", start_s, day.replace(tzinfo=zone).timestamp()))
    return lines
