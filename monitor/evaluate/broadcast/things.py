"""What is made for a run: spots and jingles; and the random numbers everything is drawn with.

Knows names, lengths and chance; no sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from monitor.evaluate.broadcast.material import Material, Recording, Role
from monitor.evaluate.broadcast.scene import OTHER_S, STING_S, Made

SPOTS, VERSIONS, JINGLES = 30, 8, 24
"""Spots, of which so many have a second version, and at most so many jingles."""


class Draw:
    """The random numbers of one scene and the things to choose from."""

    def __init__(self, material: Material, made: Mapping[str, Made], key: Sequence[int]) -> None:
        self.random = np.random.default_rng(key)
        self._made = made
        self._left: dict[Role, list[Recording]] = {}
        self._all = {role: material.role(role) for role in Role}

    def between(self, low: float, high: float) -> float:
        """Draw a number, to hundredths."""
        return round(float(self.random.uniform(low, high)), 2)

    def recording(self, role: Role) -> Recording:
        """Draw a recording; none comes again before all have been."""
        left = self._left.setdefault(role, [])
        if not left:
            left += [self._all[role][int(at)] for at in self.random.permutation(len(self._all[role]))]
        return left.pop()

    def made(self, chosen: Callable[[Made], bool]) -> Made:
        """Draw a made thing."""
        fitting = [one for one in self._made.values() if chosen(one)]
        return fitting[int(self.random.integers(len(fitting)))]

    def seed(self) -> int:
        """Draw a seed for voices or noise."""
        return int(self.random.integers(1 << 31))


def things(material: Material, seed: int) -> dict[str, Made]:
    """Make up the spots and jingles of a run: campaigns of two or three spots share a bed, some spots have a second version.

    No two jingles are cut from one recording, unless there is only one: music repeats itself, and they would be the same sound.
    """
    draw = Draw(material, {}, (seed, 1))
    beds = [draw.recording(Role.BED) for _ in material.role(Role.BED)]
    jingles, beds = beds[1::2] or beds, beds[::2]  # no piece of a bed is a jingle too
    made: dict[str, Made] = {}
    campaign: list[str] = []
    bed, bed_from_s = "", 0.0
    lengths = (5.0, 10.0, 15.0, 20.0, 30.0)
    for number in range(SPOTS):
        length_s = lengths[number % len(lengths)]
        if not campaign or len(campaign) >= 2 + int(draw.random.integers(2)):
            campaign, recording = [], beds[int(draw.random.integers(len(beds)))]
            bed, room_s = recording.name, max(recording.length_s - 31.0, 0.0)
            bed_from_s = round(recording.first_s + draw.between(0.0, room_s), 2)
        sting = beds[int(draw.random.integers(len(beds)))]
        spot = Made(
            name=f"spot {number + 1}",
            length_s=length_s,
            bed=bed,
            bed_from_s=bed_from_s,
            sting=sting.name,
            sting_from_s=round(sting.first_s + draw.between(0.0, sting.length_s - STING_S), 2),
            voice_seed=draw.seed(),
        )
        made[spot.name] = spot
        campaign.append(spot.name)
        if number % len(lengths) and sum(one.other is not None for one in made.values()) < VERSIONS:
            at_s = draw.between(1.0, length_s - OTHER_S - STING_S - 1.0)
            version = replace(spot, name=f"{spot.name} other version", other=(at_s, draw.seed()))
            made[version.name] = version
    for number in range(min(JINGLES, max(len(jingles), 2))):
        recording = jingles[number % len(jingles)]
        length_s = draw.between(2.0, 3.0) if number % 2 else draw.between(3.0, 5.0)
        from_s = round(recording.first_s + draw.between(0.0, recording.length_s - 5.0), 2)
        jingle = Made(name=f"jingle {number + 1}", length_s=length_s, bed=recording.name, bed_from_s=from_s)
        made[jingle.name] = jingle
    return made
