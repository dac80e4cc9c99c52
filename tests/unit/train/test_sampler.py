"""Anchors come from different recordings; a positive is the same place, off and sped up by no more than asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.errors import ConfigError
from monitor.train.data import Clips, open_split
from monitor.train.sampler import Positives, Sampler, Samples, resample
from tests.unit.train.clips import pack_clips


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Clips]:
    pack_clips(tmp_path)
    return {kind: open_split(tmp_path, "train", kind) for kind in ("music", "speech", "noise")}


def sampler(
    clips: dict[str, Clips],
    seed: int = 1,
    resident: bool = False,
    coded: tuple[Clips, ...] = (),
    on_grid: bool = False,
    **wanted: float,
) -> Sampler:
    positives = Positives(**{"shift_s": 0.0, "speed": 0.0, "speed_share": 0.0, **wanted})
    return Sampler(
        clips["music"],
        clips["speech"],
        clips["noise"],
        positives,
        batch=4,
        window=8000,
        seed=seed,
        hop=4000,
        on_grid=on_grid,
        resident=resident,
        coded=coded,
    )


EVERYTHING = {"count": 2, "shift_s": 0.25, "speed": 0.05, "speed_share": 0.4, "tempo_share": 0.3, "pitch_share": 0.3}


@pytest.mark.parametrize("resident", [False, True])
def test_shapes_and_seed(clips: dict[str, Clips], resident: bool) -> None:
    drawn = sampler(clips, 3, resident, **EVERYTHING).draw(0)
    assert drawn.anchors.shape == (4, 8000)
    for name in ("positives", "voices", "noises", "others"):
        assert getattr(drawn, name).shape == (8, 16000)
        assert torch.isfinite(getattr(drawn, name)).all()
    again = sampler(clips, 3, resident, **EVERYTHING).draw(0)
    assert torch.equal(drawn.positives, again.positives)
    assert (sampler(clips, 4, resident, **EVERYTHING).draw(0).anchors != drawn.anchors).any()


@pytest.mark.parametrize("on_grid", [False, True])
def test_an_anchor_says_which_stored_window_it_is(clips: dict[str, Clips], on_grid: bool) -> None:
    music, made = clips["music"], sampler(clips, on_grid=on_grid)
    for number in range(20):
        drawn = made.draw(number)
        assert len(set(drawn.recordings.tolist())) == 4
        at = music.start[drawn.recordings] + 4000 * drawn.hops
        for anchor, first in zip(drawn.anchors.numpy(), at.tolist(), strict=True):
            sound = music.sound(first, 12_000)
            begins = [0] if on_grid else np.flatnonzero(sound[:4000] == anchor[0]).tolist()
            assert any(np.array_equal(anchor, sound[one : one + 8000]) for one in begins)


def test_a_batch_is_known_by_its_number_whatever_was_drawn_before(clips: dict[str, Clips]) -> None:
    alone, after = sampler(clips, 3, **EVERYTHING), sampler(clips, 3, **EVERYTHING)
    before = [after.draw(number) for number in (0, 1)]
    drawn, wanted = after.draw(2), alone.draw(2)
    for name in ("anchors", "positives", "voices", "noises", "others"):
        assert torch.equal(getattr(drawn, name), getattr(wanted, name))
        assert all((getattr(drawn, name) != getattr(other, name)).any() for other in before)


def test_from_the_devices_memory_comes_what_comes_from_the_file(clips: dict[str, Clips]) -> None:
    at = np.array([7, 12_345])
    read = [Samples(clips["music"], torch.device("cpu"), resident=resident).read(at, 9) for resident in (False, True)]
    assert torch.equal(*read)
    np.testing.assert_array_equal(read[0][1], clips["music"].pcm[12_345:12_354].astype(np.float32) / 32768.0)
    both = [sampler(clips, 3, resident, **EVERYTHING).draw(0) for resident in (False, True)]
    torch.testing.assert_close(both[0].positives, both[1].positives)


def test_what_lies_over_a_recording_is_of_none_in_the_batch(clips: dict[str, Clips]) -> None:
    music = clips["music"]
    windows = np.lib.stride_tricks.sliding_window_view(music.pcm, 4)

    def recording(sound: torch.Tensor) -> int:
        """Return the number of the recording that a stretch is of."""
        (at,) = np.flatnonzero((windows == np.rint(sound[:4].numpy() * 32768.0)).all(axis=1))
        return int(np.searchsorted(music.start, at, side="right"))

    drawn = sampler(clips, count=2).draw(0)
    batch = {recording(sound) for sound in drawn.positives}
    assert len(batch) == 4
    assert not batch & {recording(sound) for sound in drawn.others}


def test_what_went_through_a_codec_is_read_from_the_same_place(clips: dict[str, Clips], tmp_path: Path) -> None:
    pack_clips(tmp_path / "coded")
    coded = open_split(tmp_path / "coded", "train", "music")
    coded.pcm = -np.array(coded.pcm)
    drawn = sampler(clips, coded=(coded,), coded_share=1.0).draw(0)
    assert torch.equal(drawn.positives[:, 8000:], -drawn.anchors)


def test_unshifted_the_positive_ends_with_the_anchor(clips: dict[str, Clips]) -> None:
    for number in range(3):
        drawn = sampler(clips).draw(number)
        assert torch.equal(drawn.positives[:, 8000:], drawn.anchors)


def test_anchors_of_a_batch_are_of_different_recordings(clips: dict[str, Clips]) -> None:
    music = clips["music"]
    one = sampler(clips)
    for number in range(5):
        found = []
        for anchor in one.draw(number).anchors.numpy():
            first = np.flatnonzero((music.pcm[:-2] == round(anchor[0] * 32768)) & (music.pcm[1:-1] == round(anchor[1] * 32768)))
            places = [at for at in first if np.array_equal(music.pcm[at : at + 50], np.rint(anchor[:50] * 32768).astype(np.int16))]
            (at,) = places
            found.append(int(at) // 50_000)
            assert at // 50_000 == (at + 7999) // 50_000
        assert len(set(found)) == 4


def test_a_batch_larger_than_the_archive_is_refused(clips: dict[str, Clips]) -> None:
    positives = Positives(shift_s=0.0, speed=0.0, speed_share=0.0)
    with pytest.raises(ConfigError, match=r"a batch of 7 needs more recordings .* than these 6"):
        Sampler(clips["music"], clips["speech"], clips["noise"], positives, batch=7, window=8000, seed=1, hop=4000)


def test_shift_is_no_more_than_asked(clips: dict[str, Clips]) -> None:
    one = sampler(clips, shift_s=100 / 8000)
    shifts = []
    for number in range(4):
        drawn = one.draw(number)
        for anchor, positive in zip(drawn.anchors, drawn.positives, strict=True):
            scores = [float(anchor[500:1500] @ positive[8500 + off : 9500 + off]) for off in range(-120, 121)]
            shifts.append(int(np.argmax(scores)) - 120)
    assert max(map(abs, shifts)) <= 100
    assert len(set(shifts)) > 3


def test_resampling_stretches_a_tone_with_its_pitch() -> None:
    time = np.arange(16_000) / 8000
    tone = np.sin(2 * np.pi * 500 * time).astype(np.float32)
    faster = resample(tone, 15_200)
    assert len(faster) == 15_200
    peak_hz = np.abs(np.fft.rfft(faster)).argmax() * 8000 / 15_200
    assert peak_hz == pytest.approx(500 * 16_000 / 15_200, abs=0.6)
    assert np.abs(faster).max() == pytest.approx(1.0, abs=0.05)
    assert resample(tone, 16_000) is tone
