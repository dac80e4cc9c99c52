"""In blocks it finds who is nearest at once."""

from __future__ import annotations

import pytest
import torch

from monitor.evaluate.nearest import BLOCK, nearest


def unit(rows: int, dim: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("rows", [3, 200, BLOCK + 77])
def test_it_finds_what_a_search_through_all_finds(rows: int) -> None:
    table, queries = unit(rows, 8, 1).half(), unit(5, 8, 2)
    got, numbers = nearest(queries, table, 3)
    expected = (queries @ table.float().T).topk(3, dim=1)
    torch.testing.assert_close(got, expected.values, atol=0.02, rtol=0)
    exact = torch.einsum("qkd,qd->qk", table[numbers].float(), queries)
    torch.testing.assert_close(exact, expected.values, atol=0.01, rtol=0)
    assert (numbers < rows).all()


def test_of_two_rows_it_finds_two() -> None:
    got, numbers = nearest(unit(1, 4, 1), unit(2, 4, 2), 3)
    assert sorted(numbers[0, :2].tolist()) == [0, 1]
    assert got[0, 2] == -9.0
