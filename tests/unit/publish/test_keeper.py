"""Detections the disk does not take wait in memory, in order, up to a limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from monitor.errors import OutboxError, OutboxUnwritable
from monitor.facts import DetectionsLost, DetectionsWaiting, Fact
from monitor.messages import Detection
from monitor.publish import keeper as keeper_module
from monitor.publish.keeper import Keeper

Make = Callable[..., Detection]


class Shelf:
    """A store whose disk may be full."""

    def __init__(self) -> None:
        self.was_pruned = threading.Event()
        self.kept: list[str] = []
        self.error: Exception | None = None

    def put(self, detections: Sequence[Detection]) -> None:
        if self.error:
            raise self.error
        self.kept += [detection.id for detection in detections]

    def prune(self) -> int:
        self.was_pruned.set()
        return 0


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def facts() -> list[Fact]:
    return []


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def keeper(shelf: Shelf, facts: list[Fact], heard: list[str]) -> Keeper:
    return Keeper(shelf, told=lambda detections: heard.extend(d.id for d in detections), tell=facts.append, limit=3)


def test_what_the_disk_takes_is_told_and_forgotten(
    keeper: Keeper, shelf: Shelf, detection: Make, heard: list[str], facts: list[Fact]
) -> None:
    keeper.put([detection(1), detection(2)])
    assert (shelf.kept, heard, keeper.waiting, facts) == (["play-1", "play-2"], ["play-1", "play-2"], 0, [])


def test_a_full_disk_keeps_order(keeper: Keeper, shelf: Shelf, detection: Make, facts: list[Fact], heard: list[str]) -> None:
    shelf.error = OutboxUnwritable("disk is full")
    keeper.put([detection(1)])
    keeper.put([detection(2)])
    assert facts[-1] == DetectionsWaiting(count=2, reason="disk is full")
    shelf.error = None
    keeper.put([detection(3)])
    assert shelf.kept == heard == ["play-1", "play-2", "play-3"]
    assert facts[-1] == DetectionsWaiting(count=0)


def test_memory_is_bounded_and_losses_are_counted(keeper: Keeper, shelf: Shelf, detection: Make, facts: list[Fact]) -> None:
    shelf.error = OutboxUnwritable("disk is full")
    keeper.put([detection(number) for number in range(5)])
    assert facts[-1] == DetectionsLost(count=2)
    shelf.error = None
    keeper.retry()
    assert shelf.kept == ["play-2", "play-3", "play-4"]


def test_a_damaged_store_is_not_waited_for(keeper: Keeper, shelf: Shelf, detection: Make) -> None:
    shelf.error = OutboxError("damaged")
    with pytest.raises(OutboxError):
        keeper.put([detection(1)])


async def test_it_retries_and_prunes_by_itself(
    keeper: Keeper, shelf: Shelf, detection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_S", 0.01)
    monkeypatch.setattr(keeper_module, "PRUNE_S", 0.02)
    shelf.error = OutboxUnwritable("disk is full")
    keeper.put([detection(1)])
    shelf.error = None
    task = asyncio.create_task(keeper.run())
    async with asyncio.timeout(1.0):
        await asyncio.to_thread(shelf.was_pruned.wait, 1.0)
    task.cancel()
    assert shelf.kept == ["play-1"]
