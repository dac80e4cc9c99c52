"""Which scenes make up a run: every condition of the benchmark, drawn from a seed.

Knows names, lengths and chance; no sound. A condition is a function that fills a timeline until it is long enough; each scene
has its own random numbers (seed, condition, number), so one more scene, or one more condition, changes none of the others.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from monitor.evaluate.broadcast.material import Material, Role
from monitor.evaluate.broadcast.scene import Chain, Codec, Element, Kind, Made, Programme, Scene
from monitor.evaluate.broadcast.things import Draw, things

SCENE_S = 240.0
"""Longest scene: what is rendered at a time. Short, so that every condition meets several studios and codecs."""
UNKNOWN = "unknown"
"""The condition in which nothing may be told."""
SHARES: Mapping[str, float] = {
    "foreground": 1.5,
    "cross-fades": 1.0,
    "speech 0 dB": 1.0,
    "speech -6 dB": 1.0,
    "speech -12 dB": 1.0,
    "speech -18 dB": 1.0,
    "spots 5 s": 0.7,
    "spots 10-30 s": 1.0,
    "spot versions": 0.7,
    "jingles 2-3 s": 0.6,
    "jingles 3-5 s": 0.5,
    "twice in a row": 0.6,
    "speed with pitch": 1.0,
    "speed, tempo only": 1.0,
    UNKNOWN: 3.0,
    "whole": 2.5,
}
"""Conditions, and how much of the hours each gets."""
CODECS = (
    Codec(name="mp3", kbps=128),
    Codec(name="mp3", kbps=64),
    Codec(name="mp3", kbps=24),
    Codec(name="aac", kbps=96),
    Codec(name="aac", kbps=48),
    Codec(name="he-aac core", kbps=48),
    Codec(name="he-aac core", kbps=32),
    Codec(name="opus", kbps=96),
    Codec(name="opus", kbps=48),
    Codec(name="opus", kbps=24),
)
DUCK_DB = 9.0
"""A ducker lets go by so much while nobody speaks, but never above the voice."""
BACKGROUND = 0.82
"""Share of the matched seconds of BAF that is under something else."""
MATCHED = 0.65
"""Share of BAF's seconds that is matched (over 37 of 57 hours)."""


class Timeline:
    """Elements one after another; `now_s` is where the next one goes."""

    def __init__(self, draw: Draw, length_s: float) -> None:
        self.draw, self.length_s = draw, length_s
        self.now_s = 0.0
        self.elements: list[Element] = []

    @property
    def left_s(self) -> float:
        """Seconds to fill."""
        return self.length_s - self.now_s

    def music(
        self,
        role: Role,
        length_s: float,
        *,
        gain_db: float = 0.0,
        duck_db: float = 0.0,
        overlap_s: float = 0.0,
        start: bool = False,
        speed: float = 1.0,
        pitched: bool = True,
    ) -> Element:
        """Play a piece of a recording here, from its very start or from anywhere; `overlap_s` cross-fades it with what is on."""
        recording = self.draw.recording(role)
        length_s = min(length_s, math.floor(100 * recording.length_s / speed) / 100 - 0.5)
        speed = round(100 * speed * length_s) / (100 * length_s)
        room_s = recording.length_s - length_s * speed - 0.2
        from_s = recording.first_s + (0.0 if start else self.draw.between(0.0, max(room_s, 0.0)))
        element = Element(
            kind=Kind.RECORDING,
            name=recording.name,
            listed=role is Role.KNOWN,
            at_s=round(max(self.now_s - overlap_s, 0.0), 2),
            length_s=length_s,
            from_s=round(from_s, 2),
            speed=speed,
            pitched=pitched,
            gain_db=gain_db,
            duck_db=duck_db,
            fade_in_s=overlap_s or 0.005,
        )
        if overlap_s:
            self.elements[-1] = replace(self.elements[-1], fade_out_s=overlap_s)
        return self.put(element)

    def made(self, thing: Made) -> Element:
        """Play a spot or a jingle."""
        return self.put(Element(kind=thing.kind, name=thing.name, listed=True, at_s=self.now_s, length_s=thing.length_s))

    def voice(self, length_s: float) -> Element:
        """Let people talk."""
        return self.put(Element(kind=Kind.VOICE, at_s=self.now_s, length_s=length_s, seed=self.draw.seed()))

    def noise(self, length_s: float) -> Element:
        """Play noise or ambience."""
        gain_db = self.draw.between(-25.0, 0.0)
        return self.put(Element(kind=Kind.NOISE, at_s=self.now_s, length_s=length_s, seed=self.draw.seed(), gain_db=gain_db))

    def silence(self, length_s: float) -> None:
        """Play nothing."""
        self.now_s = round(self.now_s + length_s, 2)

    def put(self, element: Element) -> Element:
        """Put an element on the timeline; what comes next comes after it."""
        self.elements.append(element)
        self.now_s = round(element.end_s, 2)
        return element

    def lay(self, element: Element) -> None:
        """Put an element over what is there; time does not move."""
        self.elements.append(element)

    def filler(self) -> None:
        """Play something unknown for a short while, so that things begin and end beside something."""
        choice, length_s = int(self.draw.random.integers(4)), self.draw.between(3.0, 9.0)
        if choice == 0:
            self.music(Role.STRANGER, length_s + 3.0)
        elif choice == 1:
            self.silence(min(length_s, 2.0))
        else:
            self.voice(length_s)


