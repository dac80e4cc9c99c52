"""`python -m tests.faults.reconnects --times 1000`: lose a stream again and again, and see that nothing of it stays.

A server gives each connection half a second of sound and closes it. Counted every hundred connections: open file descriptors and
children of this process, its memory, its tasks and threads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
import time
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from monitor.capture import FfmpegSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.facts import Fact, StreamRestarted
from monitor.settings import StreamSettings
from tests.integration.radio import OK_MP3, children, server, tone


def counts() -> dict[str, float]:
    """Count what a leak would be made of."""
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children()),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "resident_mb": round(resident_pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
    }


async def reconnect(times: int, streams: int) -> list[tuple[int, dict[str, float]]]:
    """Let some streams lose their connections, so many times together; return the counts along the way, taken between losses."""
    lost, table = 0, []
    enough = asyncio.Event()

    def tell(fact: Fact) -> None:
        nonlocal lost
        if isinstance(fact, StreamRestarted):
            lost += 1
            if lost >= times:
                enough.set()

    with TemporaryDirectory() as folder:
        sound = (await asyncio.to_thread(tone, Path(folder) / "a.mp3", "-b:a", "64k", seconds=1.0)).read_bytes()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK_MP3 + sound)
            await writer.drain()

        async def listen(name: str, port: int) -> None:
            settings = StreamSettings(name=name, url=f"http://127.0.0.1:{port}/live", no_data_timeout_s=30.0)
            source = FfmpegSource(settings, Recipe(name="any"), tell, backoff=Backoff(0.01, 0.01, lambda: 0.0))
            async with aclosing(source.chunks()) as chunks:
                async for _ in chunks:
                    pass

        async def watch() -> None:
            while True:
                if not table or lost >= table[-1][0] + times // 10:
                    table.append((lost, counts()))
                await asyncio.sleep(0.1)

        async with server(serve) as port:
            tasks = [asyncio.create_task(listen(f"s{number}", port)) for number in range(streams)]
            tasks.append(asyncio.create_task(watch()))
            await enough.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.2)
        table.append((lost, counts()))
    return table


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.reconnects", description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=4)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    began_s = time.monotonic()
    for lost, found in asyncio.run(reconnect(arguments.times, arguments.streams)):
        print(f"{lost:6d} losses  " + "  ".join(f"{name} {value:g}" for name, value in found.items()))
    print(f"{time.monotonic() - began_s:.0f} s; the last line: all streams closed")


if __name__ == "__main__":
    main()
