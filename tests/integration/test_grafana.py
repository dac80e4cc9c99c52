"""The dashboards' files: as their program writes them, and what Grafana needs to find them. Their queries: tests/acceptance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

GRAFANA = Path(__file__).parents[2] / "deploy/grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_files_are_as_their_program_writes_them() -> None:
    ask = "import dashboards, json; print(json.dumps(dashboards.written()))"
    done = subprocess.run([sys.executable, "-B", "-c", ask], cwd=GRAFANA, capture_output=True, text=True, check=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES} == json.loads(done.stdout), (
        "run deploy/grafana/dashboards.py"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_say_what_they_show(path: Path) -> None:
    content = load(path)
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    assert len({panel["title"] for panel in content["panels"]}) == len(content["panels"])


def test_each_dashboard_has_an_address_of_its_own() -> None:
    assert len({load(path)["uid"] for path in FILES}) == len(FILES) == 4


def test_provisioning_names_the_folder_that_compose_mounts() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/monitor.yml").read_text())["providers"]
    compose = yaml.safe_load((GRAFANA.parent / "compose.yml").read_text())
    mounts = [mount.split(":")[:2] for mount in compose["services"]["grafana"]["volumes"]]
    assert ["./grafana/dashboards", provider["options"]["path"]] in mounts
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
