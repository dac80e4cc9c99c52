"""Each step of the broadcast chain does what its name says, and nothing when it does not strike."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from monitor.train.degrade import Chain, Degrader, mask_features

DIRECT = np.eye(1, 8, dtype=np.float32)
SHARES = [one.name for one in fields(Chain) if isinstance(one.default, float) and one.name != "equalise_db"]
EVERYTHING = Chain(**dict.fromkeys(SHARES, 1.0), bands=5, split_hz=(120.0, 3000.0))  # type: ignore[arg-type]


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
    strikes = (
        "noise",
        "music",
        "fade",
        "duck",
        "compress",
        "limit",
        "equalise",
        "band",
        "comb",
        "speaker",
        "room",
        "device",
        "clip",
    )
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


@pytest.mark.parametrize("what", ["compress", "limit", "equalise", "band", "speaker", "clip"])
def test_the_studio_changes_the_sound_and_leaves_it_recognisable(what: str) -> None:
    near = alike(degraded(Chain().only(**{what: 1.0})), CLEAN)
    assert (near < 0.9999).all()
    assert (near > 0.5).all()


def test_a_compressor_of_five_bands_makes_quiet_passages_louder() -> None:
    swelling = sound(1) * torch.linspace(0.05, 1.0, 16000)
    chain = Chain().only(compress=1.0, bands=5, split_hz=(120.0, 3000.0))
    got = Degrader(chain, DIRECT, DIRECT, 8000, torch.device("cpu"), 1)(swelling, sound(2), sound(3), sound(4), 16000)
    quiet, loud = (got[:, part].square().mean(1).sqrt() for part in (slice(0, 4000), slice(12000, 16000)))
    before = float((swelling[:, :4000].square().mean() / swelling[:, 12000:].square().mean()).sqrt())
    assert ((quiet / loud) > 1.3 * before).all()
    assert (alike(got, swelling) > 0.7).all()


def test_a_limiter_holds_peaks_down_by_as_much_as_asked() -> None:
    """The peak sets the level, so what is limited by 6 dB is 6 dB louder against it."""
    got = degraded(Chain().only(limit=1.0, limit_db=(6.0, 6.0)))
    plain = degraded(Chain().only())
    louder = got.square().mean(1).sqrt() / plain.square().mean(1).sqrt()
    assert (louder > 1.3).all()
    assert (louder < 2.1).all()


@pytest.mark.parametrize("db", [-6.0, 12.0])
def test_a_cross_fade_has_its_level_in_the_middle_of_the_window_and_slopes(db: float) -> None:
    flat = degraded(Chain().only(fade=1.0, fade_db=(db, db), fade_slope_db=(0.0, 0.0)))
    ratio = 10 ** (db / 20)
    np.testing.assert_allclose(alike(flat, CLEAN).numpy(), ratio / (1 + ratio**2) ** 0.5, atol=0.06)
    rising = degraded(Chain().only(fade=1.0, fade_db=(0.0, 0.0), fade_slope_db=(40.0, 40.0)))
    assert (alike(rising[:, -2000:], CLEAN[:, -2000:]) > alike(rising[:, :2000], CLEAN[:, :2000]) + 0.3).all()


def test_two_channels_out_of_phase_leave_a_comb() -> None:
    """Late by 1 ms: what has its period in it is cancelled or doubled, and what is half a period off the other way round."""
    got = degraded(Chain().only(comb=1.0, comb_ms=(1.0, 1.0)))
    power = torch.fft.rfft(got).abs().square() / torch.fft.rfft(CLEAN).abs().square()
    hz = torch.fft.rfftfreq(8000, 1 / 8000)
    even = torch.stack([(hz - k * 1000).abs() < 60 for k in range(1, 4)]).any(0)
    odd = torch.stack([(hz - k * 1000 - 500).abs() < 60 for k in range(4)]).any(0)
    lean = (power[:, even].median(1).values / power[:, odd].median(1).values).log10() * 10
    assert (lean.abs() > 4.0).all()
    assert lean.min() < 0 < lean.max()


def test_gaps_are_silence_of_the_asked_length() -> None:
    got = degraded(Chain().only(gaps=1.0, gap_ms=(50.0, 50.0)))
    silent = (got == 0).float().mean(1)
    assert (silent > 0).any()
    assert silent.max() <= 3 * 0.05 + 1e-3
    heard = got != 0
    torch.testing.assert_close(got[heard], degraded(Chain().only())[heard])


def test_a_level_60_db_down_has_few_steps_left() -> None:
    got = degraded(Chain().only(quiet=1.0, quiet_db=(60.0, 60.0)))
    assert max(len(row.unique()) for row in got) <= 2 * 33 + 1
    assert (alike(got, CLEAN) > 0.99).all()


def test_the_same_seed_degrades_the_same_way() -> None:
    torch.testing.assert_close(degraded(Chain(), 5), degraded(Chain(), 5))
    assert (degraded(Chain(), 5) != degraded(Chain(), 6)).any()


def test_a_seed_begins_the_random_numbers_anew() -> None:
    degrader = Degrader(Chain(), DIRECT, DIRECT, 8000, torch.device("cpu"), 5)

    def heard(seed: int) -> torch.Tensor:
        degrader.seed(seed)
        return degrader(sound(1), sound(2), sound(3), sound(4), 8000)

    first, second, again = heard(1), heard(2), heard(1)
    torch.testing.assert_close(first, again)
    assert (first != second).any()


@pytest.mark.parametrize("chain", [Chain(), EVERYTHING])
def test_peaks_stay_within_full_scale_whatever_strikes(chain: Chain) -> None:
    for seed in range(3):
        got = degraded(chain, seed)
        assert torch.isfinite(got).all()
        assert got.abs().max() <= 1.0 + 1e-5


@pytest.mark.parametrize("chain", [Chain(), EVERYTHING])
def test_silence_stays_finite(chain: Chain) -> None:
    nothing = torch.zeros(2, 16000)
    got = Degrader(chain, DIRECT, DIRECT, 8000, torch.device("cpu"), 1)(nothing, nothing, nothing, nothing, 8000)
    assert torch.isfinite(got).all()


def test_masks_are_a_rectangle_and_a_band_for_the_whole_batch() -> None:
    features = torch.ones(3, 1, 128, 32)
    masked = mask_features(features, torch.Generator().manual_seed(1))
    assert (features == 1).all()
    holes = masked[:, 0] == 0
    assert (holes == holes[0]).all()
    assert holes[0].all(dim=1).any()
    assert 0.0 < holes[0].float().mean() < 0.4
