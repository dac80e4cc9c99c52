"""Classifying, decoding and packing of training audio, on files made here."""

import contextlib
import fcntl
import json
import queue
import tarfile
import tempfile
import wave
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from monitor.train import data, fetch
from monitor.train.data import DataDamaged, DataMissing, open_split, pack, prepare
from monitor.train.decode import decode
from monitor.train.disk import DiskFull
from monitor.train.fetch import FetchError, Package, find_download, read_manifest, read_queen_bundle, unpack
from monitor.train.kinds import kind_of_length, kind_of_path


def tone(seconds: float, frequency_hz: float) -> np.ndarray:
    time_s = np.arange(int(seconds * 8000)) / 8000
    return (8000 * np.sin(2 * np.pi * frequency_hz * time_s)).astype("<i2")


def write_wav(path: Path, pcm: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(pcm.tobytes())


@pytest.mark.parametrize(
    ("package", "path", "held", "kind"),
    [
        ("flobopuyo", "usr/share/games/sfx/menu.XM", {"tracker"}, "tracker"),
        ("ri-li-data", "usr/share/language.It", {"music"}, None),
        ("supertux-data", "usr/share/supertux2/speech/tux.ogg", {"music", "speech", "noise"}, "speech"),
        ("supertuxkart-data", "usr/share/data/music/cocoa_river.ogg", {"music", "speech", "noise"}, None),
        ("megaglest-data", "usr/share/megaglest/tilesets/winter/sounds/wind.wav", {"music", "noise"}, "noise"),
        ("krank", "usr/share/krank/sounds/water/drop.wav", {"noise", "sfx"}, "noise"),
        ("dustracing2d-data", "usr/share/sounds/bell.ogg", {"noise", "sfx"}, None),
        ("npm:tunajs", "package/impulses/hall.wav", {"ir"}, "ir"),
        ("npm:tunajs", "package/tests/song.wav", {"ir"}, None),
    ],
)
def test_path_tells_kind(package, path, held, kind):
    assert kind_of_path(package, path, held) == kind


def test_length_tells_music_only_where_there_is_some():
    assert kind_of_length(30.0, {"music", "noise"}) == "music"
    assert kind_of_length(29.9, {"music"}) is None
    assert kind_of_length(300.0, {"noise"}) is None


def test_manifest_keeps_each_package_in_one_split():
    rows = read_manifest()
    assert {row.kind for row in rows} == {"music", "tracker", "midi", "speech", "noise", "ir", "sfx"}
    splits = {row.name: row.split for row in rows}
    assert all(splits[row.name] == row.split for row in rows)


def test_download_is_found_by_whole_name(tmp_path):
    names = ("gltron_0.70-1_amd64.deb", "a-b-1.0.tgz", "a-b-c-1.0.tgz", "Disco_Sound-0.2-py3-none-any.whl", "silero_vad-6-py3.whl")
    for name in names:
        (tmp_path / name).touch()
    assert find_download(tmp_path, "gltron") == tmp_path / names[0]
    assert find_download(tmp_path, "npm:a-b") == tmp_path / names[1]
    assert find_download(tmp_path, "pypi:disco-sound") == tmp_path / names[3]
    assert find_download(tmp_path, "pypi:silero-vad") is None, "its wheel holds no audio"
    assert find_download(tmp_path, "glt") is None


def test_nested_archives_become_folders(tmp_path):
    inner = tmp_path / "data.pk3"
    with zipfile.ZipFile(inner, "w") as zipped:
        zipped.writestr("sound/../../a.ogg", b"a")
        zipped.writestr("texture.png", b"b")
    outer = tmp_path / "thing-1.0.zip"
    with zipfile.ZipFile(outer, "w") as zipped:
        zipped.write(inner, "base/data.pk3")
    unpack(outer, tmp_path / "thing")
    files = [path.relative_to(tmp_path / "thing").as_posix() for path in (tmp_path / "thing").rglob("*") if path.is_file()]
    assert files == ["base/data.pk3/sound/a.ogg"]


@pytest.mark.parametrize("name", ["half-1.0-py3-none-any.whl", "half-1.0.tgz"])
def test_an_archive_that_came_half_is_fetched_anew(tmp_path, name):
    """It lay there for good: each call found it present, failed to unpack it and left the package out."""
    archive = tmp_path / name
    content = np.random.default_rng(1).bytes(50_000)
    if name.endswith(".whl"):
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("a/music.ogg", content)
    else:
        (tmp_path / "music.ogg").write_bytes(content)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(tmp_path / "music.ogg", "package/music.ogg")
    archive.write_bytes(archive.read_bytes()[:30_000])
    with pytest.raises(FetchError, match="damaged"):
        unpack(archive, tmp_path / "unpacked")
    assert not archive.exists()
    assert not (tmp_path / "unpacked").exists()


def test_damaged_archive_leaves_nothing(tmp_path):
    archive = tmp_path / "thing-1.0.zip"
    archive.write_bytes(b"no zip")
    with pytest.raises(FetchError, match=r"thing-1\.0\.zip"):
        unpack(archive, tmp_path / "thing")
    assert not list(tmp_path.iterdir())


def test_queen_bundle_yields_its_voices():
    def entry(name: bytes, offset: int, size: int) -> bytes:
        return name.ljust(12, b"\0") + b"\1" + offset.to_bytes(4, "big") + size.to_bytes(4, "big")

    table = entry(b"JOE1.SB", 57, 3) + entry(b"ROOM.PCX", 60, 2)
    assert list(read_queen_bundle(b"Q" * 15 + table + b"mp3px")) == [("JOE1.SB", b"mp3")]


def test_decoding_gives_the_same_samples_and_nothing_for_rubbish(tmp_path):
    pcm = tone(0.5, 440)
    write_wav(tmp_path / "a.wav", pcm)
    (tmp_path / "b.ogg").write_bytes(b"rubbish")
    decoded = list(decode([tmp_path / "a.wav", tmp_path / "b.ogg"]))
    np.testing.assert_array_equal(decoded[0][1], pcm)
    assert len(decoded[1][1]) == 0


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with two unpacked packages of one split, and a third that cannot be fetched."""

    def row(name: str, kind: str) -> Package:
        return Package(name=name, kind=kind, split="train", tracks=1, hours=0.1, license="CC0")

    rows = [row("one", "music"), row("one", "speech"), row("two", "speech"), row("gone", "speech")]
    monkeypatch.setattr(data, "read_manifest", lambda: rows)
    monkeypatch.setattr(fetch, "_fetch_command", lambda name: ["false", name])
    write_wav(tmp_path / "unpacked/one/long.wav", tone(31, 300))
    write_wav(tmp_path / "unpacked/one/effect.wav", tone(5, 300))
    write_wav(tmp_path / "unpacked/one/voice/word.wav", tone(1, 200))
    write_wav(tmp_path / "unpacked/two/same.wav", tone(1, 200))
    write_wav(tmp_path / "unpacked/two/other.wav", tone(2, 250))
    write_wav(tmp_path / "unpacked/two/short.wav", tone(0.2, 200))
    write_wav(tmp_path / "unpacked/two/silent.wav", np.zeros(8000, "<i2"))
    return tmp_path


def test_prepare_packs_what_is_worth_keeping_once(cache):
    told: list[str] = []
    prepare(cache, ["train"], ["music", "speech"], 2, told.append)

    music, speech = open_split(cache, "train", "music"), open_split(cache, "train", "speech")
    assert music.paths == ["unpacked/one/long.wav"]
    assert speech.paths == ["unpacked/one/voice/word.wav", "unpacked/two/other.wav"]
    assert speech.packages == ["one", "two"]
    assert speech.start.tolist() == [0, 8000]
    assert speech.length.tolist() == [8000, 16000]
    assert len(speech) == 2
    np.testing.assert_array_equal(speech.pcm[8000:], tone(2, 250))
    assert sum(line.startswith("left out: gone") for line in told) == 1


def test_prepare_waits_for_another_that_writes_the_same_files(cache):
    told: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        with (cache / "lock").open("w") as claim:
            fcntl.flock(claim, fcntl.LOCK_EX)
            waiting = pool.submit(prepare, cache, ["train"], ["music"], 1, told.put)
            assert told.get(timeout=30) == f"waiting: another process prepares audio in {cache}"
            assert not (cache / "pcm").exists()
        waiting.result(timeout=60)
    assert len(open_split(cache, "train", "music")) == 1


def test_a_full_disk_is_told_and_nothing_is_packed_short(cache, monkeypatch, tmp_path):
    """ffmpeg leaves a short file behind then, which was taken for the whole recording."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "0.i16").symlink_to("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_: contextlib.nullcontext(str(full)))
    with pytest.raises(DiskFull, match="the disk is full: make room"):
        prepare(cache, ["train"], ["music"], 1, lambda _: None)
    with pytest.raises(DataMissing):
        open_split(cache, "train", "music")


