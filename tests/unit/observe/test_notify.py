"""What systemd hears, on a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.observe.notify import Notifier


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(1.0)
        yield made


def test_it_says_each_word(listener: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notifier.ready()
    notifier.status("3 of 4\nstreams")
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.stopping()
    heard = [listener.recv(4096).decode() for _ in range(4)]
    assert heard[:2] == ["READY=1", "STATUS=3 of 4 streams"]
    assert heard[3] == "STOPPING=1"
    reloading, clock = heard[2].split("\n")
    assert reloading == "RELOADING=1"
    assert before_us <= int(clock.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_abstract_sockets(tmp_path: Path) -> None:
    name = f"monitor-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(1.0)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listener.recv(100) == b"READY=1"


async def test_the_watchdog_is_fed_only_while_the_pipeline_moves(listener: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
    listener.setblocking(False)
    late: list[str] = []
    with capture_logs() as lines:
        task = asyncio.create_task(notifier.watch(lambda now_s: late))
        await asyncio.sleep(0.1)
        assert listener.recv(100) == b"WATCHDOG=1"
        late.append("matcher")
        await asyncio.sleep(0.03)
        while True:
            try:
                listener.recv(100)
            except BlockingIOError:
                break
        await asyncio.sleep(0.1)
        with pytest.raises(BlockingIOError):
            listener.recv(100)
        late.clear()
        await asyncio.sleep(0.05)
        assert listener.recv(100) == b"WATCHDOG=1"
        task.cancel()
    errors = [line for line in lines if line["log_level"] == "error"]
    assert [line["stages"] for line in errors] == [["matcher"]], "said once"


async def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready()
    await asyncio.wait_for(notifier.watch(lambda now_s: []), 1.0)


def test_a_dead_socket_is_no_reason_to_die(tmp_path: Path) -> None:
    with capture_logs() as lines:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
    assert [line["log_level"] for line in lines] == ["warning"]
