"""Titles in ID3 tags, and that no bytes at all break the reading of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.capture.id3 import title_of


def frame(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "big") + b"\0\0" + content


def tag(*frames: bytes, version: int = 3, flags: int = 0, head: bytes = b"") -> bytes:
    body = head + b"".join(frames)
    size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def test_artist_and_title_in_every_encoding() -> None:
    assert title_of(tag(frame(b"TIT2", b"\0B\xf6b"), frame(b"TPE1", b"\x03Ann\0"))) == "Ann - Böb"
    assert title_of(tag(frame(b"TIT2", b"\x01" + "Böb".encode("utf-16")))) == "Böb"
    assert title_of(tag(frame(b"PRIV", b"com.apple.streaming"), frame(b"TPE1", b"\x02" + "Ö".encode("utf-16-be")))) == "Ö"


def test_an_extended_header_is_stepped_over() -> None:
    extended = (6).to_bytes(4, "big") + bytes(6)
    assert title_of(tag(frame(b"TIT2", b"\0One"), flags=0x40, head=extended)) == "One"


def test_a_tag_that_lost_its_head_to_ffmpeg_is_read_all_the_same() -> None:
    assert title_of(tag(frame(b"TIT2", b"\x03One"), version=4)[5:]) == "One"


def test_no_title_is_no_title() -> None:
    for data in (b"", b"ID3", tag(), tag(frame(b"PRIV", b"x")), tag(frame(b"TIT2", b"\x09x")), b"GARBAGE" * 10):
        assert title_of(data) == ""


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    for start in (b"", b"ID3\x03\0\0", b"ID3\x04\0\x40"):
        assert "\n" not in title_of(start + data)
