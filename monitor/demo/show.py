"""Runs the demo: opens the parts in order, watches, judges, and closes everything on every way out.

Knows every part of the demo, the clock and the signals. Imports nothing of the daemon: it is met as any user meets it.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from monitor.demo.broker import Notebook, broker, subscribe
from monitor.demo.daemon import PREFIX, Daemon, DaemonFailed, build_catalog, daemon, free_ports, write_config
from monitor.demo.picture import draw
from monitor.demo.plan import Aired, Programme, aired, programmes
from monitor.demo.render import render
from monitor.demo.screen import Row, Screen
from monitor.demo.station import Station, serve
from monitor.demo.verdict import Told, Verdict, judge

_START_LIMIT_S: Final = 180.0
"""The daemon must listen to both stations by then; on a slow disk PyTorch alone takes a minute to load."""
_LOOK_S: Final = 0.25


def show(folder: Path, *, keep: bool = False) -> int:
    """Run the demo in the work folder; return 0 only if all was found, nothing false was said, and the daemon stopped cleanly."""
    console = Console(width=None if sys.stdout.isatty() else 132)
    screen = Screen(console)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "catalog", ignore_errors=True)
    for old in folder.glob("outbox.db*"):
        old.unlink()
    screen.say("Building a catalogue of the demo's recordings:")
    build_catalog(folder)
    verdict = asyncio.run(_broadcast(folder, screen, rounds=None if keep else 1))
    return 0 if verdict.passed else 1


class _Broadcast:
    """Two stations, what was said about them, and what is true of them."""

    def __init__(self, plan: Sequence[Programme], *, rounds: int | None) -> None:
        self._plan = plan
        self._rounds = rounds
        self.stations = [Station(item.station, render(item), item.bitrate_bps, rounds=rounds) for item in plan]
        self.notebook = Notebook()

    @property
    def sent_utc_s(self) -> dict[str, float]:
        """When the first sample left each station for its listeners: when it was due, and the encoder's delay as measured."""
        return {item.name: item.sent_utc_s + item.delay_s for item in self.stations if item.sent_utc_s is not None}

    def truth(self, now_utc_s: float) -> list[Aired]:
        """Every play that has begun."""
        sent = self.sent_utc_s
        plays: list[Aired] = []
        for item in self._plan:
            if item.station in sent:
                rounds = self._rounds or int((now_utc_s - sent[item.station]) // item.length_s) + 1
                plays += aired(item, sent[item.station], rounds)
        return [play for play in plays if play.start_utc_s <= now_utc_s]

    def rows(self, now_utc_s: float) -> list[Row]:
        """Say what is on air and what the monitor takes to be on air."""
        sent = self.sent_utc_s
        return [
            Row(
                programme=item,
                at_s=now_utc_s - sent[item.station] if item.station in sent else None,
                told=tuple(told for told in self.notebook.told.values() if told.station == item.station and not told.ended),
            )
            for item in self._plan
        ]

    def remaining_s(self, now_utc_s: float) -> float | None:
        """Seconds until both programmes are over; None when they never are, or have not begun."""
        sent = self.sent_utc_s
        if self._rounds is None or len(sent) < len(self._plan):
            return None
        return max(sent[item.station] + item.length_s * self._rounds for item in self._plan) - now_utc_s

    def judge(self, now_utc_s: float) -> Verdict:
        """Compare what was on air with what was said."""
        return judge(self.truth(now_utc_s), self.notebook.told.values(), now_utc_s)


async def _broadcast(folder: Path, screen: Screen, *, rounds: int | None) -> Verdict:
    plan = programmes()
    broadcast = _Broadcast(plan, rounds=rounds)
    ports = free_ports()
    config = write_config(folder, [item.station for item in plan], ports)
    screen.say(f"\nStarting the daemon: python -m monitor run -c {config}")
    for item in plan:
        screen.say(f"  http://127.0.0.1:{ports.stations}/{item.station}   {item.about}")
    screen.say(
        f"  mqtt://127.0.0.1:{ports.mqtt}   topics {PREFIX}/STATION/events   metrics http://127.0.0.1:{ports.http}/metrics\n"
    )
    async with AsyncExitStack() as stack:
        interrupted = await stack.enter_async_context(_interruptible())
        await stack.enter_async_context(broker(ports.mqtt))
        await stack.enter_async_context(serve(broadcast.stations, ports.stations))
        await stack.enter_async_context(_subscribed(ports.mqtt, broadcast, screen))
        running = await stack.enter_async_context(daemon(folder, config))
        async with _beside(running.died(), *(item.run() for item in broadcast.stations)):
            with screen.shown():
                await _watch(broadcast, screen, interrupted)
        return await _conclude(folder, broadcast, running, screen)


async def _watch(broadcast: _Broadcast, screen: Screen, interrupted: asyncio.Event) -> None:
    began_s = time.monotonic()
    while not interrupted.is_set():
        now = time.time()
        remaining_s = broadcast.remaining_s(now)
        if remaining_s is not None and remaining_s <= 0:
            return
        if len(broadcast.sent_utc_s) < len(broadcast.stations):
            if time.monotonic() > began_s + _START_LIMIT_S:
                raise DaemonFailed(f"after {_START_LIMIT_S:.0f} s the daemon still does not listen to every station")
            label = "the daemon is starting"
        else:
            label = "until Ctrl-C" if remaining_s is None else f"{remaining_s:.0f} s to go"
        screen.update(broadcast.rows(now), label)
        await asyncio.sleep(_LOOK_S)


async def _conclude(folder: Path, broadcast: _Broadcast, running: Daemon, screen: Screen) -> Verdict:
    """Stop the daemon, which tells the ends of what it still hears, and only then judge."""
    over_utc_s = time.time()
    sent = broadcast.sent_utc_s
    await running.stop()
    await asyncio.sleep(_LOOK_S)
    verdict = broadcast.judge(over_utc_s)
    if not verdict.lines:
        screen.say("Nothing was on air yet.")
        return verdict
    screen.conclude(verdict, sent)
    delays = ", ".join(f"{item.name} {item.delay_s * 1000:.0f} ms" for item in broadcast.stations)
    screen.say(f"True times are those of a sample leaving its station; the encoders' measured delay is in them ({delays}).")
    draw(folder / "timeline.png", verdict, sent)
    screen.say(f"Kept in {folder}: config.toml, catalog, daemon.log, timeline.png")
    return verdict


@asynccontextmanager
async def _interruptible() -> AsyncIterator[asyncio.Event]:
    """Turn the first SIGINT or SIGTERM into an event."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _subscribed(port: int, broadcast: _Broadcast, screen: Screen) -> AsyncIterator[None]:
    """Collect what the monitor says while the context is open."""
    ready = asyncio.Event()
    seen: set[str] = set()

    def heard(told: Told) -> None:
        screen.heard(told, first=told.id not in seen, sent_utc_s=broadcast.sent_utc_s.get(told.station, told.start_utc_s))
        seen.add(told.id)

    async with _beside(subscribe(port, PREFIX, broadcast.notebook, ready.set, heard)):
        await ready.wait()
        yield


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the works beside the body and end them with it; one that fails ends the body, with its own error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as group_of_errors:
        error: BaseException = group_of_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
