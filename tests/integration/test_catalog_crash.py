"""Writers killed at any moment leave a catalogue that opens, is whole, and can be gone on with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from monitor.catalog.store import Store
from monitor.catalog.verify import verify
from monitor.catalog.writer import Writer
from monitor.core.recipe import Recipe
from monitor.index import faiss_store

RECIPE = Recipe(name="fake", dim=8)
FILES = 60
ROUNDS = 12

WRITER = """
import sys
from pathlib import Path
import numpy as np
from monitor.catalog.ingest import add
from monitor.catalog.writer import Writer
from monitor.core.recipe import Recipe

recipe = Recipe(name="fake", dim=8)
folder, music, task = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def decode(path):
    yield np.fromfile(path, np.float32)

def encode(windows):
    vectors = windows[:, :8] + 1e-3
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

print("ready", flush=True)
with Writer(folder, recipe, create=True) as store:
    if task == "add":
        add(sorted(music.iterdir()), store, decode, encode, recipe, jobs=2, progress=lambda done: print(done.outcome, flush=True))
    while task == "rebuild":
        store.compact()
        store.remove([entry.reference.id for entry in store.entries()[:-1]][:1])
"""


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for n in range(FILES):
        (np.random.default_rng(n).standard_normal(80_000 + 4000 * n).clip(-1, 1).astype(np.float32)).tofile(folder / f"{n:03}.wav")
    return folder


def start(catalog: Path, music: Path, task: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(catalog), str(music), task], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def kill(child: subprocess.Popen[bytes], after_s: float) -> None:
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def whole(catalog: Path) -> int:
    """Hold the catalogue against the files it was made from; return how many references it has."""
    store = Store(catalog, RECIPE)
    assert [finding.text for finding in verify(store, RECIPE) if not finding.harmless] == []
    library = faiss_store.load(store.table())
    for number, who in store.table().references.items():
        sound = np.pad(np.fromfile(who.path, np.float32), (0, 8000))
        firsts = np.stack([sound[h * 4000 : h * 4000 + 8] for h in range(library.hops(number))]) + 1e-3
        expected = (firsts / np.linalg.norm(firsts, axis=1, keepdims=True)).astype(np.float16)
        np.testing.assert_array_equal(library.fingerprints(number, 0, library.hops(number)), expected)
    return len(store.table().references)


def test_add_killed_again_and_again_is_whole_each_time_and_completes(tmp_path: Path, music: Path) -> None:
    random.seed(1)
    catalog = tmp_path / "catalog"
    counts = []
    for _ in range(ROUNDS):
        kill(start(catalog, music, "add"), random.uniform(0, 0.25))
        if (catalog / "catalog.db").exists() or counts:
            counts.append(whole(catalog))  # or killed before it was made: then it is not there at all, not half there
    assert counts == sorted(counts)
    assert counts[-1] > 0
    child = start(catalog, music, "add")
    told = child.communicate()[0].decode().split()
    assert child.returncode == 0
    assert (told.count("added"), told.count("present")) == (FILES - counts[-1], counts[-1])
    assert whole(catalog) == FILES
    assert [entry.reference.path for entry in sorted(Store(catalog).entries(), key=lambda entry: entry.reference.path)] == [
        str(path) for path in sorted(music.iterdir())
    ]


def test_rebuild_and_remove_killed_again_and_again_lose_only_what_was_removed(tmp_path: Path, music: Path) -> None:
    random.seed(2)
    catalog = tmp_path / "catalog"
    child = start(catalog, music, "add")
    child.communicate()
    for _ in range(6):
        before = {entry.reference.id for entry in Store(catalog).entries()}
        kill(start(catalog, music, "rebuild"), random.uniform(0, 0.15))
        whole(catalog)
        after = sorted(entry.reference.id for entry in Store(catalog).entries())
        assert after == sorted(before)[-len(after) :]  # it removes from the front
        with Writer(catalog, RECIPE) as writer:
            names = {path.name for path in catalog.iterdir()}
            # SQLite may leave a journal that was not begun in earnest; it means nothing and goes with the next change
            assert names - {"catalog.db-journal"} == {"catalog.db", "catalog.lock", writer.rows_path.name}
            assert writer.rows_path.stat().st_size == writer.table().rows * RECIPE.dim * 2


def test_a_change_is_seen_from_another_process_at_once_and_the_look_is_cheap(tmp_path: Path, music: Path) -> None:
    catalog = tmp_path / "catalog"
    Writer(catalog, RECIPE, create=True).close()
    reader = Store(catalog, RECIPE)
    started = time.perf_counter()
    seen = [reader.generation() for _ in range(50)]
    assert (time.perf_counter() - started) / 50 < 0.02
    snapshot = faiss_store.load(reader.table())
    child = start(catalog, music, "add")
    generations = [seen[-1]]
    while child.poll() is None:
        generations.append(reader.generation())
        if generations[-1] != generations[-2]:
            snapshot = faiss_store.load(reader.table(), snapshot)  # a daemon at work while the catalogue grows
            assert snapshot.rows == int(reader.table().hops.sum()) or reader.generation() != snapshot.generation
    child.communicate()
    assert generations == sorted(generations)
    assert len(set(generations)) > 2
    assert reader.generation() >= seen[0] + FILES  # one for each recording, and some for what they share
    assert len(reader.table().references) == FILES


def test_a_killed_writer_lets_the_next_one_in(tmp_path: Path, music: Path) -> None:
    catalog = tmp_path / "catalog"
    child = start(catalog, music, "add")
    os.kill(child.pid, signal.SIGSTOP)
    kill(child, 0)
    Writer(catalog, RECIPE, create=True).close()
