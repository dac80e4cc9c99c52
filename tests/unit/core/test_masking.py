"""Secrets never reach a log; everything an operator needs to read does."""

from __future__ import annotations

import pytest

from monitor.core.masking import mask_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://user:pass@radio.example/live", "http://***@radio.example/live"),
        ("http://user:p@ss:w@radio.example:8000/live", "http://***@radio.example:8000/live"),
        ("rtsp://admin@cam.example/1", "rtsp://***@cam.example/1"),
        ("https://cdn.example/a.m3u8?token=abc&quality=high", "https://cdn.example/a.m3u8?token=***&quality=high"),
        ("https://cdn.example/a?X-Amz-Signature=1f&start=5", "https://cdn.example/a?X-Amz-Signature=***&start=5"),
        ("https://cdn.example/a?x=0123456789abcdef01234567", "https://cdn.example/a?x=***"),
        ("srt://10.0.0.1:9000?passphrase=hello&mode=caller", "srt://10.0.0.1:9000?passphrase=***&mode=caller"),
        ("https://cdn.example/a?api_key=1;auth=2#sid=3", "https://cdn.example/a?api_key=***;auth=***#sid=***"),
        ("http://radio.example/live?title=a-night-at-the-opera", "http://radio.example/live?title=a-night-at-the-opera"),
        ("http://radio.example/mail@home/live", "http://radio.example/mail@home/live"),
        ("/music/me@home/song?token=1.mp3", "/music/me@home/song?token=1.mp3"),
    ],
)
def test_masks(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_masks_every_url_within_a_line() -> None:
    line = "[http @ 0x55] http://u:secret@a.example/x?key=hidden: Server returned 404 (from https://v:secret@b.example/)"
    masked = mask_url(line)
    assert "secret" not in masked
    assert "hidden" not in masked
    assert "Server returned 404" in masked
