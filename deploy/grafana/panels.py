"""Panels, variables and layout of a Grafana dashboard, as Python.

Knows Grafana's dashboard JSON (schema 39, read by Grafana 10.4 and later) and how our metrics are chosen. Knows no dashboard.
"""

from __future__ import annotations

from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"
WIDTH = 24
"""Columns of Grafana's grid."""
STATES = {
    1: ("offline", "dark-red"),
    2: ("reconnecting", "red"),
    3: ("connecting", "yellow"),
    4: ("silent", "orange"),
    5: ("online", "green"),
}
GOOD_BAD = [(None, "green"), (1, "red")]
BAD_GOOD = [(None, "red"), (1, "green")]
Panel = dict[str, Any]
Steps = list[tuple[float | None, str]]


def target(expr: str, legend: str = "", *, now: bool = False, ref: str = "A") -> Panel:
    """One query; `now` asks for the present value only."""
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "instant": now,
        "range": not now,
    }


def targets(queries: dict[str, str], *, now: bool = False) -> list[Panel]:
    """Queries by their legends."""
    return [target(expr, legend, now=now, ref=chr(ord("A") + number)) for number, (legend, expr) in enumerate(queries.items())]


def panel(
    kind: str, title: str, text: str, asked: list[Panel], *, width: int, height: int, defaults: Panel, options: Panel
) -> Panel:
    """One panel; its place is given when the dashboard is laid out."""
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": DATASOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": asked,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def steps(limits: Steps) -> Panel:
    """Colours from a value on."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in limits]}


def stat(
    title: str,
    expr: str,
    text: str,
    *,
    unit: str = "none",
    limits: Steps | None = None,
    words: dict[int, str] | None = None,
    width: int = 4,
) -> Panel:
    """A number, now, coloured by its limits; `words` are shown instead of numbers."""
    mappings = [{"type": "value", "options": {str(value): {"text": word, "index": value} for value, word in (words or {}).items()}}]
    return panel(
        "stat",
        title,
        text,
        [target(expr, now=True)],
        width=width,
        height=4,
        defaults={
            "unit": unit,
            "color": {"mode": "thresholds"},
            "thresholds": steps(limits or [(None, "text")]),
            "mappings": mappings if words else [],
        },
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
        },
    )


def graph(title: str, queries: dict[str, str], text: str, *, unit: str = "short", width: int = 12, stacked: bool = False) -> Panel:
    """Lines over time."""
    return panel(
        "timeseries",
        title,
        text,
        targets(queries),
        width=width,
        height=8,
        defaults={
            "unit": unit,
            "min": 0,
            "color": {"mode": "palette-classic"},
            "custom": {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 40 if stacked else 10,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
            },
        },
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def timeline(title: str, expr: str, legend: str, text: str, *, height: int = 12) -> Panel:
    """The states of stations over time."""
    words = {str(number): {"text": word, "color": colour, "index": number} for number, (word, colour) in STATES.items()}
    return panel(
        "state-timeline",
        title,
        text,
        [target(expr, legend)],
        width=WIDTH,
        height=height,
        defaults={
            "color": {"mode": "thresholds"},
            "mappings": [{"type": "value", "options": words}],
            "thresholds": steps([(None, "text")]),
            "custom": {"fillOpacity": 80, "lineWidth": 0},
        },
        options={
            "showValue": "never",
            "rowHeight": 0.9,
            "mergeValues": True,
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


def bars(title: str, expr: str, legend: str, text: str, *, unit: str, limits: Steps, width: int = 8) -> Panel:
    """One bar a station, the worst first."""
    return panel(
        "bargauge",
        title,
        text,
        [target(expr, legend, now=True)],
        width=width,
        height=10,
        defaults={"unit": unit, "min": 0, "color": {"mode": "thresholds"}, "thresholds": steps(limits), "mappings": []},
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "orientation": "horizontal",
            "displayMode": "basic",
            "valueMode": "color",
            "namePlacement": "auto",
            "showUnfilled": True,
            "sizing": "auto",
            "minVizWidth": 8,
            "minVizHeight": 16,
            "maxVizHeight": 300,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        },
    )


def variable(name: str, label: str, query: str, *, several: bool) -> Panel:
    """A choice at the top, asked of Prometheus."""
    everything = {"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if several else {}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        **everything,
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
        "regex": "",
    }


def dashboard(uid: str, title: str, text: str, panels: list[Panel], *, one_station: bool = False) -> Panel:
    """Lay panels out in reading order, and say what can be chosen."""
    x = y = tallest = 0
    for number, one in enumerate(panels, 1):
        place = one["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        place.update(x=x, y=y)
        one["id"] = number
        x, tallest = x + place["w"], max(tallest, place["h"])
    choices = [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Prometheus",
            "query": "prometheus",
            "refresh": 1,
            "regex": "",
            "multi": False,
            "includeAll": False,
            "hide": 0,
            "options": [],
            "skipUrlSync": False,
        },
        variable("instance", "Monitor", "label_values(monitor_build_info, instance)", several=True),
    ]
    if one_station:
        choices.append(
            variable("station", "Station", 'label_values(monitor_stream_state{instance=~"$instance"}, station)', several=False)
        )
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["monitor"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "templating": {"list": choices},
        "annotations": {"list": []},
        "links": [
            {
                "title": "Broadcast monitor",
                "type": "dashboards",
                "tags": ["monitor"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "icon": "external link",
                "tooltip": "",
                "url": "",
                "targetBlank": False,
            }
        ],
        "panels": panels,
    }


def of(metric: str, **labels: str) -> str:
    """Return a metric of the chosen monitors, with further labels; a value that begins with `~` is a pattern."""
    each = {"instance": "~$instance", **labels}
    asked = [f'{name}=~"{value[1:]}"' if value.startswith("~") else f'{name}="{value}"' for name, value in each.items()]
    return f"{metric}{{{', '.join(asked)}}}"


def quantiles(metric: str) -> dict[str, str]:
    """Median, and what one in twenty exceeds."""
    rate = f"sum by (le) (rate({of(f'{metric}_bucket')}[{RATE}]))"
    return {"median": f"histogram_quantile(0.5, {rate})", "95 %": f"histogram_quantile(0.95, {rate})"}


def state(**labels: str) -> str:
    """Return a station's state as a number, see STATES."""
    each = [f"{number} * {of('monitor_stream_state', state=word, **labels)}" for number, (word, _) in STATES.items()]
    return f"sum by (station) ({' or '.join(each)})"
