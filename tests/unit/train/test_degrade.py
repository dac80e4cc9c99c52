"""Each step of the broadcast chain does what its name says, and nothing when it does not strike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monitor.train.degrade import Chain, Degrader, mask_features

DIRECT = np.eye(1, 8, dtype=np.float32)


def sound(seed: int, count: int = 6) -> torch.Tensor:
    return 0.1 * torch.randn(count, 16000, generator=torch.Generator().manual_seed(seed))


def degraded(chain: Chain, seed: int = 1, rooms: np.ndarray = DIRECT) -> torch.Tensor:
    degrader = Degrader(chain, rooms, DIRECT, 8000, torch.device("cpu"), seed)
    return degrader(sound(1), sound(2), sound(3), sound(4), 8000)


def alike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(one, other, dim=1)


CLEAN = sound(1)[:, -8000:]


def test_a_chain_on_which_nothing_strikes_only_sets_the_peak() -> None:
    got = degraded(Chain().only())
    torch.testing.assert_close(got, CLEAN / CLEAN.abs().amax(1, keepdim=True), atol=1e-4, rtol=0)


def test_only_switches_all_else_off() -> None:
    chain = Chain().only(voice=1.0, voice_db=(3.0, 3.0))
    strikes = ("noise", "music", "duck", "compress", "equalise", "band", "room", "device", "clip")
    assert [getattr(chain, name) for name in strikes] == [0.0] * len(strikes)
    assert (chain.voice, chain.voice_db, chain.equalise_db) == (1.0, (3.0, 3.0), Chain().equalise_db)


@pytest.mark.parametrize(("what", "db"), [("voice", 0.0), ("voice", -12.0), ("noise", 10.0), ("music", 6.0)])
def test_other_sound_is_laid_over_at_its_level(what: str, db: float) -> None:
    """Music over the other sound in dB: uncorrelated, the cosine is g / sqrt(1 + g^2)."""
    got = degraded(Chain().only(**{what: 1.0, f"{what}_db": (db, db)}))
    ratio = 10 ** (db / 20)
    np.testing.assert_allclose(alike(got, CLEAN).numpy(), ratio / (1 + ratio**2) ** 0.5, atol=0.06)


def test_a_room_is_a_convolution_with_what_came_before() -> None:
    room = np.zeros((1, 8000), np.float32)
    room[0, [0, 3000]] = 1.0, 0.5
    got = degraded(Chain().only(room=1.0), rooms=room)
    expected = sound(1)[:, -8000:] + 0.5 * sound(1)[:, 5000:13000]
    torch.testing.assert_close(got, expected / expected.abs().amax(1, keepdim=True), atol=1e-3, rtol=0)


@pytest.mark.parametrize("what", ["compress", "equalise", "band", "clip"])
def test_the_studio_changes_the_sound_and_leaves_it_recognisable(what: str) -> None:
    near = alike(degraded(Chain().only(**{what: 1.0})), CLEAN)
    assert (near < 0.9999).all()
    assert (near > 0.5).all()


def test_the_same_seed_degrades_the_same_way() -> None:
    torch.testing.assert_close(degraded(Chain(), 5), degraded(Chain(), 5))
    assert (degraded(Chain(), 5) != degraded(Chain(), 6)).any()


def test_peaks_stay_within_full_scale_whatever_strikes() -> None:
    for seed in range(3):
        got = degraded(Chain(), seed)
        assert torch.isfinite(got).all()
        assert got.abs().max() <= 1.0 + 1e-5


def test_silence_stays_finite() -> None:
    nothing = torch.zeros(2, 16000)
    got = Degrader(Chain(), DIRECT, DIRECT, 8000, torch.device("cpu"), 1)(nothing, nothing, nothing, nothing, 8000)
    assert torch.isfinite(got).all()


def test_masks_are_a_rectangle_and_a_band_for_the_whole_batch() -> None:
    features = torch.ones(3, 1, 128, 32)
    masked = mask_features(features, torch.Generator().manual_seed(1))
    assert (features == 1).all()
    holes = masked[:, 0] == 0
    assert (holes == holes[0]).all()
    assert holes[0].all(dim=1).any()
    assert 0.0 < holes[0].float().mean() < 0.4
