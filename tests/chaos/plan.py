"""Which fault comes when: decided by a seed alone, before anything is started.

Knows kinds, times and lengths. Touches nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is done to the daemon or to the world around it."""

    DAEMON_KILLED = "daemon killed (SIGKILL)"
    DAEMON_STOPPED = "daemon stopped and started (SIGTERM)"
    DAEMON_RELOADED = "configuration reloaded (SIGHUP), a station leaves and comes back"
    BROKER_STOPPED = "broker stopped, comes back with its memory"
    BROKER_KILLED = "broker killed, comes back with what it had saved"
    BROKER_FORGOT = "broker killed, comes back without its memory"
    BROKER_HUNG = "broker hangs (SIGSTOP)"
    NETWORK_CUT = "network cut: connections reset, new ones refused"
    NETWORK_HALF_OPEN = "network half-open: packets swallowed, connections never heard of again"
    NETWORK_STALLED = "network stalled: all that was sent arrives late"
    NETWORK_DEAF = "network one-way: what the daemon sends arrives, no answer comes back"
    DISK_FULL = "disk full"
    CLOCK_STEPPED = "clock stepped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    kind: Kind
    at_s: float
    """Seconds since the daemon first monitored; in the short form only those count in which it does."""
    for_s: float
    """How long it lasts."""
    step_s: float = 0.0
    """For the clock: how far off it is from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """Faults of one subject: one after the other, in any order, each kind as often as the others."""

    kinds: tuple[Kind, ...]
    gap_s: tuple[float, float]
    for_s: tuple[float, float]


TRACKS = (
    _Track(
        kinds=(Kind.DAEMON_KILLED, Kind.DAEMON_KILLED, Kind.DAEMON_STOPPED, Kind.DAEMON_RELOADED), gap_s=(40, 120), for_s=(1, 20)
    ),
    _Track(kinds=(Kind.BROKER_STOPPED, Kind.BROKER_KILLED, Kind.BROKER_FORGOT, Kind.BROKER_HUNG), gap_s=(50, 150), for_s=(2, 45)),
    _Track(
        kinds=(Kind.NETWORK_CUT, Kind.NETWORK_HALF_OPEN, Kind.NETWORK_STALLED, Kind.NETWORK_DEAF), gap_s=(40, 120), for_s=(5, 45)
    ),
    _Track(kinds=(Kind.DISK_FULL,), gap_s=(120, 300), for_s=(60, 75)),
    _Track(kinds=(Kind.CLOCK_STEPPED,), gap_s=(60, 180), for_s=(0, 0)),
)
STEPS_S = (0.7, -0.7, 5, -5, 61, -61, 3600, -3600, 86_400, -86_400)
"""How far a clock is set wrong: by a late NTP, by a person, by a time zone, by a day."""
FIRST_S = 15.0
"""Before it: what is on air is told undisturbed."""


def by_chance(seed: int, length_s: float) -> list[Fault]:
    """Return the faults of a run, in order; the same for the same seed and length."""
    chance = random.Random(seed)
    return sorted((fault for track in TRACKS for fault in _of(track, chance, length_s)), key=lambda fault: fault.at_s)


def in_order() -> list[Fault]:
    """Return one of each kind, some at once, in a quarter of a minute of monitoring: the short form."""
    return [
        Fault(kind=Kind.CLOCK_STEPPED, at_s=4.0, for_s=0.0, step_s=-3600.0),
        Fault(kind=Kind.NETWORK_DEAF, at_s=4.2, for_s=1.5),
        Fault(kind=Kind.DISK_FULL, at_s=4.5, for_s=1.5),
        Fault(kind=Kind.DAEMON_RELOADED, at_s=6.0, for_s=0.5),
        Fault(kind=Kind.BROKER_KILLED, at_s=6.2, for_s=0.3),
        Fault(kind=Kind.BROKER_FORGOT, at_s=8.0, for_s=0.3),
        Fault(kind=Kind.DAEMON_KILLED, at_s=8.2, for_s=0.0),
        Fault(kind=Kind.NETWORK_CUT, at_s=8.5, for_s=0.5),
        Fault(kind=Kind.CLOCK_STEPPED, at_s=10.0, for_s=0.0, step_s=86_400.0),
        Fault(kind=Kind.NETWORK_STALLED, at_s=10.5, for_s=1.5),
        Fault(kind=Kind.BROKER_HUNG, at_s=12.5, for_s=1.5),
        Fault(kind=Kind.BROKER_STOPPED, at_s=14.5, for_s=0.3),
        Fault(kind=Kind.DAEMON_STOPPED, at_s=14.7, for_s=0.0),
        Fault(kind=Kind.NETWORK_HALF_OPEN, at_s=15.2, for_s=1.5),
        Fault(kind=Kind.CLOCK_STEPPED, at_s=15.5, for_s=0.0, step_s=0.0),
    ]


def _of(track: _Track, chance: random.Random, length_s: float) -> Iterator[Fault]:
    at_s = FIRST_S
    bag: list[Kind] = []
    step_s = 0.0
    while True:
        at_s += chance.uniform(*track.gap_s)
        for_s = chance.uniform(*track.for_s)
        if at_s + for_s > length_s:
            return
        if not bag:
            bag = list(track.kinds)
            chance.shuffle(bag)
        kind = bag.pop()
        if kind is Kind.CLOCK_STEPPED:
            step_s = chance.choice([other for other in (0.0, *STEPS_S) if other != step_s])
        yield Fault(kind=kind, at_s=round(at_s, 2), for_s=round(for_s, 2), step_s=step_s)
        at_s += for_s
