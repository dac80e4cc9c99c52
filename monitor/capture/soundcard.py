"""A sound card as a source, through PortAudio.

Knows devices and how they are read. The sound goes raw through an ffmpeg child, so that it is resampled by the very same
filter as that of streams and files. What a card's buffer lost is found by `core/overrun.py`: PortAudio tells of it on some systems
only (its JACK side never does) and not how much it was, and PyAudio closes a stream whose overflow it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

from monitor.capture.arguments import chunk_samples, raw_arguments
from monitor.capture.child import Starter
from monitor.capture.mending import Mender
from monitor.capture.samples import to_samples
from monitor.capture.stamped import Heard
from monitor.core.backoff import Backoff
from monitor.core.overrun import Overrun
from monitor.core.recipe import Recipe
from monitor.errors import Permanent, StreamFailed
from monitor.facts import InputOverflowed, Tell
from monitor.messages import Stamp, StampKind
from monitor.settings import StreamSettings

if TYPE_CHECKING:
    import pyaudio

_READ_S = 0.1
"""Sound is fetched from the card in pieces of this length."""
_CHANNELS = 2
"""More channels than a stereo pair are not taken: a 32-channel interface carries 31 things that are not the programme."""
_FAREWELL_S = 2.0
"""A thread that is stuck in a dead driver is left behind after this; it is a daemon thread and holds only the device."""
_LOCK = threading.Lock()
"""PortAudio may not be started or stopped by two threads at once."""


class SoundcardSource(Mender):
    """One sound card input.

    Sound that is not fetched in time is lost in the card's buffer: told as InputOverflowed, and left out of media time as soon as
    it is known, half a second later.
    """

    def __init__(self, settings: StreamSettings, recipe: Recipe, tell: Tell, *, backoff: Backoff | None = None) -> None:
        """Take the stream's settings; nothing is opened yet."""
        super().__init__(settings, recipe, tell, connect=self._sound, backoff=backoff)
        self._device, self._channel = settings.device, settings.channel
        self._recipe = recipe
        self._starter = Starter()
        self._seen = False
        """A device that was there once may come back; one that never was is a mistake in the configuration."""

    def __repr__(self) -> str:
        return f"SoundcardSource({self.name}, {self._device or 'default input'})"

    async def _sound(self) -> AsyncGenerator[Heard, None]:
        card = await self._open()
        read_end, write_end = os.pipe()
        try:
            arguments = raw_arguments(self._recipe, rate_hz=card.rate_hz, channels=card.channels, channel=self._channel)
            child = await self._starter.start(arguments, stdin=read_end)
        except BaseException:
            os.close(write_end)
            card.close()
            raise
        finally:
            os.close(read_end)
        loop = asyncio.get_running_loop()

        def overflowed() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(self._tell, InputOverflowed(stream=self.name))

        pump = threading.Thread(target=card.pump, args=(write_end, overflowed), name=f"card {self.name}", daemon=True)
        pump.start()
        heard, lost_s = 0, -1.0
        try:
            while data := await child.read(chunk_samples(self._recipe) * 4):
                samples, _ = to_samples(data)
                if not samples.size:
                    continue
                if card.lost_s != lost_s:
                    lost_s = card.lost_s
                    yield Stamp(kind=StampKind.MEDIA, seconds=heard / self._recipe.sample_rate_hz + lost_s)
                heard += samples.size
                yield samples
        finally:
            await child.close()
            card.stop()
            await asyncio.to_thread(pump.join, _FAREWELL_S)
        raise StreamFailed(card.complaint or "the sound card gave no more sound")

    async def _open(self) -> Card:
        try:
            card = await asyncio.to_thread(Card.open, self._device)
        except Permanent as error:
            if self._seen:
                raise StreamFailed(f"the sound card is gone: {error}") from error
            raise
        self._seen = True
        return card


