"""`python -m tests.bench.station FILE`: an MP3 file on air for any number of listeners, at its own pace, in a process of its own.

Every listener begins at another frame of the file and gets the sound of a quarter of a second four times a second, not all at the
same moment. One who does not take it is cut off, as a real server would do. Prints its port.
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import count
from pathlib import Path

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"
BYTES_A_SECOND = 16_000
ROUND_S = 0.25
PHASES = 10
BACKLOG_BYTES = 512 * 1024
"""Icecast's queue-size: who is so far behind is cut off."""
SPREAD = 0.618034
"""Listeners begin in the file at multiples of this, wrapped: evenly spread for any number of them."""


def frames(data: bytes) -> list[int]:
    """Return where the frames of a 44.1 kHz MP3 of 128 kbit/s begin (ISO 11172-3, 2.4.1.3: 144 * bitrate / rate, and padding)."""
    at, found = 0, []
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0 or data[at + 2] & 0xFC != 0x90:
            raise ValueError(f"no frame of 128 kbit/s at 44.1 kHz at byte {at}")
        found.append(at)
        at += 417 + (data[at + 2] >> 1 & 1)
    return found


class Listener:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter, sound: bytes, start: int) -> None:
        self.writer, self._sound, self._start = writer, sound, start
        self._began_s = time.monotonic()
        self._sent = 0
        writer.write(HEAD)

    def serve(self, now_s: float) -> bool:
        """Send what is due; return whether the listener is still there."""
        if self.writer.is_closing():
            return False
        if self.writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.writer.transport.abort()
            return False
        due = int((now_s - self._began_s + ROUND_S) * BYTES_A_SECOND) - self._sent
        begin = (self._start + self._sent) % len(self._sound)
        piece = self._sound[begin : begin + due]
        self.writer.write(piece if len(piece) == due else piece + self._sound[: due - len(piece)])
        self._sent += due
        return True


async def serve(sound: bytes) -> None:
    """Serve until killed."""
    starts = frames(sound)
    phases: list[list[Listener]] = [[] for _ in range(PHASES)]
    numbers = count()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        number = next(numbers)
        start = starts[int(number * SPREAD % 1.0 * len(starts))]
        phases[number % PHASES].append(Listener(writer, sound, start))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    next_s = time.monotonic()
    for turn in count():
        phase = turn % PHASES
        now_s = time.monotonic()
        phases[phase] = [one for one in phases[phase] if one.serve(now_s)]
        next_s += ROUND_S / PHASES
        await asyncio.sleep(max(next_s - time.monotonic(), 0.0))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes()))
