"""What a configuration names is opened, or refused as documented, whatever it is called."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor import config
from monitor.app import open_source
from monitor.catalog.store import Store
from monitor.core.recipe import Recipe
from monitor.encoder.engine import pick_device
from monitor.encoder.weights import find
from monitor.errors import BrokerUnreachable, CatalogError, ConfigError, EncoderError, MonitorError, OutboxError, Permanent
from monitor.observe.http import HttpServer
from monitor.observe.hub import Hub
from monitor.publish.board import Board
from monitor.publish.mqtt import brokers
from monitor.publish.outbox import DiskOutbox
from monitor.publish.probe import look_at_outbox, try_broker
from monitor.settings import HttpSettings, MqttSettings
from tests.fuzz.mutations import written

NAMES = (
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)
    | st.from_regex(r"[a-z]{1,6}://[ -~]{0,30}", fullmatch=True)
    | st.sampled_from(
        [
            "x" * 256,
            "x/" * 300,
            "..",
            "a..b",
            "[",
            "http://[",
            "cuda:99",
            "cpu:-1",
            "%",
            "é" * 70,
            "meta",
            "file:///",
            "-i",
            "a\u2028b",
        ]
    )
)
RECIPE = Recipe(name="any")


@settings(deadline=None, max_examples=100)
@given(NAMES)
def test_encoder_and_device(name: str) -> None:
    for ask in (find, pick_device):
        with suppress(EncoderError):
            ask(name)


@settings(deadline=None, max_examples=60)
@given(NAMES.filter(lambda name: not name.startswith("/") and ".." not in name and len(name) < 400))
def test_catalogue_and_outbox(name: str) -> None:
    """SQLite opens no path beyond 512 bytes, of which `monitor check` knows nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with pytest.raises(CatalogError):
            Store(path)
        agreed = []
        for ask in (look_at_outbox, lambda path: DiskOutbox(path, keep_days=1.0, tell=lambda _: None).close()):
            try:
                ask(path)
                agreed.append(True)
            except OutboxError:
                agreed.append(False)
        assert agreed in ([True, True], [False, False]), "`monitor check` and the daemon"


@settings(deadline=None, max_examples=100)
@given(NAMES)
@example("http://u:p@h:99999/")
@example("rtsp://[::1")
def test_stream(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(f'[[stream]]\nname = "a"\nurl = {written(url)}\n', encoding="utf-8")
        with suppress(Permanent):
            (stream,) = config.load(path, {}).stream
            open_source(stream, RECIPE, lambda _: None)


@settings(deadline=None, max_examples=60)
@given(NAMES.filter(lambda name: not name.replace(".", "").isascii() or " " in name or len(name) > 64))
@example("")
@example("256.1.1.1")
def test_addresses_that_are_none(name: str) -> None:
    """Only what no resolver is asked for."""

    async def ask() -> None:
        hub = Hub([])
        pages = {"metrics": hub.metrics.exposition, "live": list, "ready": hub.readiness.checks}
        with suppress(ConfigError):
            async with HttpServer(HttpSettings(bind=name, port=0), **pages, tell=hub.tell):
                pass
        mqtt = MqttSettings(host=name, port=1, ack_timeout_s=1.0)
        with suppress(BrokerUnreachable):
            await try_broker(mqtt, brokers(mqtt)[0])

    asyncio.run(ask())


@settings(deadline=None, max_examples=200)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(["a//b", "$SYS", "$share/x", "a/", "+", "x" * 5000])
)
def test_a_prefix_that_is_accepted_makes_topics_that_brokers_accept(prefix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(f"[mqtt]\nprefix = {written(prefix)}\n", encoding="utf-8")
        try:
            mqtt = config.load(path, {}).mqtt
        except MonitorError:
            return
    board = Board(mqtt.prefix)
    board.add("radio-1", now_utc_s=0.0)
    topics = [topic for topic, _ in board.take()]
    assert topics
    for topic in topics:  # MQTT 5, 4.7
        assert topic.startswith(f"{prefix}/radio-1/")
        assert not set("#+\0") & set(topic)
        assert not topic.startswith(("$", "/"))
        assert len(topic.encode()) <= 65535
        assert topic.split("/")[-2] == "radio-1"
