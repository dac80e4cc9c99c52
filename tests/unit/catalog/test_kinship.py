"""What recordings share is found when they enter the catalogue, kept from both sides, and forgotten with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.catalog import kinship, schema
from monitor.catalog.store import Store
from monitor.catalog.writer import FileMark, Writer
from monitor.core.kinship import STEP
from monitor.core.recipe import Recipe
from monitor.errors import CatalogError
from monitor.messages import Kinship, Reference


def sound(seed: int, hops: int, dim: int = 32) -> np.ndarray:
    raw = np.random.default_rng(seed).standard_normal((hops, dim))
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def put(writer: Writer, name: str, vectors: np.ndarray) -> int:
    mark = FileMark(path=name, bytes=1, mtime_ns=1, sha256=name, reference_id=0)
    return writer.add(Reference(id=0, path=name, duration_s=len(vectors) / 2), name, vectors.astype(np.float16), mark)


def again(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Master it again: a similarity of 0.9."""
    noise = sound(seed, len(vectors))
    noise -= np.einsum("nd,nd->n", noise, vectors)[:, None] * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return 0.9 * vectors + (1 - 0.9**2) ** 0.5 * noise


SONG = sound(1, 60)


def test_a_re_issue_an_edit_and_a_shared_bed_are_found(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, "song", SONG)
        put(writer, "other", sound(2, 50))
        assert kinship.compare(writer) == 2
        assert writer.kin() == {}
        put(writer, "re-issue", again(SONG, 3))
        put(writer, "edit", np.concatenate([SONG[:20], SONG[40:]]))
        put(writer, "bed under it", np.concatenate([sound(4, 10), SONG[30:40], sound(5, 10)]))
        assert kinship.compare(writer) == 3
        kin = writer.kin()
    assert kin[1] == (
        Kinship(start=0, stop=60, other_id=3, other_start=0),
        Kinship(start=0, stop=20, other_id=4, other_start=0),
        Kinship(start=30, stop=40, other_id=5, other_start=10),
        Kinship(start=40, stop=60, other_id=4, other_start=20),
    )
    assert kin[5] == (
        Kinship(start=10, stop=20, other_id=1, other_start=30),
        Kinship(start=10, stop=20, other_id=3, other_start=30),
    )
    assert 2 not in kin
    assert Store(tmp_path, recipe).table().kin == kin


def test_a_loop_shares_each_place_once(tmp_path: Path, recipe: Recipe) -> None:
    """Every turn of a loop fits every other; what is kept is the whole of it."""
    loop = np.tile(sound(6, 8), (10, 1))
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, "one", loop)
        put(writer, "two", np.concatenate([loop, sound(7, 20)]))
        kinship.compare(writer)
        assert writer.kin()[1] == (Kinship(start=0, stop=80, other_id=2, other_start=0),)


class Interrupted(Writer):
    """Is stopped before it keeps a second portion."""

    portions = 0

    def keep_kin(self, found: Mapping[int, Sequence[Kinship]]) -> None:
        if self.portions:
            raise KeyboardInterrupt
        self.portions += 1
        super().keep_kin(found)


def test_many_are_compared_in_portions_and_an_interruption_costs_one(tmp_path: Path, recipe: Recipe) -> None:
    hops = kinship.QUERIES * STEP // 3 + 10
    pieces = [sound(20 + at, hops) for at in range(7)]
    with Interrupted(tmp_path, recipe, create=True) as writer:
        for at, piece in enumerate([*pieces, pieces[4]]):
            put(writer, str(at), piece)
        with pytest.raises(KeyboardInterrupt):
            kinship.compare(writer)
        assert writer.uncompared() == [4, 5, 6, 7, 8]
    with Writer(tmp_path, recipe) as writer:
        assert kinship.compare(writer) == 5
        assert {number: [one.other_id for one in kin] for number, kin in writer.kin().items()} == {5: [8], 8: [5]}


def test_what_is_removed_or_made_anew_is_forgotten(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        for name in ("one", "two", "three"):
            put(writer, name, SONG)
        kinship.compare(writer)
        writer.remove([2])
        assert {number: [one.other_id for one in kin] for number, kin in writer.kin().items()} == {1: [3], 3: [1]}
        assert writer.uncompared() == []
        writer.compact()
        assert (writer.kin(), writer.uncompared()) == ({}, [1, 3])
        kinship.compare(writer)
        assert sorted(writer.kin()) == [1, 3]


def test_a_catalogue_of_layout_1_is_read_as_it_is_and_brought_up_by_a_writer(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, "one", SONG)
        put(writer, "two", SONG)
    database = sqlite3.connect(tmp_path / schema.DATABASE)
    database.executescript(
        "DROP TABLE kin; ALTER TABLE reference DROP COLUMN compared; UPDATE meta SET value = '1' WHERE key = 'schema'"
    )
    database.close()
    store = Store(tmp_path, recipe)
    assert (store.table().kin, store.uncompared()) == ({}, [1, 2])
    with Writer(tmp_path, recipe) as writer:
        assert kinship.compare(writer) == 2
        assert sorted(store.kin()) == [1, 2]
    database = sqlite3.connect(tmp_path / schema.DATABASE)
    database.executescript("UPDATE meta SET value = '3' WHERE key = 'schema'")
    database.close()
    with pytest.raises(CatalogError, match="layout 3"):
        Store(tmp_path, recipe)