def programme(
    material: Material,
    *,
    hours: float,
    seed: int,
    conditions: Sequence[str] = (),
    unknown_hours: float | None = None,
    scene_s: float = SCENE_S,
) -> Programme:
    """Plan a run.

    Args:
        material: What there is to play.
        hours: Of all conditions together; each gets its share, also when only some are asked for.
        seed: Of everything.
        conditions: Only these; empty: all.
        unknown_hours: Of unknown audio, in place of its share.
        scene_s: Longest scene.
    """
    made = things(material, seed)
    scenes = []
    for condition, share in SHARES.items():
        if conditions and condition not in conditions:
            continue
        total_s = hours * 3600.0 * share / sum(SHARES.values())
        if condition == UNKNOWN and unknown_hours is not None:
            total_s = unknown_hours * 3600.0
        count = max(math.ceil(total_s / scene_s), 1)
        for number in range(count):
            scenes.append(_scene(material, made, condition, number, round(total_s / count, 1), seed))
    return Programme(scenes=tuple(scenes), made=made)


def _scene(material: Material, made: Mapping[str, Made], condition: str, number: int, length_s: float, seed: int) -> Scene:
    key = zlib.crc32(condition.encode())
    draw = Draw(material, made, (seed, key, number))
    codec = CODECS[(seed + key + number) % len(CODECS)]
    chain = _chain(draw)
    line = Timeline(draw, length_s)
    line.silence(draw.between(0.5, 1.5))
    fill = CONDITIONS[condition]
    while line.left_s > 0:
        fill(line)
    return Scene(
        name=f"{condition} {number + 1}",
        condition=condition,
        length_s=round(max(line.now_s, length_s) + 3.0, 2),
        elements=tuple(line.elements),
        chain=chain,
        codec=codec,
    )


def _chain(draw: Draw) -> Chain:
    bells = tuple((round(f, 0), draw.between(-6.0, 6.0)) for f in (120.0, 450.0, 1300.0, 3200.0))
    return Chain(
        ratio=float(draw.random.choice([1.0, 2.0, 3.0, 5.0])),
        equaliser_db=bells,
        drive_db=draw.between(0.0, 10.0),
        widen=draw.between(0.8, 1.8),
    )


def _foreground(line: Timeline) -> None:
    line.music(Role.KNOWN, line.draw.between(15.0, 60.0), start=line.draw.random.random() < 0.4)
    if line.draw.random.random() < 0.6:
        line.filler()


def _cross_fades(line: Timeline) -> None:
    line.music(Role.KNOWN, line.draw.between(25.0, 45.0))
    for _ in range(2):
        line.music(Role.KNOWN, line.draw.between(25.0, 45.0), overlap_s=line.draw.between(2.0, 6.0))
    line.filler()


def _under_speech(level_db: float) -> Callable[[Timeline], None]:
    def fill(line: Timeline) -> None:
        under(line, level_db, line.draw.between(20.0, 60.0))

    return fill


