from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import faiss
import numpy as np
import pytest

from monitor.index import faiss_store, ivfpq
from monitor.index.faiss_store import build, load, stale
from monitor.messages import Table

TableOf = Callable[..., Table]


def truth(table: Table, queries: np.ndarray, k: int) -> np.ndarray:
    """The rows of the k nearest, by comparing with everything, in float64."""
    vectors = np.fromfile(table.path, np.float16, table.rows * table.dim).reshape(-1, table.dim).astype(np.float64)
    similarities = queries @ vectors.T
    live = np.concatenate([np.arange(s, s + h) for s, h in zip(table.row_starts, table.hops, strict=True)])
    similarities[:, np.setdiff1d(np.arange(table.rows), live)] = -np.inf
    return np.argsort(-similarities, axis=1)[:, :k]


def queries_of(table: Table, rows: list[int], noise: float = 0.05) -> np.ndarray:
    vectors = np.fromfile(table.path, np.float16, table.rows * table.dim).reshape(-1, table.dim)[rows].astype(np.float32)
    noisy = vectors + noise * np.random.default_rng(5).standard_normal(vectors.shape).astype(np.float32)
    return noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed index that trains in a blink; Faiss warns of few training rows on stderr, which is no Python warning."""
    monkeypatch.setattr(ivfpq, "FEWEST_LISTS", 4)
    monkeypatch.setattr(ivfpq, "ROOT_LISTS", 0.1)
    monkeypatch.setattr(ivfpq, "SUB_QUANTISERS", 16)
    monkeypatch.setattr(ivfpq, "PROBES", 4)
    monkeypatch.setattr(faiss_store, "TAIL_ROWS", 50)


def test_new_rows_are_searched_beside_the_old_part_until_they_are_many(table_of: TableOf) -> None:
    first = load(table_of([300, 300]))
    second = load(table_of([300, 300, 40]), first)
    assert second.parts[0] is first.parts[0]
    assert len(second.parts) == 2
    third = load(table_of([300, 300, 40, 100]), second)
    assert len(third.parts) == 1
    for snapshot in (second, third):
        queries = queries_of(snapshot.table, [5, 310, 620])
        np.testing.assert_array_equal(snapshot.search(queries, 7)[1], truth(snapshot.table, queries, 7))


def test_a_part_in_which_something_was_removed_is_not_used_again(table_of: TableOf) -> None:
    first = load(table_of([300, 300, 40]))
    second = load(table_of([300, 300, 40], removed=[1]), first)
    assert second.parts[0] is not first.parts[0]
    similarities, rows = second.search(queries_of(first.table, [310]), 340)
    assert set(second.locate(rows)[0].ravel().tolist()) == {1, 3}
    assert np.isfinite(similarities).all()


def test_another_file_is_loaded_anew(table_of: TableOf) -> None:
    first = load(table_of([300]))
    second = load(table_of([300], number=2), first)
    assert second.parts[0] is not first.parts[0]
    assert second.search(queries_of(second.table, [7]), 1)[1].tolist() == [[7]]


def test_a_large_catalogue_is_trained_once_and_kept_beside_its_fingerprints(table_of: TableOf) -> None:
    table = table_of([300, 300])
    assert stale(table, exact_rows=500)
    first = load(table, exact_rows=500)
    assert first.kind == "ivf4-pq16x4"
    assert (table.path.parent / "index-1.faiss").is_file()
    assert not stale(table, exact_rows=500)
    before = ivfpq.cache_path(table).stat().st_mtime_ns
    again = load(table, exact_rows=500)
    assert ivfpq.cache_path(table).stat().st_mtime_ns == before
    queries = queries_of(table, list(range(0, 600, 10)))
    for one, other in zip(first.search(queries, 10), again.search(queries, 10), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.search(queries, 1)[1][:, 0] == np.arange(0, 600, 10)).mean() > 0.95


def test_a_compressed_index_with_a_tail_and_removals_tells_the_truth(table_of: TableOf) -> None:
    build(table_of([300, 300]))
    table = table_of([300, 300, 200], removed=[0])
    snapshot = load(table, exact_rows=400)
    assert len(snapshot.parts) == 2
    assert snapshot.rows == 500
    similarities, rows = snapshot.search(queries_of(table, [5, 400, 700]), 500)
    assert set(snapshot.locate(rows)[0].ravel().tolist()) <= {2, 3, -1}
    assert rows[1, 0] == 400
    assert rows[2, 0] == 700
    assert (np.diff(similarities[:, :300], axis=1) <= 0).all()
    vectors = np.fromfile(table.path, np.float16, table.rows * table.dim).reshape(-1, table.dim).astype(np.float32)
    expected = np.einsum("nkd,nd->nk", vectors[rows[:, :50]], queries_of(table, [5, 400, 700]))
    np.testing.assert_allclose(similarities[:, :50], expected, atol=1e-5)


def test_a_long_tail_makes_the_index_stale_and_build_is_picked_up(table_of: TableOf) -> None:
    first = load(table_of([300, 300]), exact_rows=500)
    table = table_of([300, 300, 200])
    assert stale(table, exact_rows=500)
    second = load(table, first, exact_rows=500)
    assert second.parts[0] is first.parts[0]
    build(table)
    assert not stale(table, exact_rows=500)
    third = load(replace(table, generation=9), second, exact_rows=500)
    assert len(third.parts) == 1
    assert third.generation == 9


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not json\n", b'{"format": 2, "rows": 600, "dim": 128}\nnot an index'])
def test_a_damaged_index_is_trained_again(table_of: TableOf, content: bytes) -> None:
    table = table_of([300, 300])
    ivfpq.cache_path(table).write_bytes(content)
    assert load(table, exact_rows=500).search(queries_of(table, [7]), 1)[1].tolist() == [[7]]
    assert ivfpq.covered(table) == 600


def test_an_index_left_beside_other_fingerprints_is_not_used(table_of: TableOf) -> None:
    """A benchmark wrote new vectors over a file and found the old index taken for theirs: no query found its row."""
    build(table_of([300, 300], number=2))
    other = table_of([300, 300])
    ivfpq.cache_path(replace(other, path=other.path.with_name("fingerprints-2.f16"))).rename(ivfpq.cache_path(other))
    assert ivfpq.covered(other) == 0
    assert load(other, exact_rows=500).search(queries_of(other, [7]), 1)[1].tolist() == [[7]]


def test_a_kept_index_is_scanned_as_deep_as_is_asked_now(table_of: TableOf, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of([300, 300])
    build(table)
    monkeypatch.setattr(ivfpq, "PROBES", 2)
    _, index = ivfpq.restore(table)
    assert index.nprobe == 2


def test_an_index_that_cannot_be_kept_is_used_all_the_same(table_of: TableOf) -> None:
    table = table_of([300, 300])
    draft = ivfpq.cache_path(table).with_name(f"index-1.faiss.{os.getpid()}")
    draft.mkdir()
    assert load(table, exact_rows=500).kind == "ivf4-pq16x4"
    assert not ivfpq.cache_path(table).exists()


@pytest.mark.parametrize(("rows", "lists"), [(50_001, 256), (430_000, 1024), (1_000_000, 2048), (40_000_000, 8192)])
def test_lists_grow_as_the_root_of_the_rows(rows: int, lists: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ivfpq, "ROOT_LISTS", 1.5)
    assert ivfpq.lists_for(rows) == lists


def test_threads_are_set_in_the_thread_that_searches(table_of: TableOf) -> None:
    before = faiss.omp_get_max_threads()
    try:
        load(table_of([30]), threads=1).search(np.zeros((1, 128), np.float32), 1)
        assert faiss.omp_get_max_threads() == 1
    finally:
        faiss.omp_set_num_threads(before)
