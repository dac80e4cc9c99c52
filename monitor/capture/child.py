"""One ffmpeg process and its ends: started without a shell, in a group of its own, and never left behind.

Knows processes and pipes. Knows nothing of sound but that it comes in bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence

from monitor.errors import Permanent

_WORDS = 12
"""Lines of standard error that are kept; ffmpeg says what matters last."""
_WORD_BYTES = 400
"""Bytes of a line that are kept."""
_MISSING = "ffmpeg is not installed or not on the PATH; install it (apt install ffmpeg)"


class Child:
    """A running ffmpeg. Its standard error goes to a ring of a few lines: the oldest are lost, uncounted."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take over a process whose standard output and error are pipes."""
        self._process = process
        self._words: deque[str] = deque(maxlen=_WORDS)
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, arguments: Sequence[str], *, stdin: int = asyncio.subprocess.DEVNULL) -> Child:
        """Start the command; `stdin` is a file descriptor it reads from, nothing by default.

        Raises:
            Permanent: ffmpeg is not there.
        """
        pipe = asyncio.subprocess.PIPE
        try:
            # Its own group: a Ctrl-C on the terminal is for the daemon, and what ffmpeg may start dies with it.
            process = await asyncio.create_subprocess_exec(*arguments, stdin=stdin, stdout=pipe, stderr=pipe, process_group=0)
        except FileNotFoundError as error:
            raise Permanent(_MISSING) from error
        return cls(process)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    async def read(self, count: int) -> bytes:
        """Return exactly `count` bytes of output, or fewer at its end."""
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.readexactly(count)
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def finish(self) -> int:
        """Wait until it has ended by itself and return its exit status."""
        await self._listener
        return await self._process.wait()

    def last_words(self) -> list[str]:
        """Return the last lines of standard error, oldest first."""
        return list(self._words)

    async def close(self) -> None:
        """Kill the whole group, collect the process and close the pipes; harmless when it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdout is not None
        while await self._process.stdout.read(1 << 16):  # a pipe closes only when it was read to its end
            pass
        await self.finish()

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        rest = b""
        while piece := await self._process.stderr.read(4096):
            *lines, rest = (rest + piece).split(b"\n")
            self._words.extend(_word(line) for line in lines if line.strip())
            rest = rest[:_WORD_BYTES]
        if rest.strip():
            self._words.append(_word(rest))


def _word(line: bytes) -> str:
    return line[:_WORD_BYTES].decode(errors="replace").strip()
