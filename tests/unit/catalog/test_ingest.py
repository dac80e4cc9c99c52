from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.catalog import tags
from monitor.catalog.anew import fingerprint_anew
from monitor.catalog.ingest import FileDone, Outcome, add
from monitor.catalog.scan import scan
from monitor.catalog.store import Store
from monitor.catalog.verify import verify
from monitor.catalog.writer import Writer
from monitor.core.recipe import Recipe
from monitor.errors import CatalogError, NotAudio

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Sound = Callable[..., Path]
Decode = Callable[[Path], Iterator[NDArray[np.float32]]]


class Box:
    """A catalogue folder, the ways into it, and what was told."""

    def __init__(self, folder: Path, recipe: Recipe, decode: Decode, encode: Encode) -> None:
        self.folder, self.recipe, self.decode, self.encode = folder, recipe, decode, encode
        self.decoded: list[Path] = []

    def add(self, *paths: Path, names: Callable[[Path], tags.Names] = tags.read, jobs: int = 2) -> dict[str, FileDone]:
        told: list[FileDone] = []
        with Writer(self.folder, self.recipe, create=True) as writer:
            add(
                list(scan(paths).files),
                writer,
                self._decode,
                self.encode,
                self.recipe,
                jobs=jobs,
                progress=told.append,
                names=names,
            )
        return {done.path.name: done for done in told}

    def _decode(self, path: Path) -> Iterator[NDArray[np.float32]]:
        self.decoded.append(path)
        return self.decode(path)

    def store(self) -> Store:
        return Store(self.folder, self.recipe)


@pytest.fixture
def box(tmp_path: Path, recipe: Recipe, ffmpeg_decode: Decode, encode: Encode) -> Box:
    return Box(tmp_path / "catalog", recipe, ffmpeg_decode, encode)


def test_a_folder_is_added_each_file_with_its_names_and_fingerprints(
    box: Box, sound_file: Callable[..., Path], tmp_path: Path
) -> None:
    sound_file("music/a.flac", 1, 4.0, title="A", artist="X")
    sound_file("music/sub/b.wav", 2, 3.2)
    (tmp_path / "music/cover.jpg").write_bytes(b"picture")
    (tmp_path / "music/.hidden.mp3").write_bytes(b"hidden")
    assert scan([tmp_path / "music", tmp_path / "gone"]).absent == [tmp_path / "gone"]
    assert scan([tmp_path / "music"]).passed_over == {".jpg": 1}
    told = box.add(tmp_path / "music")
    assert {name: done.outcome for name, done in told.items()} == {"a.flac": Outcome.ADDED, "b.wav": Outcome.ADDED}
    by_title = {entry.reference.title: entry for entry in box.store().entries()}
    assert by_title["A"].reference.artist == "X"
    assert by_title["A"].reference.duration_s == 4.0
    assert (by_title["A"].hops, by_title["b"].hops) == (8, 6)
    sound = np.concatenate(list(box.decode(tmp_path / "music/a.flac")))
    windows = np.stack([np.pad(sound, (0, 8000))[h * 4000 : h * 4000 + 8000] for h in range(8)])
    table = box.store().table()
    at = int(by_title["A"].row_start)
    rows = np.fromfile(table.path, np.float16).reshape(-1, 32)[at : at + 8]
    np.testing.assert_array_equal(rows, box.encode(windows).astype(np.float16))


