"""One ffmpeg process and its ends: started without a shell, in a group of its own, and never left behind.

Where there is util-linux (any Linux), the kernel kills it when we are killed ourselves; elsewhere it ends at its next word to us.

Knows processes and pipes. Knows nothing of sound but that it comes in bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Sequence

from monitor.errors import Permanent, StreamFailed

_WORDS = 12
"""Lines of standard error that are kept; ffmpeg says what matters last."""
_WORD_LENGTH = 400
"""Characters of a line that are kept."""
_LISTEN_BYTES = 16_384
_LISTEN_S = 0.02
"""Standard error is read in such pieces, 800 kB/s at most: one that floods it waits for us, and costs the others nothing."""
_MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")
"""Runs a program that dies with the thread that started it. One more exec, and no Python between fork and exec."""
MISSING = "ffmpeg is not installed or not on the PATH; install it (apt install ffmpeg)"
FORBIDDEN = "ffmpeg may not be executed by this user; check its permissions (ls -l on the ffmpeg that `which ffmpeg` names)"


class Child:
    """A running ffmpeg. Its standard error goes to a ring of a few lines: the oldest are lost, uncounted."""

    def __init__(self, process: asyncio.subprocess.Process, hear: Callable[[str], None] | None = None) -> None:
        """Take over a process whose standard output and error are pipes; `hear` is given each line of the latter."""
        self._process = process
        self._hear = hear
        self._words: deque[str] = deque(maxlen=_WORDS)
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, arguments: Sequence[str], *, stdin: int = asyncio.subprocess.DEVNULL, hear: Callable[[str], None] | None = None
    ) -> Child:
        """Start the command; `stdin` is a file descriptor it reads from, nothing by default.

        Raises:
            Permanent: ffmpeg is not there, or may not be executed.
            StreamFailed: The system starts no process now.
        """
        pipe = asyncio.subprocess.PIPE
        try:
            # Its own group: a Ctrl-C on the terminal is for the daemon, and what ffmpeg may start dies with it.
            process = await asyncio.create_subprocess_exec(
                *_mortal(arguments), stdin=stdin, stdout=pipe, stderr=pipe, process_group=0
            )
        except FileNotFoundError as error:
            raise Permanent(MISSING) from error
        except PermissionError as error:
            raise Permanent(FORBIDDEN) from error
        except OSError as error:  # no process, descriptor or memory left: it may be there again soon
            raise StreamFailed(f"ffmpeg could not be started: {error.strerror}") from error
        return cls(process, hear)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    async def line(self) -> bytes:
        """Return the next line of output, or less at its end.

        Raises:
            StreamFailed: There is no end of the line in sight.
        """
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.readline()
        except ValueError as error:
            raise StreamFailed("ffmpeg's output is not understood") from error

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
        while piece := await self._process.stderr.read(_LISTEN_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._take(line)
            rest = rest[: 4 * _WORD_LENGTH]
            if len(piece) == _LISTEN_BYTES:
                await asyncio.sleep(_LISTEN_S)
        self._take(rest)

    def _take(self, line: bytes) -> None:
        if word := _word(line):
            self._words.append(word)
            if self._hear:
                self._hear(word)


def _mortal(arguments: Sequence[str]) -> Sequence[str]:
    """Return the command that dies with us; as it is where that cannot be had, or what it names is not there to be started."""
    if shutil.which(_MORTAL[0]) is None or shutil.which(arguments[0]) is None:
        return arguments
    return (*_MORTAL, *arguments)


def _word(line: bytes) -> str:
    """Text of a line: UTF-8, or what Icecast's sources wrote before there was UTF-8."""
    try:
        return line.decode().strip()[:_WORD_LENGTH]
    except UnicodeDecodeError:
        return line.decode("latin-1").strip()[:_WORD_LENGTH]
