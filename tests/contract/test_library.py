"""What the matcher may rely on, whatever kind of index searches, however the catalogue came to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.catalog.store import Store
from monitor.catalog.writer import FileMark, Writer
from monitor.core.alignment import stored
from monitor.core.recipe import Recipe
from monitor.index import faiss_store, ivfpq
from monitor.messages import Reference
from monitor.pipeline.ports import Library
from tests.unit.core.stories import Shelf

RECIPE = Recipe(name="fake")
HOPS = (40, 70, 30, 90)


def fingerprints(seed: int, hops: int) -> np.ndarray:
    raw = np.random.default_rng(seed).standard_normal((hops, RECIPE.dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)


def fill(folder: Path) -> Iterator[Store]:
    """References 1 to 5, of which 2 is removed in the middle; a look after each part of the work."""
    with Writer(folder, RECIPE, create=True) as writer:
        for seed, hops in enumerate((*HOPS, 25), start=1):
            mark = FileMark(path=f"/{seed}", bytes=1, mtime_ns=1, sha256=str(seed), reference_id=0)
            writer.add(
                Reference(id=0, path=f"/{seed}", title=f"T{seed}", duration_s=hops / 2), str(seed), fingerprints(seed, hops), mark
            )
            if seed >= 4:
                yield writer
        writer.remove([2])
        yield writer


def exact(folder: Path) -> Library:
    return faiss_store.load([store.table() for store in fill(folder)][-1])


def exact_step_by_step(folder: Path) -> Library:
    snapshot = None
    for store in fill(folder):
        snapshot = faiss_store.load(store.table(), snapshot)
    assert snapshot is not None
    return snapshot


def compressed(folder: Path) -> Library:
    return faiss_store.load([store.table() for store in fill(folder)][-1], exact_rows=0)


def compressed_step_by_step(folder: Path) -> Library:
    snapshot = None
    for store in fill(folder):
        snapshot = faiss_store.load(store.table(), snapshot, exact_rows=0)
    assert snapshot is not None
    assert len(snapshot.parts) == 2
    return snapshot


def shelf(_folder: Path) -> Library:
    """Return the fake that tests of the tracker and of the pipeline stand on."""
    held = {number: fingerprints(number, hops).astype(np.float32) for number, hops in ((1, 40), (3, 30), (4, 90), (5, 25))}
    return Shelf(held, generation=7)


@pytest.fixture(params=[shelf, exact, exact_step_by_step, compressed, compressed_step_by_step])
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(ivfpq, "FEWEST_LISTS", 2)
    make: Callable[[Path], Library] = request.param
    return make(tmp_path)


def test_a_fingerprint_finds_itself(library: Library) -> None:
    for number, hops in ((1, 40), (3, 30), (4, 90), (5, 25)):
        similarities, rows = library.search(fingerprints(number, hops).astype(np.float32), 1)
        ids, places = library.locate(rows)
        assert set(ids.ravel().tolist()) == {number}
        assert places.ravel().tolist() == list(range(hops))
        np.testing.assert_allclose(similarities, 1, atol=2e-3)


def test_shapes_types_and_order(library: Library) -> None:
    queries = fingerprints(9, 6).astype(np.float32)
    similarities, rows = library.search(queries, 8)
    assert (similarities.shape, rows.shape) == ((6, 8), (6, 8))
    assert (similarities.dtype, rows.dtype) == (np.float32, np.int64)
    assert (np.diff(similarities, axis=1) <= 0).all()
    ids, hops = library.locate(rows)
    assert (ids.shape, hops.shape, ids.dtype, hops.dtype) == ((6, 8), (6, 8), np.int64, np.int64)
    for query, similarity, number, hop in zip(queries.repeat(8, 0), similarities.ravel(), ids.ravel(), hops.ravel(), strict=True):
        stored = library.fingerprints(int(number), int(hop), int(hop) + 1)[0]
        assert similarity == pytest.approx(float(stored @ query), abs=1e-5)


def test_a_removed_reference_never_comes_out(library: Library) -> None:
    _similarities, rows = library.search(fingerprints(2, 70).astype(np.float32), 185)
    ids, _hops = library.locate(rows)
    assert set(ids.ravel().tolist()) <= {1, 3, 4, 5, -1}
    assert library.hops(2) == 0
    assert library.rows == 185
    with pytest.raises(KeyError):
        library.fingerprints(2, 0, 0)


def test_more_neighbours_than_rows(library: Library) -> None:
    similarities, rows = library.search(fingerprints(3, 2).astype(np.float32), 300)
    assert rows.shape == (2, 300)
    assert (rows[:, 185:] == -1).all()
    assert np.isneginf(similarities[rows == -1]).all()
    assert (library.locate(rows)[0][rows == -1] == -1).all()
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in rows)


def test_stored_vectors_and_names(library: Library) -> None:
    assert library.hops(4) == 90
    stored = library.fingerprints(4, 10, 20)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, fingerprints(4, 90)[10:20].astype(np.float32))
    assert library.fingerprints(4, 5, 5).shape == (0, RECIPE.dim)
    assert library.reference(4) == Reference(id=4, path="/4", title="T4", duration_s=45.0)
    assert library.generation == 7


def test_stretches_are_zero_outside_their_reference(library: Library) -> None:
    asked = [(4, 10), (3, -3), (5, 21), (1, -90), (4, 200), (4, 81)]
    for some in (asked, asked[:1]):
        found = library.stretches([who for who, _ in some], [start for _, start in some], 9)
        assert (found.shape, found.dtype) == ((len(some), 9, RECIPE.dim), np.float32)
        for rows, (who, start) in zip(found, some, strict=True):
            np.testing.assert_array_equal(rows, stored(library, who, start, 9))
    with pytest.raises(KeyError):
        library.stretches([1, 2], [0, 0], 9)


def test_an_empty_catalogue_finds_nothing(tmp_path: Path) -> None:
    with Writer(tmp_path, RECIPE, create=True) as writer:
        library: Library = faiss_store.load(writer.table())
    similarities, rows = library.search(fingerprints(1, 3).astype(np.float32), 4)
    assert rows.tolist() == [[-1] * 4] * 3
    assert np.isneginf(similarities).all()
    assert library.locate(rows)[0].tolist() == [[-1] * 4] * 3
    assert library.rows == 0


def test_short_references_are_counted(library: Library) -> None:
    assert [library.shorter(hops) for hops in (24, 25, 30, 90)] == [0, 1, 2, 4]
