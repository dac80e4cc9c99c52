"""The pages over real HTTP."""

from __future__ import annotations

import shutil
import socket
import subprocess

import aiohttp
import pytest

from monitor.errors import ConfigError
from monitor.facts import CatalogLoaded, StreamStateChanged
from monitor.messages import StreamState
from monitor.observe.health import Check
from monitor.observe.http import HttpServer
from monitor.observe.hub import Hub
from monitor.settings import HttpSettings


async def get(port: int, page: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{page}") as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_pages() -> None:
    hub = Hub(["radio-1"])
    stuck: list[Check] = []
    async with HttpServer(
        HttpSettings(port=0), metrics=hub.metrics.exposition, live=lambda: stuck, ready=hub.readiness.checks, tell=hub.tell
    ) as server:
        assert (await get(server.port, "/livez"))[0] == 200
        status, _, text = await get(server.port, "/readyz")
        assert status == 503
        assert '"name": "encoder", "ok": false' in text
        hub.readiness.set_encoder("compact on cpu")
        hub.tell(CatalogLoaded(generation=1, references=1, fingerprints=1, index_kind="flat", took_s=0.1))
        hub.tell(StreamStateChanged(stream="radio-1", state=StreamState.ONLINE))
        status, _, text = await get(server.port, "/readyz")
        assert status == 200, "the broker is away, which is for information"
        assert '"name": "broker", "ok": false' in text
        status, kind, text = await get(server.port, "/metrics")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'monitor_stream_state{state="online",station="radio-1"} 1.0' in text
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)  # noqa: ASYNC221
            assert (done.returncode, done.stderr) == (0, b"")
        stuck.append(Check(name="matcher", ok=False, detail="no beat for 21 s"))
        assert (await get(server.port, "/livez"))[0] == 503
        assert (await get(server.port, "/other"))[0] == 404


async def test_a_taken_port_says_what_to_do() -> None:
    hub = Hub([])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(
            HttpSettings(port=taken.getsockname()[1]),
            metrics=hub.metrics.exposition,
            live=list,
            ready=hub.readiness.checks,
            tell=hub.tell,
        )
        with pytest.raises(ConfigError, match=r"change \[http\] bind or port"):
            await server.__aenter__()
