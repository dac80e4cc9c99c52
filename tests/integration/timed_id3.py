"""A transport stream with timed metadata, which ffmpeg cannot make: its PMT is extended and packets are put in between.

ISO/IEC 13818-1 (PMT, PES, metadata descriptor); Apple, "Timed Metadata for HTTP Live Streaming" (stream type 0x15, format "ID3 ").
"""

from __future__ import annotations

PACKET = 188
_PMT_PID, _ID3_PID = 0x1000, 0x1F0
_DESCRIPTOR = bytes([0x26, 13]) + b"\xff\xffID3 \xffID3 \x00\x0f"


def id3(title: str) -> bytes:
    """Return an ID3v2.4 tag with a title."""
    text = b"\x03" + title.encode()
    frame = b"TIT2" + bytes([0, 0, 0, len(text)]) + b"\0\0" + text
    return b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame


def with_id3(stream: bytes, tags: dict[float, bytes]) -> bytes:
    """Return a transport stream of ffmpeg's with tags at these shares of its length (0 to 1) and presentation times of there."""
    packets = [stream[at : at + PACKET] for at in range(0, len(stream) - PACKET + 1, PACKET)]
    wanted = sorted(tags.items())
    out = []
    pts = 0
    for number, packet in enumerate(packets):
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        out.append(_extended(packet) if pid == _PMT_PID else packet)
        pts = _pts(packet) or pts
        while wanted and number >= wanted[0][0] * len(packets):
            out.append(_pes(wanted.pop(0)[1], pts))
    return b"".join(out)


def _extended(packet: bytes) -> bytes:
    """A PMT with one more elementary stream."""
    start = 5 + packet[4]
    length = int.from_bytes(packet[start + 1 : start + 3], "big") & 0xFFF
    section = packet[start : start + 3 + length - 4]
    more = bytes([0x15]) + (0xE000 | _ID3_PID).to_bytes(2, "big") + (0xF000 | len(_DESCRIPTOR)).to_bytes(2, "big") + _DESCRIPTOR
    section = section[:1] + (0xB000 | (length + len(more))).to_bytes(2, "big") + section[3:] + more
    return (packet[:start] + section + _crc(section).to_bytes(4, "big")).ljust(PACKET, b"\xff")


def _pes(payload: bytes, pts: int) -> bytes:
    stamp = bytes(
        [0x21 | (pts >> 29 & 0xE), pts >> 22 & 0xFF, 1 | (pts >> 14 & 0xFE), pts >> 7 & 0xFF, 1 | (pts << 1 & 0xFE)],
    )
    body = b"\x84\x80\x05" + stamp + payload
    pes = b"\0\0\x01\xbd" + len(body).to_bytes(2, "big") + body
    stuffing = PACKET - 4 - 2 - len(pes)
    field = bytes([stuffing + 1, 0]) + b"\xff" * stuffing
    return bytes([0x47, 0x40 | _ID3_PID >> 8, _ID3_PID & 0xFF, 0x30]) + field + pes


def _pts(packet: bytes) -> int | None:
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if not packet[1] & 0x40 or packet[start : start + 3] != b"\0\0\x01" or not packet[start + 7] & 0x80:
        return None
    p = packet[start + 9 : start + 14]
    return (p[0] >> 1 & 7) << 30 | p[1] << 22 | p[2] >> 1 << 15 | p[3] << 7 | p[4] >> 1


def _crc(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value