def test_a_second_run_decodes_nothing_and_takes_over_new_names(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    sound_file("music/a.flac", 1, title="A")
    box.add(tmp_path / "music")
    generation = box.store().generation()
    box.decoded.clear()
    assert box.add(tmp_path / "music")["a.flac"].outcome is Outcome.PRESENT
    assert box.store().generation() == generation
    (tmp_path / "music/catalog.csv").write_text("path,title,label\na.flac,B,Big\n")
    sheets = tags.Sheets()
    told = box.add(tmp_path / "music", names=lambda path: tags.read(path, sheets.row(path, tmp_path / "music")))
    assert told["a.flac"].outcome is Outcome.UPDATED
    assert box.decoded == []
    (entry,) = box.store().entries()
    assert (entry.reference.title, entry.reference.custom) == ("B", {"label": "Big"})


def test_copies_are_recognised_by_name_by_bytes_and_by_sound(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    path = sound_file("music/a.flac", 1, title="A")
    box.add(path)
    box.decoded.clear()
    same_bytes = Path(shutil.copy(path, tmp_path / "music/copy.flac"))
    assert box.add(same_bytes)["copy.flac"].outcome is Outcome.PRESENT
    assert box.decoded == []
    retagged = Path(shutil.copy(path, tmp_path / "music/retagged.flac"))
    opened = mutagen.File(retagged)
    opened["title"] = "Another"
    opened.save()
    assert box.add(retagged)["retagged.flac"] == FileDone(path=retagged, outcome=Outcome.PRESENT, reference_id=1, duration_s=4.0)
    assert box.decoded == [retagged]
    box.add(retagged)
    assert box.decoded == [retagged]
    (entry,) = box.store().entries()
    assert entry.reference.title == "A"
    assert box.store().files(1) == [str(path), str(same_bytes), str(retagged)]


def test_two_copies_in_one_run_are_one_recording(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        sound_file(f"music/{name}.wav", 1)
    told = box.add(tmp_path / "music", jobs=3)
    assert sorted(done.outcome for done in told.values()) == ["added", "present", "present"]
    assert len(box.store().entries()) == 1


def test_broken_files_are_refused_with_a_reason_and_the_rest_is_added(
    box: Box, sound_file: Callable[..., Path], tmp_path: Path
) -> None:
    sound_file("music/good.wav", 1)
    sound_file("music/short.wav", 2, 0.3)
    (tmp_path / "music/text.mp3").write_text("this is a shopping list, not a song\n" * 50)
    (tmp_path / "music/empty.flac").touch()
    (tmp_path / "music/loop.ogg").symlink_to(tmp_path / "music/loop.ogg")
    told = box.add(tmp_path / "music")
    refused = {name: done.notes for name, done in told.items() if done.outcome is Outcome.REFUSED}
    assert set(refused) == {"short.wav", "text.mp3", "empty.flac", "loop.ogg"}
    assert all(len(notes) == 1 and notes[0] and "\n" not in notes[0] for notes in refused.values())
    assert [entry.reference.title for entry in box.store().entries()] == ["good"]
    assert not list(verify(box.store(), box.recipe))


def test_a_file_whose_sound_was_replaced_is_told_and_left(box: Box, sound_file: Sound) -> None:
    box.add(sound_file("a.wav", 1))
    (note,) = box.add(sound_file("a.wav", 2, 5.0))["a.wav"].notes
    assert note == "its sound is no longer that of reference 1: `monitor catalog remove 1`, then add it"
    with Writer(box.folder, box.recipe) as writer:
        writer.remove([1])
    assert box.add(sound_file("a.wav", 2, 5.0))["a.wav"].reference_id == 2


def test_encoder_sees_full_batches_across_files_and_each_file_gets_its_own(tmp_path: Path, recipe: Recipe, encode: Encode) -> None:
    """A file of 90 s is 180 windows: 20 of them make 14 batches of 256 and a rest, not 20 padded ones."""
    sizes: list[int] = []

    def decode(path: Path) -> Iterator[NDArray[np.float32]]:
        random = np.random.default_rng(int(path.stem))
        for _ in range(9):
            yield (0.1 * random.standard_normal(80_000)).astype(np.float32)

    def counted(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(windows))
        return np.repeat(windows[:, :1], recipe.dim, axis=1)

    paths = [tmp_path / f"{n}.wav" for n in range(20)]
    for path in paths:
        path.write_bytes(path.name.encode())
    with Writer(tmp_path / "catalog", recipe, create=True) as writer:
        add(paths, writer, decode, counted, recipe, jobs=3, progress=lambda _done: None)
        assert sizes == [256] * 14 + [20 * 180 - 14 * 256]
        rows = np.fromfile(writer.rows_path, np.float16).reshape(-1, recipe.dim)
        for entry in writer.entries():
            sound = np.concatenate(list(decode(Path(entry.reference.path))))
            np.testing.assert_array_equal(rows[entry.row_start : entry.row_start + entry.hops, 0], sound[::4000].astype(np.float16))


def test_an_interrupt_keeps_what_was_done_and_stops_the_decoders(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    for n in range(6):
        sound_file(f"music/{n}.wav", n, 140.0)
    calls = []

    def impatient(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(len(windows))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return np.ones((len(windows), 32), np.float32) / np.sqrt(32, dtype=np.float32)

    box.encode = impatient
    with pytest.raises(KeyboardInterrupt):
        box.add(tmp_path / "music")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode-")]
    done = len(box.store().entries())
    assert 1 <= done < 6
    told = box.add(tmp_path / "music")
    assert sum(one.outcome is Outcome.PRESENT for one in told.values()) == done
    assert len(box.store().entries()) == 6
    assert not list(verify(box.store(), box.recipe))


def test_an_encoder_that_fails_or_returns_nonsense_stores_nothing(box: Box, sound_file: Sound) -> None:
    box.encode = lambda windows: np.full((len(windows), 32), np.nan, np.float32)
    with pytest.raises(ValueError, match="not finite"):
        box.add(sound_file("a.wav", 1))
    assert box.store().entries() == []


def test_a_bug_in_a_decoder_is_not_taken_for_a_broken_file(box: Box, sound_file: Sound) -> None:
    def buggy(path: Path) -> Iterator[NDArray[np.float32]]:
        raise ZeroDivisionError(path)

    box.decode = buggy
    with pytest.raises(ZeroDivisionError):
        box.add(sound_file("a.wav", 1))


def test_a_file_that_breaks_half_way_leaves_nothing_behind(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    whole = box.decode

    def breaking(path: Path) -> Iterator[NDArray[np.float32]]:
        yield from whole(path)
        if path.stem == "bad":
            raise NotAudio(f"{path}: broke off")

    box.decode = breaking
    sound_file("music/bad.wav", 1, 40.0)
    sound_file("music/good.wav", 2, 40.0)
    told = box.add(tmp_path / "music")
    assert told["bad.wav"].notes == ("broke off",)
    assert [entry.reference.title for entry in box.store().entries()] == ["good"]


def test_fingerprinting_anew_keeps_names_and_ids_and_refuses_what_is_gone(
    box: Box, sound_file: Callable[..., Path], tmp_path: Path, encode: Encode
) -> None:
    for n in range(3):
        sound_file(f"music/{n}.wav", n)
    box.add(tmp_path / "music", jobs=1)
    gone = tmp_path / "music/1.wav"
    gone.rename(tmp_path / "elsewhere.wav")
    before = {entry.reference.id: entry for entry in box.store().entries()}
    new = replace(box.recipe, weights_sha256="1" * 64)
    told: list[FileDone] = []
    with Writer(box.folder) as writer:
        fingerprint_anew(writer, box.decode, lambda windows: -encode(windows), new, jobs=2, progress=told.append)
    (refused,) = [done for done in told if done.outcome is Outcome.REFUSED]
    assert refused.path == gone
    assert refused.notes[0].startswith("the file is gone; reference 2 keeps its names")
    box.recipe, box.encode = new, lambda windows: -encode(windows)
    after = {entry.reference.id: entry for entry in box.store().entries()}
    assert {number: entry.reference for number, entry in after.items()} == {
        number: entry.reference for number, entry in before.items()
    }
    assert [after[number].hops for number in (1, 2, 3)] == [8, 0, 8]
    assert set(box.store().table().references) == {1, 3}
    assert [finding.text for finding in verify(box.store(), new)] == [
        f"reference 2 has no fingerprints: {gone} was gone or broken; add it again, or remove it"
    ]
    told_again = box.add(tmp_path / "elsewhere.wav")
    assert told_again["elsewhere.wav"].reference_id == 2
    assert box.store().entry(2).hops == 8
    assert not list(verify(box.store(), new))


def test_fingerprinting_anew_that_is_stopped_changes_nothing(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    box.add(sound_file("a.wav", 1))
    before = (box.store().entries(), box.store().generation(), sorted(path.name for path in box.folder.iterdir()))

    def stopped(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise KeyboardInterrupt

    with Writer(box.folder) as writer, pytest.raises(KeyboardInterrupt):
        fingerprint_anew(
            writer, box.decode, stopped, replace(box.recipe, weights_sha256="1" * 64), jobs=1, progress=lambda _done: None
        )
    assert (box.store().entries(), box.store().generation(), sorted(path.name for path in box.folder.iterdir())) == before


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(box: Box, sound_file: Sound, tmp_path: Path) -> None:
    import resource

    for n in range(4):
        sound_file(f"music/{n}.wav", n, 200.0)  # 400 rows of 64 bytes
    box.add(tmp_path / "music/0.wav")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        with pytest.raises(CatalogError, match=r"no space left for catalogue .*all that was added before is kept"):
            box.add(tmp_path / "music")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = len(box.store().entries())
    assert 1 <= kept < 4
    assert not list(verify(box.store(), box.recipe))
    box.add(tmp_path / "music")
    assert len(box.store().entries()) == 4
