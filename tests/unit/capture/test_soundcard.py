"""The pump between a card and a pipe: overflows are counted, failures told, everything freed. Real cards: tests/integration."""

from __future__ import annotations

import os
import threading
import time

import pytest

from monitor.capture.soundcard import Card


class FakePortAudio:
    """A stream and its library in one: reads follow a script, then block until it is closed."""

    def __init__(self, *script: bytes | OSError | float) -> None:
        self._script = list(script)
        self.freed: list[str] = []

    def read(self, frames: int, exception_on_overflow: bool) -> bytes:
        assert frames == 4800
        assert not exception_on_overflow, "PyAudio closes a stream whose overflow it raises"
        step = self._script.pop(0)
        if isinstance(step, float):
            time.sleep(step)
            step = b"."
        if isinstance(step, OSError):
            raise step
        return step

    def get_read_available(self) -> int:
        return 0

    def close(self) -> None:
        self.freed.append("stream")

    def terminate(self) -> None:
        self.freed.append("library")


def test_an_overflow_is_counted_and_the_sound_goes_on() -> None:
    before, after = [0.1] * 2, [0.1] * 6
    fake = FakePortAudio(*before, 0.6, *after, OSError(-9988, "Stream closed"))
    card = Card(fake, fake, rate_hz=48000, channels=2)
    read_end, write_end = os.pipe()
    overflows: list[None] = []
    card.pump(write_end, lambda: overflows.append(None))
    with os.fdopen(read_end, "rb") as pipe:
        assert pipe.read() == b"." * 9
    assert len(overflows) == 1
    assert card.lost_s == pytest.approx(0.5, abs=0.25)
    assert "Stream closed" in card.complaint
    assert fake.freed == ["stream", "library"]


def test_a_reader_that_left_ends_the_pump_even_when_the_pipe_is_full() -> None:
    fake = FakePortAudio(*[b"x" * 50_000] * 100)
    card = Card(fake, fake, rate_hz=48000, channels=2)
    read_end, write_end = os.pipe()
    pump = threading.Thread(target=card.pump, args=(write_end, lambda: None))
    pump.start()
    os.read(read_end, 10)
    os.close(read_end)
    pump.join(2.0)
    assert not pump.is_alive()
    assert card.complaint == ""
    assert fake.freed == ["stream", "library"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(write_end)


def test_stop_ends_the_pump_after_its_piece() -> None:
    fake = FakePortAudio(b"one", b"two")
    card = Card(fake, fake, rate_hz=48000, channels=2)
    card.stop()
    read_end, write_end = os.pipe()
    card.pump(write_end, lambda: None)
    with os.fdopen(read_end, "rb") as pipe:
        assert pipe.read() == b""