def under(line: Timeline, level_db: float, length_s: float, role: Role = Role.KNOWN) -> None:
    """Talk, with a piece of music under it for most of the time."""
    before_s, after_s = line.draw.between(2.0, 6.0), line.draw.between(2.0, 6.0)
    voice = Element(kind=Kind.VOICE, at_s=line.now_s, length_s=before_s + length_s + after_s, seed=line.draw.seed())
    line.silence(before_s)
    music = line.music(role, length_s, gain_db=level_db, duck_db=min(DUCK_DB, -level_db))
    voice = replace(voice, length_s=round(before_s + music.length_s + after_s, 2))
    line.lay(voice)
    line.silence(after_s)


def _spots(low_s: float, high_s: float) -> Callable[[Timeline], None]:
    def fill(line: Timeline) -> None:
        for _ in range(4):
            line.made(line.draw.made(lambda one: one.kind is Kind.SPOT and one.other is None and low_s <= one.length_s <= high_s))
        line.filler()
        line.filler()

    return fill


def _versions(line: Timeline) -> None:
    twin = line.draw.made(lambda one: one.other is not None)
    name = twin.name if line.draw.random.random() < 0.5 else twin.name.removesuffix(" other version")
    line.made(line.draw.made(lambda one: one.name == name))
    line.filler()


def _jingles(low_s: float, high_s: float) -> Callable[[Timeline], None]:
    def fill(line: Timeline) -> None:
        line.made(line.draw.made(lambda one: one.kind is Kind.JINGLE and low_s <= one.length_s < high_s))
        line.filler()

    return fill


def _twice(line: Timeline) -> None:
    first = line.music(Role.KNOWN, line.draw.between(25.0, 50.0), start=True)
    line.put(replace(first, at_s=line.now_s))
    line.filler()


def _mix(*, pitched: bool) -> Callable[[Timeline], None]:
    def fill(line: Timeline) -> None:
        for number in range(3):
            overlap_s, speed = 4.0 if number else 0.0, float(line.draw.random.uniform(0.94, 1.06))
            line.music(Role.KNOWN, line.draw.between(25.0, 45.0), overlap_s=overlap_s, speed=speed, pitched=pitched)
        line.filler()

    return fill


def _unknown(line: Timeline) -> None:
    choice, length_s = float(line.draw.random.random()), line.draw.between(15.0, 60.0)
    if choice < 0.3:
        line.music(Role.STRANGER, length_s)
    elif choice < 0.45:
        speed, pitched = float(line.draw.random.uniform(0.94, 1.06)), bool(line.draw.random.random() < 0.5)
        line.music(Role.STRANGER, length_s, speed=speed, pitched=pitched)
    elif choice < 0.6:
        under(line, float(line.draw.random.choice([0.0, -6.0, -12.0])), length_s, Role.STRANGER)
    elif choice < 0.85:
        line.voice(length_s)
    elif choice < 0.95:
        line.noise(length_s)
    else:
        line.silence(min(length_s, 10.0))


def _whole(line: Timeline) -> None:
    """Play matched and unmatched seconds, background and foreground as BAF has them; the level of its beds is not published."""
    length_s = line.draw.between(15.0, 60.0)
    if line.draw.random.random() >= MATCHED:
        _unknown(line)
    elif line.draw.random.random() < BACKGROUND:
        under(line, float(line.draw.random.choice([0.0, -6.0, -12.0, -18.0])), length_s)
    else:
        line.music(Role.KNOWN, length_s)


CONDITIONS: Mapping[str, Callable[[Timeline], None]] = {
    "foreground": _foreground,
    "cross-fades": _cross_fades,
    "speech 0 dB": _under_speech(0.0),
    "speech -6 dB": _under_speech(-6.0),
    "speech -12 dB": _under_speech(-12.0),
    "speech -18 dB": _under_speech(-18.0),
    "spots 5 s": _spots(5.0, 5.0),
    "spots 10-30 s": _spots(10.0, 30.0),
    "spot versions": _versions,
    "jingles 2-3 s": _jingles(2.0, 3.0),
    "jingles 3-5 s": _jingles(3.0, 5.0),
    "twice in a row": _twice,
    "speed with pitch": _mix(pitched=True),
    "speed, tempo only": _mix(pitched=False),
    UNKNOWN: _unknown,
    "whole": _whole,
}
