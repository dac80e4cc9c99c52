"""Two monitors share one configuration: every station has exactly one of them, also after one of them has taken over all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.sharding import shard_of
from tests.acceptance.box import LISTED, Broker, Daemon, Listener, until

STATIONS = ("one", "two", "radio-1", "radio-2")
CLIP = LISTED / "paniq-progression.opus"


@pytest.fixture
def pair(tmp_path: Path, catalogue: Path, broker: Broker) -> Iterator[list[Daemon]]:
    """Two monitors, not yet started."""
    made = []
    for index in range(2):
        folder = tmp_path / f"monitor-{index}"
        folder.mkdir()
        made.append(Daemon(folder, catalogue=catalogue, broker_port=broker.port, streams={}))
        share(made[-1], index, 2)
    yield made
    for daemon in made:
        daemon.kill()


def share(daemon: Daemon, index: int, count: int) -> None:
    daemon.configure({name: str(CLIP) for name in STATIONS}, "loop = true\n")
    with daemon.config.open("a") as file:
        file.write(f"[shard]\nindex = {index}\ncount = {count}\n")


def stations(daemon: Daemon) -> set[str]:
    """Those it has metrics of."""
    return {name for name in STATIONS if f'monitor_stream_state{{state="online",station="{name}"}}' in daemon.page("/metrics")[1]}


def test_each_station_has_one_monitor(pair: list[Daemon], listener: Listener) -> None:
    for daemon in pair:
        daemon.launch()
    for index in range(2):
        until(lambda index=index: (listener.last(f"status/{index}") or {}).get("state") == "online", 90.0, "both online")
    shares = [stations(daemon) for daemon in pair]
    assert shares == [{name for name in STATIONS if shard_of(name, 2) == index} for index in range(2)]
    assert all(shares), "or this story tells nothing"
    for name in STATIONS:
        until(lambda name=name: listener.events(name, "started"), 30.0, f"told of {name}")
        assert len(listener.events(name, "started")) == 1, "not by both"
        assert listener.last(f"{name}/status")["state"] == "online"
    assert "refused" not in "".join(daemon.said for daemon in pair), "their client ids differ"

    # The first takes over all; what it knows of the other's stations must not be cleared away, then or when it gives them back.
    pair[1].signal(signal.SIGTERM)
    assert pair[1].wait() == 0, pair[1].said
    assert listener.last("status/1")["state"] == "stopped"
    assert listener.last("status/0")["state"] == "online", "the other's end is not its own"
    pair[0].signal(signal.SIGTERM)
    assert pair[0].wait() == 0, pair[0].said
    share(pair[0], 0, 1)
    pair[0].start()
    assert stations(pair[0]) == set(STATIONS)
    until(lambda: listener.last("status")["state"] == "online", 10.0, "one that is alone has the plain status topic")
    pair[0].signal(signal.SIGTERM)
    assert pair[0].wait() == 0
    share(pair[0], 0, 2)
    pair[0].start()
    assert stations(pair[0]) == shares[0]
    for name in shares[0]:
        until(lambda name=name: (listener.last(f"{name}/status") or {}).get("state") == "online", 30.0, f"{name} online again")
    for name in shares[1]:
        assert listener.last(f"{name}/status")["reason"] == "monitor stopped", "not cleared: the other will speak of it"
