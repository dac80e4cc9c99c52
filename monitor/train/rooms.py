"""Rooms for the degradation chain: impulse responses made by the image-source method.

Knows geometry and absorption (Allen and Berkley, J. Acoust. Soc. Am. 65, 1979): shoebox rooms, one source, one microphone, and a
tail of decaying noise where the images get too dense to count. Nothing random but the generator it is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPEED_OF_SOUND = 343.0
"""Metres a second."""


def shoebox(rng: np.random.Generator, rate_hz: int, length: int, order: int = 8) -> NDArray[np.float32]:
    """Make one room response [length], unit energy, direct sound at sample 0.

    Reverberation time 0.1 to 1.2 s, sides 2.5 to 12 m, distance as it falls.

    Args:
        rng: Where the room is drawn from.
        rate_hz: Sample rate.
        length: Samples to keep.
        order: Reflections counted along each axis before the tail takes over.
    """
    sides = rng.uniform([2.5, 2.5, 2.2], [12.0, 9.0, 4.5])
    source, microphone = rng.uniform(0.15, 0.85, 3) * sides, rng.uniform(0.15, 0.85, 3) * sides
    t60_s = float(np.exp(rng.uniform(np.log(0.1), np.log(1.2))))
    free_path = 4.0 * float(np.prod(sides)) / (2.0 * float(sides[0] * sides[1] + sides[1] * sides[2] + sides[0] * sides[2]))
    reflected = 10.0 ** (-3.0 * free_path / SPEED_OF_SOUND / t60_s)
    """Amplitude left after one reflection, such that the level falls by 60 dB in t60 at one reflection a mean free path (4V/S)."""
    counts = np.stack(np.meshgrid(*[np.arange(-order, order + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    images = np.where(counts % 2 == 0, counts * sides + source, (counts + 1) * sides - source)
    distance = np.linalg.norm(images - microphone, axis=1)
    direct = distance.min()
    when = (distance - direct) / SPEED_OF_SOUND * rate_hz
    gain = (
        direct
        / distance
        * reflected ** np.abs(counts).sum(1)
        * np.where(np.abs(counts).sum(1) == 0, 1.0, rng.choice([-1, 1], len(counts)))
    )
    response = np.zeros(length + 1)
    near = when < length - 1
    whole = when[near].astype(int)
    part = when[near] - whole
    np.add.at(response, whole, gain[near] * (1 - part))
    np.add.at(response, whole + 1, gain[near] * part)
    time_s = np.arange(length) / rate_hz
    mixing_s = 0.9 * order * float(sides.min()) / SPEED_OF_SOUND
    early = response[: max(int(mixing_s * rate_hz), 1)]
    level = np.sqrt(np.mean(early[len(early) // 2 :] ** 2)) / 10.0 ** (-3.0 * 0.75 * mixing_s / t60_s)
    tail = rng.standard_normal(length) * level * 10.0 ** (-3.0 * time_s / t60_s) * (time_s > mixing_s)
    response = response[:length] * (time_s <= mixing_s) + tail
    result: NDArray[np.float32] = (response / np.sqrt(np.sum(response**2))).astype(np.float32)
    return result


def bank(seed: int | tuple[int, ...], count: int, rate_hz: int, length: int) -> NDArray[np.float32]:
    """Make `count` rooms [count, length]; the same seed gives the same rooms, a number others than a number and more."""
    rng = np.random.default_rng(seed)
    return np.stack([shoebox(rng, rate_hz, length) for _ in range(count)])
