"""Sound cards through real PortAudio, no hardware needed.

An ALSA device of type `file` plays a recording; the monitor of a null sink of PulseAudio runs in real time, as a card does. A JACK
server with its dummy driver has a buffer of a card's size, which runs over; PulseAudio's holds ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from monitor.capture.soundcard import SoundcardSource
from monitor.core.backoff import Backoff
from monitor.core.recipe import Recipe
from monitor.errors import Permanent
from monitor.facts import Fact, InputOverflowed, StreamRestarted, StreamStateChanged
from monitor.messages import Chunk
from monitor.settings import SourceKind, StreamSettings
from tests.faults.listener import Listener
from tests.integration.radio import children

RECIPE = Recipe(name="any")
# PortAudio 19.6 aborts the process when ALSA names no `default` at all, so there is always one, here one that cannot be opened.
_NO_DEFAULT = "pcm.default { type hw card 99 }"
_ALSA = """
pcm.null {{ type null }}
pcm.studio {{ type file slave.pcm "null" file "/dev/null" infile "{sound}" format "raw" }}
pcm.spare {{ type file slave.pcm "null" file "/dev/null" infile "{sound}" format "raw" }}
"""


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ffmpeg" not in children()


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sound cards that carry a stereo tone, half as loud on the right, in the format PortAudio opens them with."""
    sound = tmp_path / "sound.raw"
    tone = "aevalsrc=0.5*sin(2*PI*440*t)|0.25*sin(2*PI*440*t):d=60:s=44100"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", tone, "-f", "f32le", str(sound)], check=True, timeout=20
    )
    config = tmp_path / "asound.conf"
    config.write_text(_ALSA.format(sound=sound) + _NO_DEFAULT)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))


_NULL_SINK = """
pcm.air {{ type pulse server "unix:{folder}/native" device "air.monitor" }}
"""


