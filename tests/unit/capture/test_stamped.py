"""ffmpeg's output is taken apart: sound, times that mean something, titles."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.capture.stamped import PERIOD_S, REHEARD_S, Heard, Progress, heard
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


async def all_of(
    *packets: bytes, name: str = "mpegts", anchor: Anchor | None = None, progress: Progress | None = None, segment: str = ""
) -> tuple[list[Heard], int]:
    bad = 0

    def damaged(count: int) -> None:
        nonlocal bad
        bad += count

    output = Tape(HEAD + b"".join(packets))
    if progress:
        progress.begin([segment] if segment else [])
    pieces = heard(output, rate_hz=8000, format_of=lambda: name, damaged=damaged, stated=lambda: anchor, progress=progress)
    return [item async for item in pieces], bad


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


def run_of(*places: int, start: int = 800_000) -> list[bytes]:
    """Pieces of a quarter of a second at these places, each as loud as its place is far."""
    return [packet(start + 2000 * place, np.full(2000, place / 1000, "<f4").tobytes()) for place in places]


def places(items: list[Heard]) -> list[int]:
    return [round(float(item[0]) * 1000) for item in items if isinstance(item, np.ndarray)]


# Found by the fault run: an HLS origin without new segments sent its old ones on each new connection, and the ledger counted them
# as received: 7 s not received where 16 s of the programme were missing.
async def test_segments_sent_a_second_time_on_a_new_connection_are_no_news() -> None:
    progress = Progress()
    first, _ = await all_of(*run_of(*range(40)), progress=progress, segment="4.ts")
    on, _ = await all_of(*run_of(*range(16, 50)), progress=progress, segment="4.ts")
    stale, _ = await all_of(*run_of(*range(16, 50)), progress=progress, segment="4.ts")
    assert (places(first), places(on), places(stale)) == (list(range(40)), list(range(40, 50)), [])


async def test_a_segment_that_was_asked_for_and_gave_no_sound_is_news() -> None:
    """ffmpeg cannot follow an AAC stream that becomes MP2, say: it asks for the segments and then says nothing more."""
    progress, asked = Progress(), ["4.ts"]
    progress.begin(asked)
    first = [progress.again(800_000 + 2000 * n, 2000, rate_hz=8000) for n in range(40)]
    asked.append("5.ts")
    progress.begin(["5.ts"])
    anew = [progress.again(800_000 + 2000 * n, 2000, rate_hz=8000) for n in range(40)]
    assert not any(first + anew)


async def test_a_sender_that_began_anew_is_heard_whatever_its_clock_says() -> None:
    progress = Progress()
    for segment in ("4.ts", "9.ts"):
        items, _ = await all_of(*run_of(*range(40)), progress=progress, segment=segment)
        assert places(items) == list(range(40))


async def test_other_streams_send_nothing_a_second_time() -> None:
    progress = Progress()
    for _ in range(2):
        items, _ = await all_of(*run_of(*range(40)), progress=progress)
        assert places(items) == list(range(40))


async def test_a_file_of_hls_that_is_over_is_heard_again_with_a_connection_between() -> None:
    progress = Progress()
    found = [places((await all_of(*run_of(*range(20)), progress=progress, segment="a.ts"))[0]) for _ in range(3)]
    assert found == [list(range(20)), [], list(range(20))]


async def test_a_clock_that_was_set_elsewhere_is_another_one() -> None:
    progress = Progress()
    await all_of(*run_of(*range(40)), progress=progress, segment="4.ts")
    earlier = run_of(*range(40), start=800_000 - round((REHEARD_S + 1.0) * 8000))
    assert places((await all_of(*earlier, progress=progress, segment="4.ts"))[0]) == list(range(40))


async def test_new_sound_behind_old_segments_on_a_clock_that_was_set_back_is_heard() -> None:
    """ffmpeg holds its times back where a sender's clock begins anew within a connection."""
    progress = Progress()
    await all_of(*run_of(*range(40)), progress=progress, segment="4.ts")
    old, end = run_of(*range(30, 40)), 800_000 + 2000 * 39
    new = [packet(end + 1 + n, np.full(2000, 0.5, "<f4").tobytes()) for n in range(20)]
    assert places((await all_of(*old, *new, progress=progress, segment="4.ts"))[0]) == [500] * 20
