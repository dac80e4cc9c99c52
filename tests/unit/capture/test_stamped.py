"""ffmpeg's output is taken apart: sound, times that mean something, titles."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.capture.stamped import PERIOD_S, Heard, heard
from monitor.capture.stated import Anchor
from monitor.errors import StreamFailed
from monitor.messages import Hint, HintKind, Stamp, StampKind

HEAD = b"#software: Lavf59.27.100\n#tb 0: 1/8000\n"


class Tape:
    """Output from memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def line(self) -> bytes:
        end = self._data.find(b"\n") + 1 or len(self._data)
        line, self._data = self._data[:end], self._data[end:]
        return line

    async def read(self, count: int) -> bytes:
        piece, self._data = self._data[:count], self._data[count:]
        return piece


def packet(pts: int, data: bytes | None = None, *, track: int = 0, size: int = 2000) -> bytes:
    data = np.full(size, 0.25, "<f4").tobytes() if data is None else data
    checksum = b"d41d8cd98f00b204e9800998ecf8427e, S=1,        1, 0x00000001" if track else b"0x701e22df"
    return b"0, %10d, %10d, %8d, %8d, %s\n" % (pts, pts, size, len(data), checksum) + data


async def all_of(*packets: bytes, name: str = "mpegts", anchor: Anchor | None = None) -> tuple[list[Heard], int]:
    bad = 0

    def damaged(count: int) -> None:
        nonlocal bad
        bad += count

    output = Tape(HEAD + b"".join(packets))
    items = [item async for item in heard(output, rate_hz=8000, format_of=lambda: name, damaged=damaged, stated=lambda: anchor)]
    return items, bad


def stamps(items: list[Heard]) -> list[tuple[StampKind, float]]:
    return [(item.kind, round(item.seconds, 3)) for item in items if isinstance(item, Stamp)]


async def test_sound_comes_as_it_is_and_the_clock_is_told_now_and_then() -> None:
    items, bad = await all_of(*(packet(8000 + 2000 * n) for n in range(41)))
    sound = [item for item in items if isinstance(item, np.ndarray)]
    assert (len(sound), bad) == (41, 0)
    assert all(piece.size == 2000 and piece[0] == 0.25 for piece in sound)
    assert stamps(items) == [(StampKind.MEDIA, 1.0), (StampKind.MEDIA, 6.0), (StampKind.MEDIA, 11.0)]
    assert isinstance(items[0], Stamp)
    assert items[0].period_s == PERIOD_S


async def test_a_hole_in_the_senders_time_is_told_at_once() -> None:
    items, _ = await all_of(packet(0), packet(2000), packet(4000 + 16000))
    assert stamps(items) == [(StampKind.MEDIA, 0.0), (StampKind.MEDIA, 2.5)]
    assert isinstance(items[-2], Stamp), "the stamp stands before the sound it belongs to"


async def test_another_clock_ahead_is_taken_over_without_a_hole() -> None:
    items, _ = await all_of(packet(0), packet(8_000_000), packet(8_002_000 + 16_000))
    assert stamps(items) == [(StampKind.MEDIA, 0.0), (StampKind.MEDIA, 2.5)]


async def test_a_clock_that_ffmpeg_holds_back_says_nothing_any_more() -> None:
    # Behind a discontinuity that goes back ffmpeg's output counts on by one tick a packet.
    items, _ = await all_of(packet(100_000), packet(102_000), packet(102_001), packet(102_002), packet(300_000))
    assert stamps(items) == [(StampKind.MEDIA, 12.5)]
    assert sum(isinstance(item, np.ndarray) for item in items) == 5


@pytest.mark.parametrize("name", ["mp3", "aac", "flac", ""])
async def test_formats_without_a_senders_clock_have_no_stamps(name: str) -> None:
    items, _ = await all_of(packet(0), packet(50_000), name=name)
    assert stamps(items) == []


async def test_what_the_station_states_is_placed_by_its_clock_also_over_a_wrap() -> None:
    anchor = Anchor(pts_s=PERIOD_S - 1.0, utc_s=1_790_000_000.0)
    items, _ = await all_of(packet(0), packet(2000), anchor=anchor, name="hls")
    assert stamps(items)[1] == (StampKind.PROGRAMME, 1_790_000_001.0)
    far, _ = await all_of(packet(0), anchor=Anchor(pts_s=40_000.0, utc_s=1_790_000_000.0), name="hls")
    assert len(stamps(far)) == 1, "an anchor of another clock says nothing"


async def test_titles_and_damage_are_told() -> None:
    frame = b"TIT2" + (7).to_bytes(4, "big") + b"\0\0" + b"\x03Song A"
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    items, bad = await all_of(packet(0), packet(0, tag, track=1), packet(2000, np.full(2000, np.nan, "<f4").tobytes()), name="hls")
    assert [item for item in items if isinstance(item, Hint)] == [Hint(kind=HintKind.ID3, title="Song A")]
    assert bad == 2000
    assert isinstance(items[-1], np.ndarray)
    assert not items[-1].any()


@pytest.mark.parametrize("output", [b"hello world\n", b"0, 1, 2\n", b"0, x, 2, 3, 4, 5\n"])
async def test_what_is_not_understood_ends_the_connection(output: bytes) -> None:
    with pytest.raises(StreamFailed, match="not understood"):
        await all_of(output)
