"""Each station lives and ends for itself; what ends the daemon is only that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np
import pytest

from monitor.core.recipe import Recipe
from monitor.errors import Permanent
from monitor.facts import Fact, StreamStateChanged
from monitor.messages import Chunk, StreamState, Window
from monitor.pipeline import stations
from monitor.pipeline.ports import Source
from monitor.pipeline.stations import Stations
from monitor.settings import StreamSettings

ENDLESS = StreamSettings(name="endless", url="http://host/endless")
SHORT = StreamSettings(name="short", url="http://host/short")
BROKEN = StreamSettings(name="broken", url="http://host/broken")
STRANGE = StreamSettings(name="strange", url="gopher://host/strange")
FAULTY = StreamSettings(name="faulty", url="http://host/faulty")


class Tape:
    """Two seconds of silence, and then what the name says."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        self.name, self._recipe = name, recipe
        self.closed = False

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        samples = np.zeros(2 * self._recipe.sample_rate_hz, np.float32)
        try:
            yield Chunk(stream=self.name, position=0, samples=samples, arrived_s=0.0)
            if self.name == "endless":
                await asyncio.Event().wait()
            if self.name == "broken":
                raise Permanent("ffmpeg is not installed")
            if self.name == "faulty":
                raise ZeroDivisionError
        finally:
            self.closed = True

    def hint(self, position: int) -> None:
        return None

    def utc_s(self, position: int) -> tuple[float, float]:
        return position / self._recipe.sample_rate_hz, 0.0


class World:
    """What stations are joined to."""

    def __init__(self, recipe: Recipe) -> None:
        self.windows: list[Window] = []
        self.closed: list[str] = []
        self.facts: list[Fact] = []
        self.tapes: dict[str, Tape] = {}
        self.closing: asyncio.Event | None = None
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._recipe = recipe
        self.stations = Stations(
            recipe, open_source=self.open, put=self.windows.append, room=self.room, closed=self.close, tell=self.facts.append
        )

    def open(self, settings: StreamSettings) -> Source:
        if settings.url.startswith("gopher"):
            raise Permanent("gopher:// is not listened to")
        self.tapes[settings.name] = Tape(settings.name, self._recipe)
        return self.tapes[settings.name]

    async def room(self) -> None:
        await self.has_room.wait()

    def close(self, name: str) -> asyncio.Future[None]:
        self.closed.append(name)
        if self.closing is not None and name == "endless":
            return asyncio.ensure_future(self.wait())
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def wait(self) -> None:
        assert self.closing is not None
        await self.closing.wait()


@pytest.fixture
async def world() -> World:
    return World(Recipe(name="test"))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_over_ends_only_itself(world: World) -> None:
    assert await world.stations.apply([ENDLESS, SHORT]) == (["endless", "short"], [])
    await settle()
    assert {window.stream for window in world.windows} == {"endless", "short"}
    assert (world.closed, world.stations.over.done()) == (["short"], False)
    assert await world.stations.apply([ENDLESS, SHORT]) == ([], []), "what is over is not begun again"
    await world.stations.stop()
    assert world.tapes["endless"].closed


async def test_when_everything_is_over_it_says_so(world: World) -> None:
    await world.stations.apply([SHORT])
    await settle()
    assert world.stations.over.result() is None


@pytest.mark.parametrize("wrong", [BROKEN, STRANGE])
async def test_what_a_person_must_change_stops_one_station_only(world: World, wrong: StreamSettings) -> None:
    # A stream that could not be opened, added by a reload, once took the daemon and all its other streams down.
    await world.stations.apply([ENDLESS])
    await world.stations.apply([ENDLESS, wrong])
    await settle()
    assert not world.stations.over.done()
    assert not world.tapes["endless"].closed
    (told,) = world.facts
    assert isinstance(told, StreamStateChanged)
    assert (told.stream, told.state) == (wrong.name, StreamState.OFFLINE)
    assert told.reason in ("ffmpeg is not installed", "gopher:// is not listened to")
    assert world.closed == [wrong.name]
    await world.stations.stop()


async def test_when_only_what_a_person_must_change_is_left_it_says_what(world: World) -> None:
    await world.stations.apply([SHORT, STRANGE, BROKEN])
    await settle()
    with pytest.raises(Permanent, match="broken: ffmpeg is not installed; stream strange: gopher"):
        world.stations.over.result()


