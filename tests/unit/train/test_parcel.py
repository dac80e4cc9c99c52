"""What is unpacked lies where it was packed and sounds alike; bags may come one by one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from monitor.train import parcel
from monitor.train.data import open_split
from tests.unit.train.clips import pack_clips

NAMES = ("train-music", "train-speech", "train-ir")


def alike(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(float), other.astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("size", [1, 480, 20_000])
def test_samples_come_back_in_their_places(size: int, tmp_path: Path) -> None:
    opus = parcel._library(tmp_path)
    sound = (6000 * np.sin(np.arange(size) ** 1.3 / 40)).astype(np.int16)
    packets = parcel.encoded(opus, sound)
    got = parcel.decoded(opus, packets, size)
    assert len(got) == size
    if size > 1000:
        assert len(packets) < size / 4
        assert alike(sound, got) > 0.9
        assert alike(sound[:-1], got[1:]) < alike(sound, got) > alike(sound[1:], got[:-1])


def test_a_parcel_fills_an_empty_cache_bag_by_bag(tmp_path: Path) -> None:
    pack_clips(tmp_path / "cache")
    made, there = tmp_path / "parcel", tmp_path / "there"
    parcel.pack(tmp_path / "cache", made, NAMES, megabytes=0.05, jobs=2, say=lambda _: None)
    bags = sorted(path for path in made.iterdir() if path.is_dir())
    assert len(bags) > 1
    assert all(sum(file.stat().st_size for file in bag.iterdir()) <= 50_000 or len(list(bag.iterdir())) == 1 for bag in bags)
    unfinished: list[list[str]] = []
    for bag in bags:
        carried = tmp_path / "carried"
        shutil.rmtree(carried, ignore_errors=True)
        shutil.copytree(bag, carried / bag.name)
        unfinished.append(parcel.unpack(carried, there, 2, lambda _: None))
    assert unfinished[-1] == []
    for name in NAMES:
        split, kind = name.split("-")
        before, after = open_split(tmp_path / "cache", split, kind), open_split(there, split, kind)
        assert after.paths == before.paths
        after.check(name)  # it carried the checksums from before the coding, and training refused it
        assert len(after.pcm) == len(before.pcm)
        if kind == "ir":
            np.testing.assert_array_equal(after.pcm, before.pcm)
        else:
            assert alike(before.pcm, after.pcm) > 2 * alike(before.pcm[:-1], after.pcm[1:])
            assert alike(before.pcm, after.pcm) > 0.3  # white noise at 12 kbit/s; in its place all the same
