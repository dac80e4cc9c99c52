"""Dockerfiles, compose.yml and the Kubernetes manifests: what they promise, and that they fit the program and each other.

No container is built or run here. Schema checks and linters that are at hand are run by `deploy/verify.sh`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor import config
from monitor.core.sharding import shard_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted((DEPLOY / "docker").glob("Dockerfile*"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
KUBERNETES = DEPLOY / "kubernetes"


def manifests() -> dict[str, Any]:
    """Every manifest, by its kind."""
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return {content["kind"]: content for name in names for content in yaml.safe_load_all((KUBERNETES / name).read_text())}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_run_as_nobody_special_and_say_how_they_are(path: Path) -> None:
    last = path.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last
    assert "/livez" in last
    assert re.search(r'^ENTRYPOINT \["monitor"\]$', last, flags=re.MULTILINE)
    assert "gcc" not in last, "what builds stays in the first stage"
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), flags=re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines(), f"{name} is kept out of the build"


def test_the_small_image_has_the_same_versions_without_cuda() -> None:
    """The pattern of Dockerfile.cpu, on our constraints."""
    text = (DEPLOY / "docker/Dockerfile.cpu").read_text()
    found = re.search(r"sed -E '([^']+)' constraints\.txt", text)
    assert found is not None
    done = subprocess.run(
        ["sed", "-E", found.group(1), ROOT / "constraints.txt"], capture_output=True, text=True, check=True
    ).stdout
    kept = {line for line in done.splitlines() if "==" in line}
    before = {line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert not [line for line in kept if re.match(r"(nvidia|cuda|triton|torch|faiss-gpu)", line)]
    (faiss,) = kept - before
    assert faiss.startswith("faiss-cpu==")
    assert faiss.replace("cpu", "gpu") in before
    assert {"numpy", "aiomqtt", "pydantic"} <= {line.partition("==")[0] for line in kept}


def test_compose_keeps_everything_on_this_machine_and_nothing_writable() -> None:
    assert {"monitor", "mosquitto", "prometheus", "alertmanager", "grafana"} == set(COMPOSE["services"])
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        for mount in service["volumes"]:
            source = re.sub(r"^\$\{\w+:-(.+?)\}", r"\1", mount).split(":")[0]
            if source.startswith(".") and "secrets" not in source:
                assert (DEPLOY / source).exists(), mount
                assert mount.endswith(":ro"), mount


def test_compose_and_the_other_files_name_the_same_places() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (scraped,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    (told,) = prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    for target, port in ((scraped, "9464"), (told, "9093")):
        host, _, given = target.partition(":")
        assert host in COMPOSE["services"]
        assert given == port
    assert (DEPLOY / "prometheus" / prometheus["rule_files"][0]).exists()


def test_its_settings_are_ours(tmp_path: Path) -> None:
    """An environment variable that no section knows is an error at the start."""
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (tmp_path / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    environ = {**COMPOSE["services"]["monitor"]["environment"], "MONITOR_HTTP_BIND": "0.0.0.0"}
    assert environ["MONITOR_MQTT_PASSWORD_FILE"] == "/run/secrets/mqtt-password"
    environ["MONITOR_MQTT_PASSWORD_FILE"] = str(secret)
    settings = config.load(tmp_path / "config.toml", environ)
    assert (settings.mqtt.host, settings.mqtt.username, settings.mqtt.password) == ("mosquitto", "monitor", "secret")


def test_the_images_are_built_under_the_name_they_are_asked_for() -> None:
    # The Dockerfiles said `-t monitor`, the manifests asked for broadcast-monitor.
    (image,) = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["images"]
    name = f"{image['name']}:{image['newTag']}"
    assert manifests()["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["image"] == image["name"]
    assert yaml.safe_load((KUBERNETES / "fill.yaml").read_text())["spec"]["containers"][0]["image"] == name
    assert COMPOSE["services"]["monitor"]["image"] == image["name"]
    for path in DOCKERFILES:
        assert re.search(rf"^#   docker build .* -t {re.escape(name)} \.$", path.read_text(), flags=re.MULTILINE), path


def test_replicas_share_the_stations() -> None:
    stateful = manifests()["StatefulSet"]["spec"]
    (container,) = stateful["template"]["spec"]["containers"]
    environ = {one["name"]: one for one in container["env"]}
    assert environ["MONITOR_SHARD_COUNT"]["value"] == str(stateful["replicas"])
    assert environ["MONITOR_SHARD_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    assert stateful["template"]["spec"]["enableServiceLinks"] is False
    stations = [f"station-{number}" for number in range(200)]
    shares = [{name for name in stations if shard_of(name, stateful["replicas"]) == index} for index in range(stateful["replicas"])]
    assert set.union(*shares) == set(stations)
    assert sum(map(len, shares)) == len(stations), "each has one"


def test_replicas_are_as_locked_up_as_the_namespace_asks() -> None:
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]} | {"state"}


def test_the_pod_that_fills_the_catalogue_is_let_in_and_writes_where_the_replicas_read() -> None:
    fill = yaml.safe_load((KUBERNETES / "fill.yaml").read_text())
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    (container,), (replica,) = fill["spec"]["containers"], pod["containers"]
    assert fill["spec"]["securityContext"] == pod["securityContext"]
    assert container["securityContext"] == replica["securityContext"]
    assert fill["spec"]["enableServiceLinks"] is False
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "catalog"]
    (read,) = [one for one in replica["volumeMounts"] if one["name"] == "catalog"]
    assert mount["mountPath"] == read["mountPath"]
    assert not mount.get("readOnly")
    (volume,) = [one for one in fill["spec"]["volumes"] if one["name"] == "catalog"]
    assert volume["persistentVolumeClaim"] == {"claimName": manifests()["PersistentVolumeClaim"]["metadata"]["name"]}
    folder = re.search(r'^\[catalog\]\npath = "(.+)"$', (KUBERNETES / "config.toml").read_text(), flags=re.MULTILINE)
    assert folder is not None
    assert f"catalog add --catalog {folder.group(1)} /music\n" in (KUBERNETES / "fill.yaml").read_text()


def test_their_configuration_is_one(tmp_path: Path) -> None:
    text = (KUBERNETES / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(text)
    (container,) = manifests()["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    secret = tmp_path / "password"
    secret.write_text("x\n")
    settings = config.load(
        tmp_path / "config.toml",
        {"MONITOR_MQTT_PASSWORD_FILE": str(secret), "MONITOR_SHARD_INDEX": "2", "MONITOR_SHARD_COUNT": "3"},
    )
    assert settings.http.bind == "0.0.0.0", "or nobody could ask how it is"
    assert str(settings.catalog.path.parent) in mounted
    assert str(settings.outbox.path.parent) in mounted
    assert (settings.mqtt.client_id, settings.mqtt.status_topic) == ("monitor-2", "status/2")
    assert '"/run/secrets/mqtt/password"' in text
    assert "/run/secrets/mqtt" in mounted


@pytest.mark.skipif(
    not shutil.which("kubectl"), reason="kubectl is in Debian, but not in Ubuntu, so `make setup` does not install it"
)
def test_kustomize_builds_it() -> None:
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert set(made) == {*manifests(), "ConfigMap"}
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    (named,) = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
    assert named == made["ConfigMap"]["metadata"]["name"], "a change of the configuration rolls the replicas"
    assert all(one["metadata"]["namespace"] == "broadcast-monitor" for one in made.values() if one["kind"] != "Namespace")
