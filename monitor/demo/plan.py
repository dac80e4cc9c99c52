"""What the two simulated stations play, when exactly, and what must therefore be recognised.

Knows file names, places in recordings and seconds of station time (0 is the first sample sent). Knows nothing of sound, of
clocks or of how anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

CLIPS = Path(__file__).with_name("clips")
LISTED = CLIPS / "listed"
"""Recordings that go into the catalogue."""
UNLISTED = CLIPS / "unlisted"
"""A recording that must not be recognised, and a voice."""
VOICE = UNLISTED / "allison-smith-voice.opus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One recording on air."""

    clip: Path
    at_s: float
    """Station time at which it is first audible."""
    length_s: float
    """How long it is on air, fades included."""
    from_s: float
    """Where in the clip it begins."""
    speed: float = 1.0
    """Seconds of the clip per second on air, pitch and all: 1.02 is 2 % fast."""
    fade_in_s: float = 0.02
    fade_out_s: float = 0.02

    @property
    def end_s(self) -> float:
        """Station time at which it is gone."""
        return self.at_s + self.length_s

    @property
    def listed(self) -> bool:
        """Whether the catalogue knows it."""
        return self.clip.parent == LISTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What one station plays. It ends with `length_s`, or begins again there."""

    station: str
    about: str
    bitrate_bps: int
    length_s: float
    music: tuple[Spot, ...]
    voice: tuple[Spot, ...]
    """The presenter, at the level of the music."""

    def on_air(self, at_s: float) -> list[Spot]:
        """Music that is audible at the station time `at_s` of one round."""
        return [spot for spot in self.music if spot.at_s <= at_s < spot.end_s]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aired:
    """The truth about one play, in UTC."""

    station: str
    clip: str
    """File name of the recording."""
    listed: bool
    start_utc_s: float
    end_utc_s: float


def aired(programme: Programme, sent_utc_s: float, rounds: int = 1) -> list[Aired]:
    """Place a programme whose first sample was sent at `sent_utc_s`, and which ran `rounds` times, in UTC."""
    return [
        Aired(
            station=programme.station,
            clip=spot.clip.name,
            listed=spot.listed,
            start_utc_s=sent_utc_s + programme.length_s * number + spot.at_s,
            end_utc_s=sent_utc_s + programme.length_s * number + spot.end_s,
        )
        for number in range(rounds)
        for spot in programme.music
    ]


def programmes() -> tuple[Programme, Programme]:
    """Return the fixed plan of the demo: a plain station and a hard one."""
    return _plain(), _hard()


def _plain() -> Programme:
    order = (
        ("paniq-randomness-decides.opus", 30.0),
        ("jordan-trudgett-sempridge.opus", 10.0),
        ("sectoid-escape-from-chaosland.opus", 50.0),
        ("jordan-trudgett-castle.opus", 20.0),
        ("kenneth-welch-artificial-intelligence.opus", 40.0),
        ("sectoid-feelings.opus", 60.0),
    )
    music = tuple(
        Spot(clip=LISTED / name, at_s=4.0 + 26.0 * number, length_s=29.0, from_s=from_s, fade_in_s=3.0, fade_out_s=3.0)
        for number, (name, from_s) in enumerate(order)
    )
    return Programme(
        station="plain",
        about="MP3 128 kbit/s, one recording cross-fades into the next over 3 s",
        bitrate_bps=128_000,
        length_s=178.0,
        music=music,
        voice=_talk((0.0, 4.5), (162.0, 16.0)),
    )


def _hard() -> Programme:
    return Programme(
        station="hard",
        about="MP3 48 kbit/s, a voice as loud as the music, one recording 2 % fast, one that no catalogue knows",
        bitrate_bps=48_000,
        length_s=178.0,
        music=(
            Spot(clip=LISTED / "sectoid-war-of-freedom.opus", at_s=4.0, length_s=40.0, from_s=20.0),
            Spot(clip=LISTED / "jordan-trudgett-theme.opus", at_s=44.0, length_s=36.0, from_s=25.0, speed=1.02),
            Spot(clip=UNLISTED / "paniq-die-gewalt.opus", at_s=80.0, length_s=36.0, from_s=15.0),
            Spot(clip=LISTED / "paniq-contemplation.opus", at_s=116.0, length_s=44.0, from_s=30.0),
        ),
        voice=_talk((0.0, 4.0), (12.0, 24.0), (116.0, 44.0), (160.0, 18.0)),
    )


def _talk(*turns: tuple[float, float]) -> tuple[Spot, ...]:
    """Cut the voice recording into consecutive turns, given as (station time, length)."""
    starts = [0.0]
    for _, length_s in turns:
        starts.append(starts[-1] + length_s)
    return tuple(
        Spot(clip=VOICE, at_s=at_s, length_s=length_s, from_s=from_s)
        for (at_s, length_s), (from_s, _) in zip(turns, pairwise(starts), strict=True)
    )


def clip_names(spots: Sequence[Spot]) -> str:
    """Name spots for people, without folder and suffix."""
    return " + ".join(spot.clip.stem for spot in spots)