def test_finished_packages_are_not_decoded_again(cache, monkeypatch):
    prepare(cache, ["train"], ["music", "speech"], 1, lambda _: None)
    before = (cache / "pcm/train-speech.json").read_text()
    monkeypatch.setattr(data, "decode", lambda paths: pytest.fail(f"decoded {paths}"))
    prepare(cache, ["train"], ["music", "speech"], 1, lambda _: None)
    assert (cache / "pcm/train-speech.json").read_text() == before


def test_newer_rules_decode_again(cache, monkeypatch):
    prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    monkeypatch.setattr(data, "RULES", data.RULES + 1)
    write_wav(cache / "unpacked/two/new.wav", tone(3, 350))
    prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    assert "unpacked/two/new.wav" in open_split(cache, "train", "speech").paths


def test_nothing_at_all_is_an_error(cache):
    with pytest.raises(DataMissing, match="no clip of noise"):
        prepare(cache, ["train"], ["noise"], 1, lambda _: None)


def test_missing_and_torn_packs_are_refused(cache):
    with pytest.raises(DataMissing, match="prepare train speech first"):
        open_split(cache, "train", "speech")
    prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    with (cache / "pcm/train-speech.i16").open("ab") as file:
        file.write(b"\0\0")
    with pytest.raises(DataMissing, match="does not fit"):
        open_split(cache, "train", "speech")


def test_what_was_damaged_on_disk_is_named_and_decoded_anew(cache):
    prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    open_split(cache, "train", "speech").check("train speech")
    packed, part = cache / "pcm/train-speech.i16", cache / "pcm/parts/two.speech.i16"
    for damaged, at in ((packed, -1000), (part, 1000)):
        with damaged.open("r+b") as file:
            file.seek(at, 2 if at < 0 else 0)
            file.write(b"damaged")
    with pytest.raises(DataMissing, match=r"train speech is damaged \(unpacked/two/other.wav\): run `monitor train --fetch-only`"):
        open_split(cache, "train", "speech").check("train speech")
    with pytest.raises(DataDamaged, match=r"was damaged .* run the same command again, to decode it anew"):
        prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    prepare(cache, ["train"], ["speech"], 1, lambda _: None)
    open_split(cache, "train", "speech").check("train speech")


def test_empty_pack_opens(tmp_path):
    assert pack(tmp_path, "train", "ir", ["nobody"]) == []
    assert len(open_split(tmp_path, "train", "ir")) == 0
    assert json.loads((tmp_path / "pcm/train-ir.json").read_text()) == []
