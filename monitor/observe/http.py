"""Metrics and health as HTTP pages: /metrics, /livez, /readyz.

Hides aiohttp. Knows no metric and no part: it is handed what to print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from monitor.errors import ConfigError
from monitor.observe.health import Check
from monitor.settings import HttpSettings

Ask = Callable[[], Sequence[Check]]


class HttpServer:
    """Serves while the block lasts; `port` is the one taken."""

    def __init__(self, settings: HttpSettings, *, metrics: Callable[[], bytes], live: Ask, ready: Ask) -> None:
        """Take the pages' contents, asked anew for every request in the event loop."""
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
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.bind, self._settings.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self._settings.bind}:{self._settings.port}"
            raise ConfigError(f"http: cannot listen on {where} ({error.strerror}); change [http] bind or port") from error
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