@pytest.fixture
def null_sink(tmp_path: Path, need: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sound server whose null sink carries a tone at 48 kHz; its monitor is the device `air`."""
    config = tmp_path / "asound.conf"
    config.write_text(_NULL_SINK.format(folder=tmp_path) + _NO_DEFAULT)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_RUNTIME_PATH": str(tmp_path)}
    socket = f"module-native-protocol-unix auth-anonymous=1 socket={tmp_path}/native"
    serve = [str(need("pulseaudio")), "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error"]
    serve += ["-L", "module-null-sink sink_name=air rate=48000", "-L", socket]
    play = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "sine=440:r=48000", "-f", "pulse"]
    play += ["-server", f"unix:{tmp_path}/native", "-device", "air", "tone"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    running = [subprocess.Popen(serve, **quiet)]
    try:
        until_s = time.monotonic() + 10
        while not (tmp_path / "native").exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        running.append(subprocess.Popen(play, **quiet))
        yield "air"
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


async def test_a_null_sinks_monitor_is_heard_in_real_time(null_sink: str) -> None:
    facts: list[Fact] = []
    chunks: list[Chunk] = []
    async with asyncio.timeout(30), aclosing(source(facts, null_sink).chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            if len(chunks) == 16:
                break
    samples = np.concatenate([chunk.samples for chunk in chunks[4:]])
    assert np.argmax(np.abs(np.fft.rfft(samples))) * RECIPE.sample_rate_hz / samples.size == pytest.approx(440, abs=2)
    assert chunks[-1].arrived_s - chunks[0].arrived_s > 2.0
    assert not [fact for fact in facts if isinstance(fact, StreamRestarted | InputOverflowed)]


_JACK = "pcm.live { type jack capture_ports { 0 system:capture_1 1 system:capture_2 } }\n"


@pytest.fixture
def jack(tmp_path: Path, need: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A JACK server: `system` through PortAudio's own JACK side, `live` through ALSA's."""
    name = f"monitor-{os.getpid()}"
    config = tmp_path / "asound.conf"
    config.write_text(_JACK + _NO_DEFAULT)
    for variable, value in (("ALSA_CONFIG_PATH", str(config)), ("JACK_DEFAULT_SERVER", name), ("JACK_NO_START_SERVER", "1")):
        monkeypatch.setenv(variable, value)
    log = (tmp_path / "jack.log").open("wb")
    serve = [str(need("jackd")), "--no-realtime", "-n", name, "-d", "dummy", "-r", "48000", "-p", "1024"]
    process = subprocess.Popen(serve, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until_s = time.monotonic() + 10
        while not list(Path("/dev/shm").glob(f"jack_{name}_*")) and time.monotonic() < until_s:
            time.sleep(0.05)
        time.sleep(1.0)  # it says nothing when it is ready
        yield
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def child() -> int:
    """Return the process id of the ffmpeg that this process has."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, tail = path.read_text().rpartition(")")
            if int(tail.split()[1]) == os.getpid() and head.endswith("(ffmpeg"):
                return int(head.split()[0])
    raise LookupError("no ffmpeg")


@pytest.mark.usefixtures("jack")
@pytest.mark.parametrize("device", ["live", "system"])
async def test_a_buffer_that_runs_over_is_counted_and_its_sound_was_not_received(device: str, tmp_path: Path) -> None:
    """PyAudio closes a stream whose overflow it raises, so the card was opened anew; PortAudio's JACK side told nothing at all."""
    settings = StreamSettings(name="studio", kind=SourceKind.SOUNDCARD, device=device, no_data_timeout_s=30.0)
    async with Listener(settings, tmp_path) as listener:
        began_s = await listener.heard()
        await asyncio.sleep(2.0)
        os.kill(child(), signal.SIGSTOP)
        await asyncio.sleep(4.0)
        os.kill(child(), signal.SIGCONT)
        until_s = time.monotonic() + 20
        while listener.lost_s() < 2.0 and time.monotonic() < until_s:  # noqa: ASYNC110 - told to a plain function
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.0)
        ended_s = listener.at_s[-1]
        facts = [told.fact for told in listener.told]
        assert not [fact for fact in facts if isinstance(fact, StreamRestarted)]
        assert any(isinstance(fact, InputOverflowed) for fact in facts)
        lost_s = listener.lost_s()  # the dummy driver itself leaves out periods when the machine is busy
        assert lost_s >= 2.0
        assert listener.gaps_s() == pytest.approx(lost_s, abs=0.01)
        heard_s = sum(chunk.samples.size for chunk in listener.chunks) / RECIPE.sample_rate_hz
        assert heard_s + lost_s == pytest.approx(ended_s - began_s, abs=1.0)
        assert listener.not_received_s(began_s + 1.0, ended_s - 1.0) == pytest.approx(lost_s, abs=0.5)


def source(facts: list[Fact], device: str) -> SoundcardSource:
    settings = StreamSettings(name="studio", kind=SourceKind.SOUNDCARD, device=device, no_data_timeout_s=5.0)
    return SoundcardSource(settings, RECIPE, facts.append, backoff=Backoff(0.1, 0.2, lambda: 0.0))


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize("device", ["STUD", "1"])
async def test_a_card_is_found_heard_and_brought_to_the_recipes_sound(device: str) -> None:
    facts: list[Fact] = []
    station = source(facts, device)
    chunks: list[Chunk] = []
    async with asyncio.timeout(10), aclosing(station.chunks()) as sound:
        async for chunk in sound:
            chunks.append(chunk)
            if len(chunks) == 9:
                break
    assert [chunk.position for chunk in chunks] == list(range(0, 18000, 2000))
    samples = np.concatenate([chunk.samples for chunk in chunks])[2000:10000]
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 440
    assert np.sqrt(2 * np.mean(samples.astype(np.float64) ** 2)) == pytest.approx(0.375, rel=0.01)
    assert station.utc_s(0)[0] > 1e9
    states = [fact.state.value for fact in facts if isinstance(fact, StreamStateChanged)]
    assert states == ["connecting", "online", "offline"]


@pytest.mark.usefixtures("cards")
async def test_a_card_that_is_not_there_is_a_mistake_that_names_those_there_are() -> None:
    with pytest.raises(Permanent, match=r"no sound card input is called or numbered 'attic'; there are: .*studio.*spare"):
        async for _ in source([], "attic").chunks():
            pass


async def test_no_card_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "asound.conf"
    config.write_text(_NO_DEFAULT)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    with pytest.raises(Permanent, match="there is no default sound card input; name a device, there are: none"):
        async for _ in source([], "").chunks():
            pass


@pytest.mark.usefixtures("cards")
async def test_a_card_may_be_closed_and_opened_again() -> None:
    for _ in range(3):
        async with asyncio.timeout(10), aclosing(source([], "spare").chunks()) as sound:
            assert (await anext(sound)).samples.size == 2000
