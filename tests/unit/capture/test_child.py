"""A child is read, listened to, and gone when it is closed, whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.capture.child import Child
from monitor.errors import Permanent


def alive(group: int) -> list[str]:
    """Processes of a group that still run; what is killed but not yet reaped by init does not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(str(stat))
    return found


async def test_reads_to_the_end() -> None:
    child = await Child.start(["sh", "-c", "printf 12345; echo first >&2; printf last >&2; exit 3"])
    assert await child.read(3) == b"123"
    assert await child.read(3) == b"45"
    assert await child.read(3) == b""
    assert await child.finish() == 3
    assert child.last_words() == ["first", "last"]
    await child.close()


async def test_close_kills_the_whole_group_even_when_it_ignores_terms_and_the_pipe_is_full() -> None:
    child = await Child.start(["sh", "-c", "trap '' TERM; (trap '' TERM; sleep 60) & cat /dev/zero"])
    assert await child.read(10) == bytes(10)
    await asyncio.sleep(0.05)
    assert len(alive(child.pid)) == 3
    await child.close()
    for _ in range(100):  # a killed grandchild takes a moment
        if not alive(child.pid):
            break
        await asyncio.sleep(0.01)
    assert alive(child.pid) == []
    with pytest.raises(ProcessLookupError):  # and ours is not even a zombie
        os.kill(child.pid, 0)


async def test_close_twice_is_harmless() -> None:
    child = await Child.start(["sleep", "60"])
    await child.close()
    await child.close()


async def test_a_flood_of_words_is_bounded() -> None:
    child = await Child.start(["sh", "-c", "yes word | head -n 50000 >&2; head -c 600000 /dev/zero >&2; echo >&2; echo end >&2"])
    await child.finish()
    words = child.last_words()
    assert words[-1] == "end"
    assert len(words) <= 12
    assert max(map(len, words)) <= 400
    await child.close()


async def test_missing_program_says_what_to_install() -> None:
    with pytest.raises(Permanent, match="apt install ffmpeg"):
        await Child.start(["no-such-ffmpeg"])


@pytest.mark.skipif(not hasattr(fcntl, "F_SETSIG"), reason="the kernel's help is Linux's")
def test_dies_with_a_killed_parent_even_when_it_has_nothing_to_say() -> None:
    # A daemon killed with SIGKILL left the decoder of a stream that had stalled behind: it would have noticed at its next sound.
    parent = (
        "import asyncio, sys\nfrom monitor.capture.child import Child\n"
        "async def main():\n    child = await Child.start(['sh', '-c', 'sleep 60 & echo; wait'])\n"
        "    await child.line()\n    print(child.pid, flush=True)\n    await child.finish()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        group = int(process.stdout.readline())
        assert len(alive(group)) == 2
        process.kill()
    for _ in range(200):
        if not alive(group):
            break
        time.sleep(0.01)
    assert alive(group) == []
