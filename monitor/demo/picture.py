"""The timeline as a picture: what was on air above, what the monitor said below.

Knows matplotlib. Decides nothing.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from monitor.demo.verdict import Verdict

_TRUTH, _UNLISTED, _FOUND, _FALSE = "#9db4c0", "#e0e0e0", "#3a7d44", "#c1121f"


def draw(path: Path, verdict: Verdict, sent_utc_s: dict[str, float]) -> None:
    """Write the picture as PNG; time runs from each station's first sample, in seconds."""
    stations = list(sent_utc_s)
    figure = Figure(figsize=(14, 1.2 + 1.8 * len(stations)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, station in enumerate(stations):
        begin, base = sent_utc_s[station], -3.0 * number
        for place, line in enumerate(line for line in verdict.lines if line.truth.station == station):
            start, end = line.truth.start_utc_s - begin, line.truth.end_utc_s - begin
            color = _TRUTH if line.truth.listed else _UNLISTED
            axes.broken_barh([(start, end - start)], (base + 0.55, 0.8), color=color, edgecolor="white", alpha=0.8)
            name = line.truth.clip.removesuffix(".opus") + ("" if line.truth.listed else " (unlisted)")
            axes.text(start + 0.3, base + (1.1 if place % 2 else 0.75), name, fontsize=7, va="center", clip_on=True)
            if line.told is not None:
                from_s, to_s = line.told.start_utc_s - begin, line.told.end_utc_s - begin
                axes.broken_barh([(from_s, to_s - from_s)], (base - 0.4, 0.8), color=_FOUND, edgecolor="white", alpha=0.8)
                axes.plot([line.told.first_told_utc_s - begin] * 2, [base - 0.4, base + 0.4], color="black", linewidth=1)
        for told in (item for item in verdict.false if item.station == station):
            from_s, to_s = told.start_utc_s - begin, told.end_utc_s - begin
            axes.broken_barh([(from_s, to_s - from_s)], (base - 0.4, 0.8), color=_FALSE, edgecolor="white", alpha=0.8)
            axes.text(from_s + 0.3, base, told.title, fontsize=7, va="center", color="white", clip_on=True)
    places = [-3.0 * number + offset for number in range(len(stations)) for offset in (0.95, 0.0)]
    axes.set_yticks(places, [text for station in stations for text in (f"{station}: on air", f"{station}: detected")])
    axes.set_xlabel(
        "seconds since the station's first sample; a black line marks the arrival of the first MQTT message; red is false"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=120)
