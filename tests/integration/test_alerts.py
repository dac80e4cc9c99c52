"""The alerts: each is tried both ways, leads to a page that helps, asks for metrics that exist, and reaches somebody."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.observe.metrics import Metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus"
PAGE = ROOT / "deploy/README.md"
Need = Callable[[str], Path]


def alerts() -> dict[str, Any]:
    (group,) = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def checks() -> list[dict[str, Any]]:
    """Every expectation of alerts_test.yml."""
    cases = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    return [check for case in cases for check in case["alert_rule_test"]]


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_rules_and_their_cases(need: Need) -> None:
    promtool = need("promtool")
    for arguments in (("check", "rules", RULES / "alerts.yml"), ("test", "rules", RULES / "alerts_test.yml")):
        code, said = run(promtool, *arguments)
        assert code == 0, said


@pytest.mark.parametrize("name", alerts())
def test_each_alert_fires_in_one_case_and_stays_quiet_in_another(name: str) -> None:
    found = [bool(check.get("exp_alerts")) for check in checks() if check["alertname"] == name]
    assert set(found) == {True, False}


@pytest.mark.parametrize("name", alerts())
def test_each_alert_leads_to_its_own_part_of_the_page(name: str) -> None:
    file, _, anchor = alerts()[name]["annotations"]["runbook_url"].partition("#")
    assert ROOT / file == PAGE
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    assert anchors.count(anchor) == 1
    part = re.search(rf"^### {name}\n\n(.+?)(?=\n#|\Z)", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert part is not None
    assert part.group(1).startswith(f"{alerts()[name]['labels']['severity'].capitalize()}. ")
    assert len(part.group(1)) > 120, "it says what to look at first"


def test_the_page_explains_no_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Monitor\w+)$", PAGE.read_text(), flags=re.MULTILINE)) == set(alerts())


def test_alerts_and_dashboards_ask_for_metrics_that_exist() -> None:
    exported = set(re.findall(r"^# TYPE (\w+)", Metrics(["a"]).exposition().decode(), flags=re.MULTILINE))
    series = exported | {f"{name}_{part}" for name in exported for part in ("bucket", "sum", "count")}
    for file in (RULES / "alerts.yml", *(ROOT / "deploy/grafana/dashboards").glob("*.json")):
        asked = set(re.findall(r"\bmonitor_\w+(?![\w(-])", file.read_text()))
        assert asked
        assert {name for name in asked if name not in series and name != "monitor_stream_"} == set(), file


ROUTES = [
    ("MonitorDown", "critical", "on-call"),
    ("MonitorNothingHeard", "critical", "on-call"),
    ("MonitorDiskRefuses", "critical", "on-call"),
    ("MonitorStationSilent", "warning", "stations"),
    ("MonitorNothingDetected", "warning", "stations"),
    ("MonitorBrokerAway", "warning", "desk"),
    ("MonitorCatalogRefused", "warning", "desk"),
]


@pytest.mark.parametrize(("name", "severity", "receiver"), ROUTES)
def test_routes(need: Need, name: str, severity: str, receiver: str) -> None:
    assert alerts()[name]["labels"]["severity"] == severity
    config = f"--config.file={RULES}/alertmanager.yml"
    done = subprocess.run(
        [need("amtool"), "config", "routes", "test", config, f"alertname={name}", f"severity={severity}", "station=a"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_stations_lost_together_are_one_message() -> None:
    # The route to whoever talks to the stations grouped by station: a network that went down was forty messages.
    route = yaml.safe_load((RULES / "alertmanager.yml").read_text())["route"]
    assert {tuple(one.get("group_by", route["group_by"])) for one in (route, *route["routes"])} == {("alertname", "instance")}


def test_alertmanager_takes_the_file(need: Need) -> None:
    code, said = run(need("amtool"), "check-config", RULES / "alertmanager.yml")
    assert code == 0, said


def test_what_is_held_back_exists() -> None:
    """An inhibition rule that names an alert that was renamed would hold back nothing, and nobody would notice."""
    for rule in yaml.safe_load((RULES / "alertmanager.yml").read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = matcher.partition("=")[2].lstrip("~").strip('"')
            names = [name for name in alerts() if re.fullmatch(pattern, name)]
            assert len(names) >= len(pattern.split("|")), matcher
