"""Rooms ring as long as they should, and are the same for the same seed."""

from __future__ import annotations

import numpy as np

from monitor.train.loop import TRAINED_ON
from monitor.train.rooms import bank, shoebox


def test_same_seed_same_rooms_and_each_its_own() -> None:
    rooms = bank(3, 4, 8000, 4000)
    assert (rooms.shape, rooms.dtype) == ((4, 4000), np.float32)
    np.testing.assert_array_equal(rooms, bank(3, 4, 8000, 4000))
    assert (rooms != bank(4, 4, 8000, 4000)).any()
    for seed in range(3):  # those of training are none of the evaluation's, whatever a recipe's seed
        trained = bank((seed, TRAINED_ON), 1, 8000, 4000)
        assert all((trained != bank(other, 1, 8000, 4000)).any() for other in range(3))
    assert len({room.tobytes() for room in rooms}) == 4


def test_energy_is_one_and_direct_sound_comes_first() -> None:
    for room in bank(5, 12, 8000, 8000):
        assert np.isfinite(room).all()
        assert abs(float(np.sum(room.astype(float) ** 2)) - 1.0) < 1e-4
        assert room[0] > 0
        assert abs(room[0]) > 0.5 * np.abs(room).max()


def test_rooms_decay() -> None:
    """Every one is quieter late than early, and some ring for long."""
    late_db = []
    for number in range(12):
        room = shoebox(np.random.default_rng(number), 8000, 8000).astype(float)
        energy = np.square(room).reshape(8, 1000).sum(axis=1) + 1e-30
        assert energy[0] > energy[2] > energy[7] or energy[2] < 1e-12
        late_db.append(10 * np.log10(energy[4] / energy[0]))
    assert min(late_db) < -60
    assert max(late_db) > -50


def test_early_decay_is_as_fast_as_the_late_one() -> None:
    """Reflections lose as much a second as the tail does (Schroeder's integral, -1 to -11 and -15 to -35 dB)."""
    ratios = []
    for room in bank(7, 40, 8000, 16000):
        left = np.cumsum(np.square(room[::-1].astype(float)))[::-1]
        level_db = 10 * np.log10(left / left[0] + 1e-12)
        early, late = (np.argmax(level_db <= low) - np.argmax(level_db <= high) for high, low in ((-1, -11), (-15, -35)))
        ratios.append(2 * early / late)
    assert 0.8 < float(np.median(ratios)) < 1.25
