"""The title in a piece of HLS timed metadata.

Knows as much of ID3v2.3 and 2.4 (id3.org, "ID3 tag version 2.4.0 - Main Structure") as titles need. What is damaged says nothing.
"""

from __future__ import annotations

from monitor.capture.remarks import one_line

_HEADER = 10
_CUT = 5
"""ffmpeg 5.1 takes the first bytes of a tag in MPEG-TS for the head of a metadata access unit and cuts them off."""
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def title_of(data: bytes) -> str:
    """Return "artist - title" of a tag, or what of it there is; empty when there is neither."""
    texts = dict(_frames(data))
    return one_line(" - ".join(text for text in (texts.get(b"TPE1", ""), texts.get(b"TIT2", "")) if text))


def _frames(data: bytes) -> list[tuple[bytes, str]]:
    """Text frames of the first tag in the data."""
    if len(data) > _CUT and data[:3] != b"ID3" and _size(data[1:_CUT], safe=True) == len(data) - _CUT:
        data = b"ID3\x04\0" + data
    if len(data) < _HEADER or data[:3] != b"ID3" or data[3] not in (3, 4):
        return []
    version, flags = data[3], data[5]
    end = min(_HEADER + _size(data[6:10], safe=True), len(data))
    body = data[:end]
    at = _HEADER
    if flags & 0x40:  # an extended header, whose size counts itself in 2.4 only
        size = _size(data[10:14], safe=version == 4)
        at += size if version == 4 else size + 4
    found = []
    while at + _HEADER <= end and body[at] != 0:
        size = _size(body[at + 4 : at + 8], safe=version == 4)
        frame = body[at + _HEADER : at + _HEADER + size]
        if body[at] == ord("T") and frame and frame[0] < len(_ENCODINGS):
            text = frame[1:].decode(_ENCODINGS[frame[0]], errors="replace").replace("\0", " ")
            found.append((body[at : at + 4], text.strip()))
        at += _HEADER + size
    return found


def _size(field: bytes, *, safe: bool) -> int:
    """A big-endian number; `safe` (synchsafe): of 7 bits a byte."""
    value = 0
    for byte in field:
        value = value << 7 | byte & 0x7F if safe else value << 8 | byte
    return value
