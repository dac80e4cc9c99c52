from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.catalog import schema
from monitor.catalog.store import Store
from monitor.catalog.verify import verify
from monitor.catalog.writer import FileMark, Writer
from monitor.core.recipe import Recipe
from monitor.errors import CatalogError, ForeignFingerprints
from monitor.messages import Reference


def vectors(seed: int, hops: int, dim: int = 32) -> np.ndarray:
    raw = np.random.default_rng(seed).standard_normal((hops, dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)


def put(writer: Writer, seed: int, hops: int = 5) -> int:
    path = f"/music/{seed}.mp3"
    mark = FileMark(path=path, bytes=seed, mtime_ns=seed, sha256=f"{seed:064}", reference_id=0)
    reference = Reference(id=0, path=path, title=f"T{seed}", artist="A", duration_s=hops / 2, custom={"label": "L"})
    return writer.add(reference, f"{seed:064}", vectors(seed, hops), mark)


def rows_of(store: Store) -> dict[int, np.ndarray]:
    table = store.table()
    rows = np.fromfile(table.path, np.float16).reshape(-1, table.dim)
    return {int(n): rows[a : a + h] for n, a, h in zip(table.reference_ids, table.row_starts, table.hops, strict=True)}


def test_what_was_added_is_there_for_readers(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path / "deep/catalog", recipe, create=True) as writer:
        before = writer.generation()
        assert [put(writer, seed, hops=seed) for seed in (3, 4)] == [1, 2]
        store = Store(tmp_path / "deep/catalog", recipe)
        assert store.generation() == before + 2
        np.testing.assert_array_equal(rows_of(store)[2], vectors(4, 4))
        assert store.table().references[1] == Reference(
            id=1, path="/music/3.mp3", title="T3", artist="A", duration_s=1.5, custom={"label": "L"}
        )
        assert [entry.reference.id for entry in store.find("/music/4.mp3") + store.find("1")] == [2, 1]
        assert list(rows_of(store)) == [1, 2]


def test_removing_leaves_a_hole_and_no_number_is_used_twice(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        for seed in (1, 2):
            put(writer, seed)
        writer.remove([2])
        assert put(writer, 3) == 3
        assert writer.table().row_starts.tolist() == [0, 10]
        assert writer.numbers().holes == 5
        old = writer.rows_path
        generation = writer.generation()
        writer.compact()
        assert writer.generation() == generation + 1
        assert not old.exists()
        assert writer.table().row_starts.tolist() == [0, 5]
        np.testing.assert_array_equal(rows_of(writer)[3], vectors(3, 5))
        assert put(writer, 4) == 4
        assert not list(verify_whole(writer, recipe))


def verify_whole(store: Store, recipe: Recipe) -> Iterator[str]:
    return (finding.text for finding in verify(store, recipe) if not finding.harmless and "is gone" not in finding.text)


def test_an_orphan_tail_is_cut_off_by_the_next_writer(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, 1)
        path = writer.rows_path
    with path.open("ab") as file:
        file.write(b"x" * 77)
    (tmp_path / "fingerprints-2.f16").write_bytes(b"half a rebuild")
    findings = list(verify(Store(tmp_path), recipe))
    assert [finding.harmless for finding in findings] == [True, True, False]  # the last: /music/1.mp3 is gone
    with Writer(tmp_path, recipe) as writer:
        assert path.stat().st_size == 5 * 32 * 2
        assert not (tmp_path / "fingerprints-2.f16").exists()
        put(writer, 2)
        np.testing.assert_array_equal(rows_of(writer)[2], vectors(2, 5))


def test_only_one_writer_at_a_time(tmp_path: Path, recipe: Recipe) -> None:
    with (
        Writer(tmp_path, recipe, create=True),
        pytest.raises(CatalogError, match=rf"being changed by another process \(pid {os.getpid()}\): try again"),
    ):
        Writer(tmp_path, recipe)
    Writer(tmp_path, recipe).close()


def test_another_recipe_is_refused_with_what_differs_and_what_to_do(tmp_path: Path, recipe: Recipe) -> None:
    Writer(tmp_path, recipe, create=True).close()
    other = replace(recipe, weights_sha256="1" * 64, fft_samples=512)
    for kind in (Store, Writer):
        with pytest.raises(ForeignFingerprints, match=r"fft_samples: 1024 != 512; weights_sha256: 0+ != 1+.*rebuild --fingerprint"):
            kind(tmp_path, other)
    Store(tmp_path, replace(recipe, name="renamed"))
    Writer(tmp_path, recipe).close()  # the refused one let go of the lock


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40])
def test_what_is_no_catalogue_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CatalogError, match=r"no catalogue in .*: make one with `monitor catalog add"):
        Store(tmp_path)
    with pytest.raises(CatalogError, match="no catalogue in"):
        Writer(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    (tmp_path / schema.DATABASE).write_bytes(content)
    with pytest.raises(CatalogError, match="is damaged"):
        Store(tmp_path)


def test_a_shortened_fingerprint_file_is_told(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, 1)
        path = writer.rows_path
    os.truncate(path, 100)
    assert "holds 100 bytes of 320" in next(verify_whole(Store(tmp_path), recipe))
    with pytest.raises(CatalogError, match=r"holds 100 bytes of 320.*rebuild --fingerprint"):
        Writer(tmp_path, recipe)
    with Writer(tmp_path) as writer, pytest.raises(CatalogError, match="holds 100 bytes"):
        writer.compact()


def test_verify_finds_damaged_fingerprints_and_foreign_recipes(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        put(writer, 1)
        put(writer, 2)
        path = writer.rows_path
    with path.open("r+b") as file:
        file.seek(5 * 64)
        file.write(np.full(32, np.nan, np.float16).tobytes())
    with sqlite3.connect(tmp_path / schema.DATABASE) as connection:
        connection.execute("UPDATE reference SET hops = 9 WHERE id = 2")
    connection.close()
    text = "\n".join(verify_whole(Store(tmp_path), replace(recipe, dim=64)))
    parts = (
        "another encoder (dim: 32 != 64)",
        "reference 2: rows 5 to 14 are beyond the 10",
        "reference 2: 1 fingerprints are damaged",
    )
    for part in parts:
        assert part in text


def test_a_journal_left_by_a_killed_commit_is_played_back_by_the_first_reader(tmp_path: Path, recipe: Recipe) -> None:
    with Writer(tmp_path, recipe, create=True) as writer:
        for seed in range(40):
            put(writer, seed)
        generation = writer.generation()
    killed = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.executescript('PRAGMA cache_size=1; BEGIN')\n"
        "c.execute('UPDATE meta SET value = 999')\n"
        "c.execute('UPDATE reference SET title = hex(zeroblob(3000))')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / schema.DATABASE)], check=False)
    journal = tmp_path / f"{schema.DATABASE}-journal"
    assert journal.stat().st_size > 512
    store = Store(tmp_path, recipe)
    assert store.generation() == generation
    assert store.entry(1).reference.title == "T0"
    assert not journal.exists()


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of the caller's, and from `drop` on no rights to it: tests in a container run as root, who may write anywhere."""
    folder = Path(tempfile.mkdtemp(prefix="catalog-"))
    folder.chmod(0o755)
    root = os.geteuid() == 0
    yield folder
    if root:
        os.seteuid(0)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_read_and_its_change_refused(as_nobody: Path, recipe: Recipe) -> None:
    with Writer(as_nobody, recipe, create=True) as writer:
        put(writer, 1)
    for path in as_nobody.iterdir():
        path.chmod(0o444)
    as_nobody.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    assert list(rows_of(Store(as_nobody, recipe))) == [1]
    with pytest.raises(CatalogError, match=r"not writable .*: check the folder's owner"):
        Writer(as_nobody, recipe)
    with pytest.raises(CatalogError, match=r"not writable"):
        Writer(as_nobody / "new", recipe, create=True)
