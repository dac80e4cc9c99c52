"""From a scene to the sound that leaves the studio's desk: mixed, faded, ducked, at the levels the scene names.

Knows sound at full rate, [samples, 2]. A level is that of the piece while it sounds (`material.levelled`); 0 dB is the same for
music, voices and noise, so the level of music under a voice is its gain. Knows nothing of processing behind the desk, codecs or
what is told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from monitor.errors import NotAudio
from monitor.evaluate.broadcast.material import CHANNELS, LEVEL_DB, RATE_HZ, Material, levelled
from monitor.evaluate.broadcast.scene import OTHER_S, STING_S, Element, Kind, Made, Scene

BED_DB = -10.0
"""Bed of a spot under its voice."""
STEP = RATE_HZ // 100
"""Ducking is decided a hundred times a second."""
HOLD_S, ATTACK_S, RELEASE_S = 0.25, 0.06, 0.4
"""The ducker stays down so long after the last syllable, and goes down and up in about so long."""


class Desk:
    """Mixes scenes from a split's material and the things made for a run."""

    def __init__(self, material: Material, made: Mapping[str, Made]) -> None:
        self._material = material
        self.thing = lru_cache(maxsize=16)(lambda name: self._make(made[name]))
        """The sound of a spot or a jingle, [samples, 2]."""

    def mix(self, scene: Scene) -> NDArray[np.float32]:
        """Render a scene, [samples, 2]."""
        sound = np.zeros((round(scene.length_s * RATE_HZ), CHANNELS), np.float32)
        for element in scene.elements:
            if element.kind is Kind.VOICE:
                _lay(sound, element, self._sound(element))
        speaking = _speaking(sound[:, 0], [one for one in scene.elements if one.kind is Kind.VOICE])
        for element in scene.elements:
            if element.kind is not Kind.VOICE:
                _lay(sound, element, self._sound(element) * _ducked(element, speaking)[:, None])
        return sound

    def _sound(self, element: Element) -> NDArray[np.float32]:
        """Return an element's sound at the common level, [samples, 2]."""
        size = round(element.length_s * RATE_HZ)
        match element.kind:
            case Kind.VOICE:
                return _both(self._material.talk(element.seed, element.length_s))
            case Kind.NOISE:
                return _both(self._material.noise(element.seed, element.length_s))
            case Kind.SPOT | Kind.JINGLE:
                thing: NDArray[np.float32] = self.thing(element.name)
                return thing
            case Kind.RECORDING:
                piece = self._material.sound(element.name, element.from_s, element.length_s * element.speed)
                if element.speed != 1.0:
                    piece = faster(piece, size) if element.pitched else stretched(piece, element.speed, size)
                return levelled(piece, RATE_HZ)

    def _make(self, made: Made) -> NDArray[np.float32]:
        """Make a spot or a jingle."""
        bed = levelled(self._material.sound(made.bed, made.bed_from_s, made.length_s), RATE_HZ)
        if made.kind is Kind.JINGLE:
            return _edges(bed)
        voice = self._material.talk(made.voice_seed, made.length_s, advert=True)
        if made.other is not None:
            at, size = round(made.other[0] * RATE_HZ), round(OTHER_S * RATE_HZ)
            voice[at : at + size] = self._material.talk(made.other[1], OTHER_S, advert=True)
        sound = bed * np.float32(10 ** (BED_DB / 20)) + voice[:, None]
        sting = _edges(levelled(self._material.sound(made.sting, made.sting_from_s, STING_S), RATE_HZ))
        sound[-len(sting) :] *= 0.3
        sound[-len(sting) :] += sting
        return _edges(sound)


def faster(sound: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Play [samples, 2] in [size, 2], its pitch with it: resampled by its spectrum, to a millionth of the length."""
    spectrum = scipy.fft.rfft(sound, axis=0)
    result: NDArray[np.float32] = scipy.fft.irfft(spectrum[: size // 2 + 1], size, axis=0).astype(np.float32)
    return result * np.float32(size / len(sound))


def stretched(sound: NDArray[np.float32], speed: float, size: int) -> NDArray[np.float32]:
    """Play [samples, 2] in [size, 2], its pitch unchanged: waveform-similarity overlap-add, as ffmpeg's atempo does it."""
    raw = ("-f", "f32le", "-ar", str(RATE_HZ), "-ac", str(CHANNELS))
    command = ["ffmpeg", "-nostdin", "-v", "error", *raw, "-i", "pipe:0", "-af", f"atempo={speed:.6f}", *raw, "pipe:1"]
    done = subprocess.run(command, input=sound.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        raise NotAudio(f"ffmpeg cannot stretch: {done.stderr.decode(errors='replace').strip()}; install a complete ffmpeg")
    result = np.frombuffer(done.stdout, np.float32).reshape(-1, CHANNELS)[:size]
    return np.pad(result, ((0, size - len(result)), (0, 0)))


def _both(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(mono[:, None], CHANNELS, axis=1)


def _edges(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the clicks off both ends."""
    ramp = np.linspace(0.0, 1.0, RATE_HZ // 200, dtype=np.float32)[:, None]
    result = sound.copy()
    result[: len(ramp)] *= ramp
    result[-len(ramp) :] *= ramp[::-1]
    return result


def _lay(mix: NDArray[np.float32], element: Element, sound: NDArray[np.float32]) -> None:
    """Add an element's sound at its place, level and fades; equal power where two fades cross."""
    gain = np.full(len(sound), 10 ** (element.gain_db / 20), np.float32)
    rising, falling = round(element.fade_in_s * RATE_HZ), round(element.fade_out_s * RATE_HZ)
    gain[:rising] *= np.sin(np.linspace(0.0, np.pi / 2, rising, dtype=np.float32))
    gain[len(gain) - falling :] *= np.cos(np.linspace(0.0, np.pi / 2, falling, dtype=np.float32))
    at = round(element.at_s * RATE_HZ)
    end = min(at + len(sound), len(mix))
    mix[at:end] += (sound * gain[:, None])[: end - at]


def _speaking(voice: NDArray[np.float32], elements: list[Element]) -> NDArray[np.float32]:
    """Return how much the ducker is down at each step of a voice track [samples]: 0 to 1, with hold, attack and release."""
    steps = -(-len(voice) // STEP)
    down = np.zeros(steps, np.float32)
    if not elements:
        return down
    level = np.sqrt(np.square(np.pad(voice, (0, steps * STEP - len(voice)))).reshape(steps, STEP).mean(axis=1))
    loud = np.nonzero(level > 10 ** ((LEVEL_DB - 20) / 20))[0]
    wanted = np.zeros(steps, bool)
    for at in loud.tolist():
        wanted[at : at + round(HOLD_S * 100)] = True
    attack, release = 1.0 / (ATTACK_S * 100), 1.0 / (RELEASE_S * 100)
    state = 0.0
    for at, want in enumerate(wanted):
        state = min(state + attack, 1.0) if want else max(state - release, 0.0)
        down[at] = state
    return down


def _ducked(element: Element, down: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gain [samples] of an element beside its own: `duck_db` more where nobody speaks."""
    at, size = round(element.at_s * RATE_HZ), round(element.length_s * RATE_HZ)
    if not element.duck_db:
        return np.ones(size, np.float32)
    place = (at + np.arange(size)) / STEP
    lifted = np.interp(place, np.arange(len(down)), 1.0 - down)
    gain: NDArray[np.float32] = (10 ** (element.duck_db * lifted / 20)).astype(np.float32)
    return gain
