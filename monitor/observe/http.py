"""Metrics and health as HTTP pages: /metrics, /livez, /readyz. To be read, nothing else: no request changes anything.

Hides aiohttp. Knows no metric and no part: it is handed what to print, and tells what it refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from monitor.errors import ConfigError
from monitor.facts import RequestRefused, Tell
from monitor.observe.health import Check
from monitor.settings import HttpSettings

Ask = Callable[[], Sequence[Check]]
SHOWN = 100
"""Characters of a stranger's request that are repeated."""


class HttpServer:
    """Serves while the block lasts; `port` is the one taken."""

    def __init__(self, settings: HttpSettings, *, metrics: Callable[[], bytes], live: Ask, ready: Ask, tell: Tell) -> None:
        """Take the pages' contents, asked anew for every request in the event loop."""
        self._tell = tell
        self._settings = settings
        self._metrics = metrics
        self._live = live
        self._ready = ready
        self._runner: web.AppRunner | None = None
        self.port = settings.port

    def __repr__(self) -> str:
        """Say where it listens."""
        return f"HttpServer({self._settings.bind}:{self.port})"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConfigError: The address or port cannot be taken.
        """
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._serve_metrics),
                web.get("/livez", self._serve_live),
                web.get("/readyz", self._serve_ready),
            ]
        )
        self._runner = web.AppRunner(
            application,
            access_log_class=_teller(self._tell),
            logger=_server_log(),
            handle_signals=False,
            shutdown_timeout=1.0,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.bind, self._settings.port)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
            await self._runner.cleanup()
            where = f"{self._settings.bind}:{self._settings.port}"
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"http: cannot listen on {where} ({why}); change [http] bind or port") from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _serve_live(self, _: web.Request) -> web.Response:
        return _answer(self._live())

    async def _serve_ready(self, _: web.Request) -> web.Response:
        return _answer(self._ready())


def _answer(checks: Sequence[Check]) -> web.Response:
    ok = all(check.ok for check in checks if check.counts)
    lines = [{"name": check.name, "ok": check.ok, "detail": check.detail, "counts": check.counts} for check in checks]
    return web.json_response({"ok": ok, "checks": lines}, status=200 if ok else 503)


def _teller(tell: Tell) -> type[AbstractAccessLogger]:
    """Make what aiohttp calls after every answer: it also sees requests that never reach a handler, being no proper HTTP."""

    class Teller(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:  # noqa: ARG002
            if 400 <= response.status < 500:
                asked = f"{request.method} {request.path}"[:SHOWN]
                tell(RequestRefused(status=response.status, request=asked, client=request.remote or ""))

    return Teller


def _server_log() -> logging.Logger:
    """Return aiohttp's log without what clients did wrong: that is told, and must not look like a fault of ours."""
    log = logging.getLogger("monitor.observe.http")
    log.addFilter(_ours)
    return log


def _ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
