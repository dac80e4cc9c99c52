"""One ffmpeg process and its ends: started without a shell, in a group of its own, and never left behind.

On Linux the kernel kills it when we are killed ourselves; elsewhere it ends at its next word to us.

Knows processes and pipes. Knows nothing of sound but that it comes in bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
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
MISSING = "ffmpeg is not installed or not on the PATH; install it (apt install ffmpeg)"
FORBIDDEN = "ffmpeg may not be executed by this user; check its permissions (ls -l on the ffmpeg that `which ffmpeg` names)"


class _Lifeline:
    """A pipe of which we alone hold one end, and a child the other: once ours is closed, the kernel kills the child's group.

    Asks nothing of the child, and the child may not have to ask for anything either: in a sandbox it is not given any rights.
    """

    def __init__(self) -> None:
        self.far_end, self._near_end = os.pipe()
        if hasattr(fcntl, "F_SETSIG"):  # Linux
            fcntl.fcntl(self.far_end, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.far_end, fcntl.F_SETFL, fcntl.fcntl(self.far_end, fcntl.F_GETFL) | os.O_ASYNC)

    def tie(self, group: int) -> None:
        """Name the group whose life hangs on it, and leave the far end to it."""
        with contextlib.suppress(ProcessLookupError):  # it is gone already
            fcntl.fcntl(self.far_end, fcntl.F_SETOWN, -group)
        os.close(self.far_end)

    def cut(self) -> None:
        """Let go; what still lives dies."""
        if self._near_end >= 0:
            os.close(self._near_end)
            self._near_end = -1

    def drop(self) -> None:
        """Close both ends: nobody was tied to it."""
        os.close(self.far_end)
        self.cut()


class Child:
    """A running ffmpeg. Its standard error goes to a ring of a few lines: the oldest are lost, uncounted."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: _Lifeline, hear: Callable[[str], None] | None = None) -> None:
        """Take over a process whose standard output and error are pipes; `hear` is given each line of the latter."""
        self._process = process
        self._lifeline = lifeline
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
            lifeline = _Lifeline()
            try:
                # Its own group: a Ctrl-C on the terminal is for the daemon, and what ffmpeg may start dies with it.
                process = await asyncio.create_subprocess_exec(
                    *arguments, stdin=stdin, stdout=pipe, stderr=pipe, process_group=0, pass_fds=(lifeline.far_end,)
                )
            except BaseException:
                lifeline.drop()
                raise
        except FileNotFoundError as error:
            raise Permanent(MISSING) from error
        except PermissionError as error:
            raise Permanent(FORBIDDEN) from error
        except OSError as error:  # no process, descriptor or memory left: it may be there again soon
            raise StreamFailed(f"ffmpeg could not be started: {error.strerror}") from error
        lifeline.tie(process.pid)
        return cls(process, lifeline, hear)

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
        self._lifeline.cut()  # first: what follows can be cancelled
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


class Starter:
    """Starts the children of one source, one after the other: a program that was there once and is missing now may come back."""

    def __init__(self) -> None:
        self._worked = False

    async def start(
        self, arguments: Sequence[str], *, stdin: int = asyncio.subprocess.DEVNULL, hear: Callable[[str], None] | None = None
    ) -> Child:
        """Start the next one, as `Child.start` does.

        Raises:
            Permanent: ffmpeg is not there, or may not be executed, and never could be.
            StreamFailed: It cannot be started now.
        """
        try:
            child = await Child.start(arguments, stdin=stdin, hear=hear)
        except Permanent as error:
            if self._worked:  # as while the system is upgraded
                raise StreamFailed(str(error)) from error
            raise
        self._worked = True
        return child


def _word(line: bytes) -> str:
    """Text of a line: UTF-8, or what Icecast's sources wrote before there was UTF-8."""
    try:
        return line.decode().strip()[:_WORD_LENGTH]
    except UnicodeDecodeError:
        return line.decode("latin-1").strip()[:_WORD_LENGTH]
