"""A client that asks for what it may not: it is refused, nothing changes, and the log has one line."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.observe import logs
from monitor.observe.http import HttpServer
from monitor.observe.hub import Hub
from monitor.settings import HttpSettings, LogFormat, LogSettings, Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW")
PAGES = ("/metrics", "/livez", "/readyz")
ASKED = (
    ("GET", "/", 404),
    ("GET", "/metrics/", 404),
    ("GET", "/../etc/passwd", 404),
    ("GET", "/metrics/../../etc/passwd", 404),
    ("GET", "/..%2f..%2fetc%2fpasswd", 404),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
    ("GET", "//etc/passwd", 404),
    ("GET", "/-/reload", 404),
    ("POST", "/-/quit", 404),
    ("PUT", "/-/healthy", 404),
    ("GET", "/debug/pprof/", 404),
    ("GET", "/config.toml", 404),
    ("GET", "/.git/config", 404),
    ("GET", "/metrics\x00", 400),
)


@dataclass
class Pages:
    port: int
    hub: Hub
    clock_s: float = 1000.0

    async def send(self, request: bytes) -> bytes:
        """Send any bytes, return all that comes until the server hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        async with asyncio.timeout(10):
            try:
                writer.write(request)
                await writer.drain()
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    async def ask(self, method: str, path: str, *more: str) -> int:
        lines = (f"{method} {path} HTTP/1.1", "Host: monitor", "Connection: close", *more)
        return status(await self.send("\r\n".join((*lines, "", "")).encode()))

    def figures(self) -> list[str]:
        """Our own figures; those of processes change by themselves."""
        lines = self.hub.metrics.exposition().decode().splitlines()
        return [line for line in lines if line.startswith("monitor_") and "_decoder_" not in line]

    def refused(self) -> float:
        return sum(float(line.rpartition(" ")[2]) for line in self.figures() if line.startswith("monitor_http_refused_total{"))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


@asynccontextmanager
async def pages() -> AsyncIterator[Pages]:
    made = Pages(port=0, hub=Hub(["a"], now_s=lambda: made.clock_s))
    server = HttpServer(HttpSettings(port=0), metrics=made.hub.metrics.exposition, live=list, ready=list, tell=made.hub.tell)
    async with server:
        made.port = server.port
        yield made


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def loud(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["log_level"] != "debug"]


async def test_no_method_but_reading_is_answered() -> None:
    async with pages() as made:
        for page in PAGES:
            answers = {method: await made.ask(method, page, "Content-Length: 0") for method in METHODS}
            assert {method for method, answer in answers.items() if answer == 200} == {"GET", "HEAD"}, page
            assert all(answer in (400, 404, 405) for method, answer in answers.items() if method not in ("GET", "HEAD")), answers


@pytest.mark.parametrize(("method", "path", "answer"), ASKED)
async def test_nothing_else_is_there(method: str, path: str, answer: int) -> None:
    async with pages() as made:
        assert await made.ask(method, path) == answer


async def test_a_body_changes_nothing_and_is_not_waited_for() -> None:
    async with pages() as made:
        before = made.figures()
        body = b"x" * 100_000
        head = f"GET /livez HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        assert status(await made.send(head + body)) == 200
        assert made.figures() == before


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metrics HTTP/1.1\r\nHost: m\r\nX-Much: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: m\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: m\r\nNo colon here\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: m\r\nContent-Length: -5\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["huge header", "huge path", "no colon", "negative length", "two lengths", "TLS on a plain port", "nonsense"],
)
async def test_what_is_not_http_is_refused_in_one_line_without_a_traceback(request_: bytes) -> None:
    """aiohttp logs such requests as errors of ours, each with a traceback: a port scan would have woken somebody up."""
    said = io.StringIO()
    logs.setup(LogSettings(format=LogFormat.JSON), environ={}, out=said)
    async with pages() as made:
        for _ in range(3):
            assert status(await made.send(request_)) == 400
        assert made.refused() == 3
        assert await made.ask("GET", "/livez") == 200, "others are served as before"
    text = said.getvalue()
    assert text.count("\n") == 1, text
    assert '"level": "warning"' in text
    assert "Traceback" not in text


async def test_refusals_are_logged_once_a_minute_and_all_counted(lines: list[Any]) -> None:
    async with pages() as made:
        for _ in range(50):
            assert await made.ask("GET", "/wp-login.php") == 404
        (line,) = loud(lines)
        assert line["log_level"] == "warning"
        assert (line["status"], line["request"], line["client"]) == (404, "GET /wp-login.php", "127.0.0.1")
        assert made.refused() == 50
        made.clock_s += 61.0
        await made.ask("DELETE", "/metrics")
        assert [(one["count"], one["status"]) for one in loud(lines)] == [(1, 404), (50, 405)]


async def test_a_strangers_words_are_cut_short(lines: list[Any]) -> None:
    async with pages() as made:
        await made.ask("GET", "/" + "a" * 5000)
    (line,) = loud(lines)
    assert len(line["request"]) == 100


async def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert Settings().http.bind == "127.0.0.1"
    async with pages() as made:
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.2", made.port)
