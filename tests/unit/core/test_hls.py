"""What HLS playlists say of time."""

from __future__ import annotations

from monitor.core.hls import first_variant, newest_dated

URL = "https://a.example/live/list.m3u8?token=1"
PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-KEY:METHOD=AES-128,URI="key.bin"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:00:00.500Z
#EXTINF:4.0,
a.ts
#EXTINF:3.5,
b.ts
#EXTINF:4.0,
#EXT-X-BYTERANGE:100@0
c.ts
"""


def test_the_time_of_a_segment_follows_from_those_before_it() -> None:
    segment = newest_dated(PLAYLIST, URL)
    assert segment is not None
    assert segment.utc_s == 1_795_255_204.5  # 10:00:04.5, of b.ts
    assert "https://a.example/live/b.ts" in segment.playlist
    assert 'URI="https://a.example/live/key.bin"' in segment.playlist
    assert "a.ts" not in segment.playlist


def test_a_discontinuity_ends_what_is_known() -> None:
    text = PLAYLIST.replace("#EXTINF:3.5", "#EXT-X-DISCONTINUITY\n#EXTINF:3.5")
    segment = newest_dated(text, URL)
    assert segment is not None
    assert segment.utc_s == 1_795_255_200.5
    assert newest_dated(text.replace("PROGRAM-DATE-TIME", "OTHER"), URL) is None


def test_zones_are_understood_and_nonsense_is_not() -> None:
    for text in ("2026-11-21T11:00:00.500+01:00", "2026-11-21T11:00:00.500+0100", "2026-11-21T10:00:00.500"):
        segment = newest_dated(PLAYLIST.replace("2026-11-21T10:00:00.500Z", text), URL)
        assert segment is not None
        assert segment.utc_s == 1_795_255_204.5
    assert newest_dated(PLAYLIST.replace("2026-11-21T10:00:00.500Z", "yesterday"), URL) is None
    assert newest_dated("\0garbage", URL) is None


def test_a_master_playlist_names_its_first_variant() -> None:
    text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\nlow/list.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh.m3u8\n"
    assert first_variant(text, URL) == "https://a.example/live/low/list.m3u8"
    assert first_variant(PLAYLIST, URL) is None
