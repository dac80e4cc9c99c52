"""What a station plays and what is therefore true of it: names, places and seconds, no sound.

An element is one thing on air; a scene is some minutes of one station through one studio chain and one codec. Everything random was
drawn before it got here, so a scene can be rendered anywhere, any time, to the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Where an element's sound comes from."""

    RECORDING = "recording"
    SPOT = "spot"
    """Made for this benchmark, see `Made`."""
    JINGLE = "jingle"
    VOICE = "voice"
    NOISE = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One thing on air."""

    kind: Kind
    name: str = ""
    """Of the recording or the made thing; empty for voices and noise."""
    listed: bool = False
    """Whether the catalogue has it, so that it must be told."""
    at_s: float
    length_s: float
    """On air, fades included."""
    from_s: float = 0.0
    """Where in the recording it begins."""
    speed: float = 1.0
    """Seconds of the recording per second on air."""
    pitched: bool = True
    """Whether the pitch goes with the speed (a turntable) or not (time stretching)."""
    gain_db: float = 0.0
    """Level of the sound; under a voice, while somebody speaks."""
    duck_db: float = 0.0
    """How much louder it is while nobody speaks."""
    fade_in_s: float = 0.005
    fade_out_s: float = 0.005
    seed: int = 0
    """Which voices, which noise."""

    @property
    def end_s(self) -> float:
        """When it is gone."""
        return self.at_s + self.length_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A spot (voice over a bed, a sting at its end) or a jingle (a piece of a recording)."""

    name: str
    length_s: float
    bed: str
    """Recording under the voice, or the jingle itself; not in the catalogue."""
    bed_from_s: float
    sting: str = ""
    """Recording the closing sound is cut from; empty: a jingle."""
    sting_from_s: float = 0.0
    voice_seed: int = 0
    other: tuple[float, int] | None = None
    """In this version the voice is another one (its seed) for `OTHER_S`, beginning here."""

    @property
    def kind(self) -> Kind:
        """Which of the two it is."""
        return Kind.SPOT if self.sting else Kind.JINGLE


OTHER_S = 3.0
"""By so much the two versions of a spot differ."""
STING_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A studio's processing before its transmitter."""

    ratio: float
    """Of the multiband compressor, above -38 dB in each band; 1 is none."""
    equaliser_db: tuple[tuple[float, float], ...]
    """Frequency and gain of each bell."""
    drive_db: float
    """Into the limiter and the clipper behind it."""
    widen: float
    """Side signal times this; 1 leaves the stereo picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """How the station is sent."""

    name: str
    kbps: int

    def __str__(self) -> str:
        return f"{self.name} {self.kbps}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Some minutes of one station."""

    name: str
    condition: str
    length_s: float
    elements: tuple[Element, ...]
    chain: Chain
    codec: Codec

    @property
    def plays(self) -> tuple[Element, ...]:
        """What must be told, by start."""
        return tuple(sorted((one for one in self.elements if one.listed), key=lambda one: one.at_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """All scenes of a run and the things made for them."""

    scenes: tuple[Scene, ...]
    made: Mapping[str, Made] = field(default_factory=dict)
