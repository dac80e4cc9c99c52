"""Every half is the same number in single precision."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.halves import FEW, single


@pytest.mark.parametrize("count", [1 << 16, FEW - 1])
def test_every_finite_half_is_the_same_number(count: int) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)][:count]
    singles = single(halves)
    assert singles.dtype == np.float32
    np.testing.assert_array_equal(singles, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(singles), np.signbit(halves))


def test_shapes_and_gaps_do_not_matter() -> None:
    halves = np.random.default_rng(1).standard_normal((50, 60, 8)).astype(np.float16)
    for some in (halves, halves[::2], halves[:, ::-1], halves.swapaxes(0, 1), halves[..., :5]):
        np.testing.assert_array_equal(single(some), some.astype(np.float32))
