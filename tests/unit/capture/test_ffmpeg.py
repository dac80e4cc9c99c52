"""Decoding and describing: real files through real ffmpeg, good and bad."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from monitor.capture.ffmpeg import decode, probe
from monitor.core.recipe import Recipe
from monitor.errors import NotAudio, Permanent

RECIPE = Recipe(name="any")
STEREO = "aevalsrc=0.5*sin(2*PI*440*t)|0.25*sin(2*PI*440*t):d=3:s=44100"


def all_of(path: Path) -> np.ndarray:
    return np.concatenate(list(decode(path, RECIPE)))


def amplitude(samples: np.ndarray) -> float:
    return float(np.sqrt(2 * np.mean(samples[4000:16000].astype(np.float64) ** 2)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("s16.wav", ["-c:a", "pcm_s16le"]),
        ("f32.wav", ["-c:a", "pcm_f32le"]),
        ("a.flac", ["-sample_fmt", "s32"]),
        ("a.mp3", ["-b:a", "192k"]),
        ("a.opus", ["-b:a", "128k"]),
        ("a.m4a", ["-b:a", "192k"]),
    ],
)
def test_the_downmix_is_the_mean_of_the_channels_in_every_format(make, name, options) -> None:
    # ffmpeg's own default scales a stereo pair by 1/sqrt(2) for a float output and by 1/2 for an integer one.
    samples = all_of(make(name, *options, source=STEREO))
    assert samples.dtype == np.float32
    assert samples.size == pytest.approx(24000, abs=500)
    assert amplitude(samples) == pytest.approx(0.375, rel=0.04)  # LAME plays 3 % down


def test_a_tone_above_half_the_rate_is_gone_and_one_below_is_kept(make) -> None:
    assert amplitude(all_of(make("high.wav", source="aevalsrc=0.5*sin(2*PI*6000*t):d=3:s=44100"))) < 0.5e-3
    assert amplitude(all_of(make("low.wav", source="aevalsrc=0.5*sin(2*PI*3000*t):d=3:s=44100"))) == pytest.approx(0.5, rel=0.02)


def test_pieces_are_of_one_length_but_the_last(make) -> None:
    decoded = decode(make("long.wav", source="sine=440:d=23:r=8000"), RECIPE)
    assert [piece.size for piece in decoded] == [80000, 80000, 24000]
    assert (decoded.seconds, decoded.truncated, decoded.complaint) == (23.0, False, "")


def test_probe_describes(make) -> None:
    found = probe(make("a.mp3", "-b:a", "192k", source=STEREO))
    assert (found.has_audio, found.codec, found.sample_rate_hz, found.channels) == (True, "mp3", 44100, 2)
    assert found.duration_s == pytest.approx(3.0, abs=0.1)


def test_a_cover_picture_does_not_matter(make) -> None:
    sound, picture = make("plain.mp3"), make("cover.png", "-frames:v", "1", source="testsrc=d=1:s=64x64")
    path = sound.with_name("covered.mp3")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        str(sound),
        "-i",
        str(picture),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        str(path),
    ]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(all_of(path), all_of(sound))
    assert probe(path).codec == "mp3"


def bad(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"this is a text, honestly\n" * 50, "no sound that ffmpeg can decode"),
        (b"<!DOCTYPE html><html><body>" + b"<p>moved</p>" * 500, "no sound that ffmpeg can decode"),
        (b"", "the file is empty"),
        (bytes(np.random.default_rng(1).integers(0, 256, 4000, np.uint8)), "no sound that ffmpeg can decode"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path, content, says) -> None:
    path = bad(tmp_path, "song.mp3", content)
    for attempt in (lambda: probe(path), lambda: all_of(path)):
        with pytest.raises(NotAudio, match=says) as caught:
            attempt()
        assert "song.mp3" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_video_without_sound(make) -> None:
    path = make("mute.mp4", source="testsrc=d=1:s=64x64")
    assert not probe(path).has_audio
    with pytest.raises(NotAudio, match="no audio track"):
        all_of(path)


def test_missing_file_folder_and_foreign_scheme(tmp_path) -> None:
    with pytest.raises(NotAudio, match="no such file"):
        probe(tmp_path / "none.mp3")
    with pytest.raises(NotAudio, match="is a folder"):
        all_of(tmp_path)
    with pytest.raises(Permanent, match="not listened to"):
        decode("gopher://a.example/x", RECIPE)


def test_too_short_is_refused(make) -> None:
    with pytest.raises(NotAudio, match=r"holds only 0\.5 s of sound"):
        all_of(make("short.wav", source="sine=440:d=0.5:r=8000"))


def test_a_file_cut_off_in_the_middle_is_kept_and_told(make, tmp_path) -> None:
    whole = make("ten.flac", source="sine=440:d=10:r=44100").read_bytes()
    decoded = decode(bad(tmp_path, "cut.flac", whole[: len(whole) // 2]), RECIPE)
    seconds = sum(piece.size for piece in decoded) / 8000
    assert 3.0 < seconds < 7.0
    assert decoded.truncated
    assert decoded.seconds == seconds


def test_damage_in_the_middle_is_survived_and_told(make, tmp_path) -> None:
    whole = make("ten.mp3", "-b:a", "128k", source="sine=440:d=10:r=44100").read_bytes()
    garbage = bytes(np.random.default_rng(2).integers(0, 256, 8000, np.uint8))
    middle = len(whole) // 2
    decoded = decode(bad(tmp_path, "hurt.mp3", whole[:middle] + garbage + whole[middle + 8000 :]), RECIPE)
    assert sum(piece.size for piece in decoded) / 8000 > 8.0
    assert decoded.complaint


def test_a_playlist_named_mp3_cannot_read_from_the_network(tmp_path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    with pytest.raises(NotAudio):
        all_of(bad(tmp_path, "song.mp3", playlist))


@pytest.mark.parametrize("leave", ["close", "exit", "forget"])
def test_leaving_early_leaves_no_process(make, leave) -> None:
    path = make("endless.wav", source="sine=440:d=600:r=8000")
    decoded = decode(path, RECIPE)
    next(decoded)
    pid = decoded._process.pid
    if leave == "close":
        decoded.close()
    elif leave == "exit":
        with decoded:
            pass
    else:
        del decoded
        gc.collect()
    time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