class Card:
    """An open input of a sound card. All but `stop` belongs to one thread at a time: PortAudio shares nothing between threads."""

    def __init__(self, audio: pyaudio.PyAudio, stream: pyaudio.Stream, *, rate_hz: int, channels: int) -> None:
        """Take over PortAudio and an open stream of float32."""
        self.rate_hz = rate_hz
        self.channels = channels
        self.complaint = ""
        """After the pump has ended: why, if the card failed."""
        self.lost_s = 0.0
        """Sound that its buffer lost so far. Read by another thread than the pump's, which sets it."""
        self._audio = audio
        self._stream = stream
        self._stopped = threading.Event()

    @classmethod
    def open(cls, device: str) -> Card:
        """Open a device by part of its name or by index; empty takes the default.

        Raises:
            Permanent: There is no such device, or no PortAudio.
            StreamFailed: The device is there but cannot be opened now.
        """
        try:
            import pyaudio
        except ImportError as error:
            raise Permanent(f"PyAudio does not load ({error}); install portaudio19-dev and then pyaudio") from error
        with _LOCK:
            audio = pyaudio.PyAudio()
            try:
                found = _find(audio, device)
                rate_hz = round(float(found["defaultSampleRate"]))
                channels = min(_CHANNELS, int(found["maxInputChannels"]))
                stream = audio.open(
                    format=pyaudio.paFloat32,
                    channels=channels,
                    rate=rate_hz,
                    input=True,
                    input_device_index=int(found["index"]),
                    frames_per_buffer=round(_READ_S * rate_hz),
                )
            except OSError as error:
                audio.terminate()
                raise StreamFailed(f"the sound card {found['name']} cannot be opened: {error}") from error
            except Permanent:
                audio.terminate()
                raise
        return cls(audio, stream, rate_hz=rate_hz, channels=channels)

    def stop(self) -> None:
        """Ask the pump to end after its current piece."""
        self._stopped.set()

    def close(self) -> None:
        """Free the device."""
        with _LOCK:
            with contextlib.suppress(OSError):  # a device that was pulled out complains about being closed
                self._stream.close()
            self._audio.terminate()

    def pump(self, descriptor: int, overflowed: Callable[[], None]) -> None:
        """Write the card's sound to a pipe until stopped, the pipe breaks or the card fails; then free both."""
        frames = round(_READ_S * self.rate_hz)
        overrun = Overrun(self.rate_hz)
        try:
            while not self._stopped.is_set():
                began_s = time.monotonic()
                data = self._stream.read(frames, exception_on_overflow=False)
                waiting = self._stream.get_read_available()
                if lost_s := overrun.read(frames, waiting=waiting, began_s=began_s, ended_s=time.monotonic()):
                    self.lost_s += lost_s
                    overflowed()
                while data:
                    data = data[os.write(descriptor, data) :]
        except BrokenPipeError:
            pass  # the child was closed: that is how a reader stops us while the pipe is full
        except OSError as error:
            self.complaint = f"the sound card failed: {error}"
        finally:
            os.close(descriptor)
            self.close()


def try_soundcard(device: str) -> str:
    """Open a sound card, close it again, and say what it gives.

    Raises:
        Permanent: There is no such device, or no PortAudio.
        StreamFailed: The device is there but cannot be opened now.
    """
    card = Card.open(device)
    card.close()
    return f"{card.rate_hz} Hz, {card.channels} channels"


def _find(audio: pyaudio.PyAudio, device: str) -> dict[str, Any]:
    """Return PortAudio's description of the input that is meant.

    Raises:
        Permanent: There is none.
    """
    every: list[dict[str, Any]] = [dict(audio.get_device_info_by_index(i)) for i in range(audio.get_device_count())]
    inputs = [found for found in every if int(found["maxInputChannels"]) > 0]
    there = ", ".join(f"{found['index']}: {found['name']}" for found in inputs) or "none"
    if not device:
        with contextlib.suppress(OSError):
            return dict(audio.get_default_input_device_info())
        raise Permanent(f"there is no default sound card input; name a device, there are: {there}")
    for found in inputs:
        if device == str(found["index"]) or device.lower() in str(found["name"]).lower():
            return found
    raise Permanent(f"no sound card input is called or numbered {device!r}; there are: {there}")
