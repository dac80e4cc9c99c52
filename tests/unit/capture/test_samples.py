"""What is no sound becomes silence, and is counted."""

from __future__ import annotations

import numpy as np

from monitor.capture.samples import to_samples


def test_damaged_floats_become_silence() -> None:
    data = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -9.0, -0.5], "<f4").tobytes()
    samples, bad = to_samples(data + b"\x01\x02")
    np.testing.assert_array_equal(samples, np.array([0.5, 0, 0, 0, 0, 0, -0.5], np.float32))
    assert bad == 5


def test_loud_and_quiet_sound_is_untouched() -> None:
    for level in (1.9, 1e-6, 0.0):
        sound = np.full(2000, level, "<f4")
        samples, bad = to_samples(sound.tobytes())
        np.testing.assert_array_equal(samples, sound)
        assert bad == 0
    assert to_samples(b"")[0].size == 0
