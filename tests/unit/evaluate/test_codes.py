"""A longer code keeps more; what there are few of comes back as it was."""

from __future__ import annotations

import pytest
import torch

from monitor.evaluate.codes import Quantiser


def vectors(rows: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, 16, generator=torch.Generator().manual_seed(1)), dim=1)


def test_more_parts_keep_more() -> None:
    rows = vectors(1000)
    kept = [float((Quantiser(rows, parts).through(rows).float() * rows).sum(1).mean()) for parts in (1, 4, 16)]
    assert kept == sorted(kept)
    assert kept[0] < 0.9
    assert kept[-1] > 0.999


@pytest.mark.parametrize("parts", [1, 4])
def test_two_hundred_vectors_have_a_code_each(parts: int) -> None:
    rows = vectors(200)
    torch.testing.assert_close(Quantiser(rows, parts).through(rows).float(), rows, atol=1e-3, rtol=0)


def test_it_learns_from_some_and_codes_others() -> None:
    rows = vectors(3000)
    coded = Quantiser(rows[:1000], 8).through(rows[1000:])
    assert float((coded.float() * rows[1000:]).sum(1).mean()) > 0.95
