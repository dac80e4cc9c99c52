"""Which of several monitors listens to a station.

Knows names and numbers; asks nobody, so all monitors agree without talking. Highest random weight (Thaler and Ravishankar, "Using
name-based mappings to increase hit rates", 1998): each monitor's weight for a name is a hash of both, and the highest has it. When
one more monitor joins n others, it takes one station in n + 1, and no station moves between the others.
"""

from __future__ import annotations

from hashlib import sha256


def shard_of(station: str, count: int) -> int:
    """Return the number, from 0 to count - 1, of the monitor that has a station; the same on every machine and in every version."""
    return max(range(count), key=lambda index: sha256(f"{index}/{station}".encode()).digest())
