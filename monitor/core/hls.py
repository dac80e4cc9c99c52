"""What an HLS playlist says of the time of its segments (RFC 8216).

Knows playlists as text. Fetches nothing. ffmpeg plays HLS, but reads past EXT-X-PROGRAM-DATE-TIME; this is for that alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin

_MAP = re.compile(r'URI="([^"]*)"')
_FROM_THE_END = 2
"""The last segment but one is complete on every server, and stays in the window long enough to be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedSegment:
    """A segment of which the playlist says when it was made."""

    utc_s: float
    """Of its first sample."""
    playlist: str
    """A playlist of this segment alone, with what is needed to read it (key, map, byte range); addresses are absolute."""


def first_variant(text: str, url: str) -> str | None:
    """Return the URL of a master playlist's first variant; None when this is no master playlist."""
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF"):
            return next((urljoin(url, uri) for uri in lines[number + 1 :] if uri and not uri.startswith("#")), None)
    return None


def newest_dated(text: str, url: str) -> DatedSegment | None:
    """Return a new segment of a media playlist that has a time; None when none has.

    The time of a segment without a tag of its own follows from the one before it and its length, not over a discontinuity.
    """
    found: list[DatedSegment] = []
    head: dict[str, str] = {}
    once: list[str] = []
    length_s, utc_s = 0.0, None
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith(("#EXT-X-KEY:", "#EXT-X-MAP:")):
            head[line.partition(":")[0]] = _MAP.sub(lambda uri: f'URI="{urljoin(url, uri.group(1))}"', line)
        elif line.startswith("#EXT-X-DISCONTINUITY") and not line.startswith("#EXT-X-DISCONTINUITY-SEQUENCE"):
            utc_s = None
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            utc_s = _utc_s(line.partition(":")[2])
        elif line.startswith("#EXTINF:"):
            length_s = _number(line.removeprefix("#EXTINF:").partition(",")[0])
            once.append(line)
        elif line.startswith("#EXT-X-BYTERANGE:"):
            once.append(line)
        elif line and not line.startswith("#"):
            if utc_s is not None:
                rows = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:60", *head.values(), *once, urljoin(url, line)]
                found.append(DatedSegment(utc_s=utc_s, playlist="\n".join([*rows, "#EXT-X-ENDLIST", ""])))
                utc_s += length_s
            once = []
    return found[-min(_FROM_THE_END, len(found))] if found else None


def _utc_s(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
