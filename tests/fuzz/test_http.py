"""Whatever bytes come to the HTTP port: an answer or a closed line, and nothing in the log that looks like our fault."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.facts import Fact, RequestRefused
from monitor.observe.http import HttpServer
from monitor.observe.hub import Hub
from monitor.settings import HttpSettings

PATIENCE_S = 5.0
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "G\0ET", "X" * 9000]
TARGETS = [
    "/",
    "/metrics",
    "/livez",
    "/readyz",
    "/metrics/../livez",
    "//livez",
    "/%2e%2e/etc/passwd",
    "/%00",
    "/\xff",
    "*",
    "http://h/",
    "",
]
HEADERS = [
    b"Host: a",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: Upgrade\r\nUpgrade: websocket",
    b"Expect: 100-continue",
    b"Range: bytes=0-,0-,0-",
    b"Accept-Encoding: " + b"gzip," * 2000,
    b"X: " + b"a" * 20_000,
    b"\xff\xfe: \x00",
    b"no colon",
    b" folded",
    b"Authorization: Basic ====",
    b"Cookie: " + b"a=b;" * 1000,
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Something like a request."""
    head = b" ".join(
        (
            draw(st.sampled_from(METHODS)).encode("latin-1"),
            draw(st.sampled_from(TARGETS)).encode("latin-1"),
            draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"\xff"])),
        )
    )
    lines = [head, *draw(st.lists(st.sampled_from(HEADERS), max_size=4))]
    end = draw(st.sampled_from([b"\r\n", b"\n", b"\r"]))
    return (
        end.join(lines) + end + end + draw(st.sampled_from([b"", b"hello", b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"\x00" * 100]))
    )


class Serving:
    """The pages in a thread of their own."""

    def __init__(self) -> None:
        self.told: list[Fact] = []
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    async def _serve(self) -> None:
        hub = Hub(["radio-1"])
        pages = {"metrics": hub.metrics.exposition, "live": list, "ready": hub.readiness.checks}
        async with HttpServer(HttpSettings(port=0), **pages, tell=self.told.append) as server:
            self.port = server.port
            self._ready.set()
            await self._over.wait()

    def ask(self, request: bytes, patience_s: float = PATIENCE_S) -> bytes:
        """Send bytes and read what comes back, for so long without a word more."""
        with socket.create_connection(("127.0.0.1", self.port), patience_s) as line:
            answer = b""
            with suppress(ConnectionError, TimeoutError):
                line.sendall(request)
                while data := line.recv(65536):
                    answer += data
            return answer

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.close()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | requests() | st.lists(requests(), min_size=2, max_size=3).map(b"".join))
@example(b"")
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # TLS
@example(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc")  # MQTT
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@example(b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
def test_any_bytes_leave_it_as_it_was(serving: Serving, caplog: pytest.LogCaptureFixture, request: bytes) -> None:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        answer = serving.ask(request, 0.05)
        well = serving.ask(b"GET /livez HTTP/1.0\r\n\r\n")
    assert well.startswith(b"HTTP/1.0 200 OK"), well
    assert not answer or re.match(rb"HTTP/\d\.\d [1234]\d\d ", answer), answer
    assert [record.getMessage() for record in caplog.records] == []
    for fact in serving.told:
        assert isinstance(fact, RequestRefused)
        assert len(fact.request) <= 100
    serving.told.clear()


def test_idle_and_half_sent_requests_hold_nobody_up(serving: Serving) -> None:
    lines = [socket.create_connection(("127.0.0.1", serving.port), PATIENCE_S) for _ in range(200)]
    for number, line in enumerate(lines):
        line.sendall(b"GET /metrics HTTP/1.1\r\nX: "[: number % 27])
    assert serving.ask(b"GET /readyz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 503")
    for line in lines:
        line.close()
    assert serving.ask(b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
