"""What has been through a codec lies where the original lies, to the sample; a bank is taken up where it was left."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from monitor.train.codecs import CODECS, aligned, bank_path, coded, delay, make_bank, open_banks
from monitor.train.data import Clip, open_split

RATE = 22_050


def write(path: Path, seconds: float, seed: int) -> np.ndarray:
    """Write noise under 3 kHz with a swelling level, at a rate that is none of the codecs' own."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal(int(seconds * RATE)))
    spectrum[np.fft.rfftfreq(int(seconds * RATE), 1 / RATE) > 3000] = 0
    sound = np.fft.irfft(spectrum, int(seconds * RATE)) * (1.2 + np.sin(np.arange(int(seconds * RATE)) / 3000))
    pcm = (9000 * sound / np.abs(sound).max()).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())
    return pcm


def alike(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(float), other.astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("behind", [-300, 0, 7, 1105])
def test_a_delay_is_measured_and_taken_off(behind: int) -> None:
    original = np.random.default_rng(1).integers(-9000, 9000, 20_000).astype(np.int16)
    late = np.concatenate([np.zeros(behind, np.int16), original]) if behind > 0 else original[-behind:]
    assert delay(original, late) == behind
    got = aligned(original, late)
    assert len(got) == len(original)
    inside = slice(max(-behind, 0), len(original))
    np.testing.assert_array_equal(got[inside], original[inside])


@pytest.mark.parametrize("codec", ["mp3-24", "aac-48", "opus-16"])
def test_each_kind_of_codec_is_brought_back_to_its_place(codec: str, tmp_path: Path, need: Callable[[str], str]) -> None:
    need("ffmpeg")
    from monitor.train.decode import decode

    write(tmp_path / "a.wav", 4.0, 1)
    original = next(decode([tmp_path / "a.wav"]))[1]
    got = aligned(original, coded(tmp_path / "a.wav", codec))
    assert len(got) == len(original)
    assert delay(original, got) == 0
    assert 0.5 < alike(original, got) < 0.99999


def test_a_part_begins_where_it_is_asked_to(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("ffmpeg")
    from monitor.train.decode import decode

    write(tmp_path / "a.wav", 6.0, 2)
    original = next(decode([tmp_path / "a.wav"]))[1]
    part = coded(tmp_path / "a.wav", "mp3-128", start_s=2.0, length_s=3.0)
    assert abs(delay(original[16_000:40_000], part)) < 40
    assert len(coded(tmp_path / "missing.wav", "mp3-128")) == 0


def test_a_bank_lies_beside_the_originals_and_is_taken_up_again(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("ffmpeg")
    from monitor.train.decode import decode

    (tmp_path / "pcm").mkdir()
    packed, clips = [], []
    for number in range(3):
        path = tmp_path / "unpacked" / f"{number}.wav"
        write(path, 1.5, number)
        pcm = next(decode([path]))[1]
        start = sum(len(one) for one in packed)
        clips.append(asdict(Clip(package="p", path=f"unpacked/{number}.wav", start=start, length=len(pcm), sha256="")))
        packed.append(pcm)
    np.concatenate(packed).tofile(tmp_path / "pcm" / "train-music.i16")
    (tmp_path / "pcm" / "train-music.json").write_text(json.dumps(clips))
    music = open_split(tmp_path, "train", "music")
    assert open_banks(tmp_path, music) == []

    make_bank(tmp_path, 0, lambda _: None)
    (bank,) = open_banks(tmp_path, music)
    whole = bank_path(tmp_path, 0).read_bytes()
    for clip, pcm in zip(clips, packed, strict=True):
        part = bank.pcm[clip["start"] : clip["start"] + clip["length"]]
        assert 0.5 < alike(pcm, part) < 0.99999
    bank_path(tmp_path, 0).unlink()
    bank_path(tmp_path, 0).with_suffix(".i16.growing").write_bytes(whole[: len(whole) // 2])
    make_bank(tmp_path, 0, lambda _: None)
    assert bank_path(tmp_path, 0).read_bytes() == whole


def test_every_codec_is_known_to_ffmpeg(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("ffmpeg")
    write(tmp_path / "a.wav", 0.5, 3)
    assert [name for name in CODECS if not len(coded(tmp_path / "a.wav", name))] == []
