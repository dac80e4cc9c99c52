"""Every panel of every Grafana dashboard, asked of a real Prometheus that scrapes a running daemon: none empty, none refused.

Grafana itself does not run here; that the files are the dashboards it reads is tested in `tests/integration/test_deploy.py`.
"""

from __future__ import annotations

import json
import math
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.box import LISTED, VOICE, Daemon, Listener, Radio, free_port, listens, programme, until

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
CHOSEN = {"$instance": ".*", "$station": "one", "$__rate_interval": "10s", "$__range": "1h", "${datasource}": "prometheus"}
"""What Grafana would put in place of its variables."""
FILL_LIMIT_S = 45.0


class Prometheus:
    """Scrapes one daemon every second, with our alert rules."""

    def __init__(self, program: Path, folder: Path, scraped_port: int) -> None:
        self.port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{DEPLOY}/prometheus/alerts.yml]\n"
            f'scrape_configs: [{{job_name: monitor, static_configs: [{{targets: ["127.0.0.1:{scraped_port}"]}}]}}]\n'
        )
        with (folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder}/tsdb",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: listens(self.port), 20.0, "a Prometheus that listens")

    def ask(self, page: str, **question: str) -> Any:
        address = f"http://127.0.0.1:{self.port}/api/v1/{page}?{urllib.parse.urlencode(question)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{question}: {error.read().decode()}")

    def numbers(self, query: str) -> list[float]:
        """What a query gives now, without what is no number."""
        found = [float(series["value"][1]) for series in self.ask("query", query=query)["result"]]
        return [number for number in found if not math.isnan(number)]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10.0)


@pytest.fixture
def prometheus(need: Callable[[str], Path], tmp_path: Path, daemon: Daemon) -> Iterator[Prometheus]:
    made = Prometheus(need("prometheus"), tmp_path, daemon.http_port)
    yield made
    made.close()


def chosen(text: str) -> str:
    for name, value in CHOSEN.items():
        text = text.replace(name, value)
    return text


def queries() -> dict[str, str]:
    """Every query of every panel, by where it stands."""
    found = {}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                found[f"{path.stem}: {panel['title']}: {target['legendFormat']}"] = chosen(target["expr"])
    return found


def choices() -> dict[str, tuple[str, str]]:
    """What the variables at the top ask: metric and label."""
    found = {}
    for path in DASHBOARDS:
        for one in json.loads(path.read_text())["templating"]["list"]:
            if one["type"] == "query":
                metric, _, label = chosen(one["definition"]).removeprefix("label_values(").removesuffix(")").rpartition(", ")
                found[f"{path.stem}: {one['name']}"] = (metric, label)
    return found


def test_every_panel_shows_something(
    tmp_path: Path, radio: Radio, listener: Listener, daemon: Daemon, prometheus: Prometheus
) -> None:
    asked = queries()
    assert len(DASHBOARDS) == 4
    assert len(asked) > 60
    clip = LISTED / "paniq-progression.opus"
    url = radio.add("one", programme(tmp_path, "one", (VOICE, 0.0, 2.0), *[(clip, 20.0, 20.0), (VOICE, 10.0, 15.0)] * 3))
    daemon.configure({"one": url}, "expect_detection_s = 3600.0\n")
    daemon.start()
    until(lambda: listener.events("one", "started"), 20.0, "told that the recording is on air")

    empty = dict(asked)

    def all_answered() -> bool:
        for where, query in list(empty.items()):
            if prometheus.numbers(query):
                del empty[where]
        return not empty

    try:
        until(all_answered, FILL_LIMIT_S, "an answer to every panel")
    finally:
        assert empty == {}, "these panels stay empty"
    for where, (metric, label) in choices().items():
        assert prometheus.ask(f"label/{label}/values", **{"match[]": metric}), where
    for group in prometheus.ask("rules")["groups"]:
        assert {rule["name"]: rule.get("lastError") for rule in group["rules"] if rule["health"] != "ok"} == {}
        firing = {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}
        assert firing == set(), "nothing is wrong with this monitor"
