"""The time an HLS station states for its sound: EXT-X-PROGRAM-DATE-TIME, tied to the sender's clock.

Knows how to ask: now and then, beside the sound, ffmpeg and ffprobe fetch a playlist and the first packet of a segment, under the
same rules as the stream (protocols, headers). So a PTS gets its UTC, and with it every sample. Knows nothing of positions.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.capture.arguments import fetch_arguments, first_packet_arguments
from monitor.capture.child import Child
from monitor.core.hls import first_variant, newest_dated
from monitor.core.inputs import may_lead_to
from monitor.errors import MonitorError
from monitor.settings import StreamSettings

EVERY_S = 600.0
"""A station's clock may be set, or its sender drift: it is asked again so often, for the price of a segment."""
_GIVE_UP = 3
"""Playlists that say nothing of the time, in a row; most stations never do."""
_LONGEST_BYTES = 1 << 20
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A moment on the sender's clock and on the wall clock of the station."""

    pts_s: float
    utc_s: float


class StatedTime:
    """Asks again and again; `anchor` is what was found last."""

    def __init__(self, url: str, settings: StreamSettings) -> None:
        self._url, self._settings = url, settings
        self.anchor: Anchor | None = None

    async def run(self) -> None:
        """Ask until cancelled, or until the station is known to state no time."""
        silent = 0
        while silent < _GIVE_UP:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    found = await self._ask()
            except (TimeoutError, MonitorError, ValueError):
                found = None
            silent = 0 if found else silent + 1
            self.anchor = found or self.anchor
            await asyncio.sleep(EVERY_S if found else EVERY_S / 20)

    async def _ask(self) -> Anchor | None:
        url = self._url
        text = await self._read(fetch_arguments(url, self._settings))
        if (variant := first_variant(text, url)) is not None:
            if not may_lead_to(url, variant):
                return None
            url = variant
            text = await self._read(fetch_arguments(url, self._settings))
        segment = newest_dated(text, url)
        if segment is None:
            return None
        playlist = "data:application/vnd.apple.mpegurl;base64," + base64.b64encode(segment.playlist.encode()).decode()
        found = json.loads(await self._read(first_packet_arguments(playlist, like=url, settings=self._settings)))
        packets = found.get("packets") or [{}]
        return Anchor(pts_s=float(packets[0]["pts_time"]), utc_s=segment.utc_s) if "pts_time" in packets[0] else None

    async def _read(self, arguments: Sequence[str]) -> str:
        child = await Child.start(arguments)
        try:
            return (await child.read(_LONGEST_BYTES)).decode(errors="replace")
        finally:
            await child.close()