async def test_a_fault_of_ours_is_not_hidden(world: World) -> None:
    await world.stations.apply([ENDLESS, FAULTY])
    await settle()
    with pytest.raises(ZeroDivisionError):
        world.stations.over.result()
    await world.stations.stop()


async def test_changed_settings_open_it_again(world: World) -> None:
    await world.stations.apply([ENDLESS, replace(ENDLESS, name="short")])
    await settle()
    before = world.tapes["endless"]
    assert await world.stations.apply([replace(ENDLESS, no_data_timeout_s=5.0)]) == (["endless"], ["short"])
    await settle()
    assert before.closed
    assert world.tapes["endless"] is not before
    assert world.stations.names == ["endless"]
    await world.stations.stop()


async def test_a_file_read_as_fast_as_it_goes_waits_for_room(world: World) -> None:
    world.has_room.clear()
    await world.stations.apply([SHORT, replace(ENDLESS, realtime=False)])
    await settle()
    assert {window.stream for window in world.windows} == {"short"}
    world.has_room.set()
    await settle()
    assert {window.stream for window in world.windows} == {"short", "endless"}
    await world.stations.stop()


async def test_a_reload_that_leaves_only_what_is_over_says_so(world: World) -> None:
    # It once went on listening to nothing.
    await world.stations.apply([ENDLESS, SHORT])
    await settle()
    assert not world.stations.over.done()
    await world.stations.apply([SHORT])
    assert world.stations.over.result() is None


async def test_what_ends_during_a_reload_is_not_the_end_of_all(world: World) -> None:
    # A file that ended while the reload waited for another station to close ended the daemon, and the stations to come with it.
    file = replace(SHORT, realtime=False)
    world.has_room.clear()
    await world.stations.apply([file, ENDLESS])
    await settle()
    world.closing = asyncio.Event()
    reload = asyncio.create_task(world.stations.apply([file, replace(ENDLESS, no_data_timeout_s=5.0)]))
    await settle()
    world.has_room.set()
    await settle()
    assert "short" in world.closed
    world.closing.set()
    await reload
    await settle()
    assert not world.stations.over.done()
    assert not world.tapes["endless"].closed
    await world.stations.stop()


async def test_what_a_person_has_changed_outside_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "RETRY_S", 0.05)
    await world.stations.apply([ENDLESS, BROKEN])
    await settle()
    first = world.tapes["broken"]
    async with asyncio.timeout(5):
        while world.tapes["broken"] is first:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not world.stations.over.done()
    await world.stations.stop()


async def test_a_reload_tries_what_was_broken_at_once(world: World) -> None:
    await world.stations.apply([ENDLESS, BROKEN])
    await settle()
    first = world.tapes["broken"]
    assert await world.stations.apply([ENDLESS, BROKEN]) == (["broken"], [])
    await settle()
    assert world.tapes["broken"] is not first
    await world.stations.stop()


async def test_clocks_are_known_of_stations_that_were_heard_and_are_still_there(world: World) -> None:
    assert world.stations.uncertainties_s() == {}
    await world.stations.apply([ENDLESS])
    await settle()
    assert world.stations.uncertainties_s() == {"endless": 0.0}
    await world.stations.apply([])
    assert world.stations.uncertainties_s() == {}


async def test_a_source_opened_anew_has_no_clock_before_its_first_sound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # ffmpeg was away for a moment (an upgrade) when a station was opened again. Minutes later its new source, without any sound
    # yet, was asked for the time of the old one's last sound, and its LookupError took the daemon down with all its stations.
    class Mute(Tape):
        async def chunks(self) -> AsyncGenerator[Chunk, None]:
            await asyncio.Event().wait()
            yield Chunk(stream=self.name, position=0, samples=np.zeros(1, np.float32), arrived_s=0.0)

        def utc_s(self, position: int) -> tuple[float, float]:
            raise LookupError("no sound has been heard yet")

    monkeypatch.setattr(stations, "RETRY_S", 0.0)
    recipe = Recipe(name="test")
    tapes: list[Tape] = [Mute("broken", recipe), Tape("broken", recipe)]
    twice = Stations(
        recipe,
        open_source=lambda _: tapes.pop(),
        put=world.windows.append,
        room=world.room,
        closed=world.close,
        tell=world.facts.append,
    )
    await twice.apply([BROKEN])
    await settle()
    await asyncio.sleep(0.05)
    assert world.windows
    assert twice.uncertainties_s() == {}
    await twice.stop()
