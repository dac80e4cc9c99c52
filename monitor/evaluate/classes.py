"""Music, speech or noise: fits the network that says so, and measures it.

Knows the packed clips and mixes them. Windows are cut from the train split's music, speech and noise, alone and laid over each
other at any level; the right answer is the louder one. Spectra are tilted at random, as stations do. The network is chosen on the
validation split; what is told of it comes from public-test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from monitor.core.framing import windows
from monitor.core.hearing import Hearing
from monitor.core.recipe import Recipe
from monitor.encoder.engine import Engine
from monitor.encoder.features import LogMel
from monitor.encoder.sounds import KINDS, SoundNetwork
from monitor.messages import AirState
from monitor.train.data import open_split

BATCH = 256
STEPS = 2000
RATE = 4e-3
ALONE = 0.6
"""Share of windows with one kind of sound only."""
MIX_DB = 15.0
"""In a mixture the one is up to so much louder than the other."""
TILT_DB = 12.0
"""Spectra are bent by up to so much."""
QUIET_DB = -45.0
"""Windows below this are pauses, and teach nothing."""
CHOOSE_EVERY = 250
PIECE_S = 30.0
"""Length of a stretch of one kind when smoothed decisions are measured."""
PIECES = 60
MIXTURES_DB = (12.0, 6.0, 3.0, -3.0, -6.0, -12.0)


class Mixer:
    """Draws labelled windows from one split."""

    def __init__(self, cache: Path, split: str, recipe: Recipe, seed: int) -> None:
        """Open the clips.

        Raises:
            DataMissing: They are not packed.
        """
        self._clips = [open_split(cache, split, kind) for kind in KINDS]
        self._window = recipe.window_samples
        self._random = np.random.default_rng(seed)

    def draw(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return windows [count, window], full scale 1.0, and which of `KINDS` each is [count]."""
        kinds = self._random.integers(0, len(KINDS), (count, 2))
        alone = self._random.random(count) < ALONE
        level_db = self._random.uniform(-MIX_DB, MIX_DB, count)
        windows = np.empty((count, self._window), np.float32)
        for row in range(count):
            windows[row] = self.cut(int(kinds[row, 0]), self._window)
            if not alone[row]:
                windows[row] += self.cut(int(kinds[row, 1]), self._window) * np.float32(10 ** (level_db[row] / 20))
        louder = np.where(alone | (level_db < 0), kinds[:, 0], kinds[:, 1])
        windows *= 0.1
        return windows, louder.astype(np.int64)

    def cut(self, kind: int, size: int) -> NDArray[np.float32]:
        """Return sound [size] of a kind with mean power 1, no pause, clips joined where one is too short."""
        clips = self._clips[kind]
        while True:
            at = int(self._random.integers(0, len(clips.pcm) - size))
            sound = clips.sound(at, size)
            power = float(np.einsum("s,s->", sound, sound)) / size
            if power > 10 ** (QUIET_DB / 10):
                return sound / np.float32(power**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A network and how often it was right on single windows of the validation split."""

    network: SoundNetwork
    right: float
    steps: int
    took_s: float


def fit(cache: Path, recipe: Recipe, seed: int, say: Callable[[str], None], *, steps: int = STEPS, batch: int = BATCH) -> Fitted:
    """Train a network on the train split; keep the state that was best on validation.

    Raises:
        DataMissing: The clips are not packed.
    """
    torch.manual_seed(seed)
    started_s = time.monotonic()
    features, network = LogMel(replace(recipe, fine_bins=0)), SoundNetwork()
    train = Mixer(cache, "train", recipe, seed)
    windows, truth = Mixer(cache, "validation", recipe, seed + 1).draw(12 * batch)
    shown, answers = _features(features, windows), torch.from_numpy(truth)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    random = torch.Generator().manual_seed(seed)
    best, kept = 0.0, dict(network.state_dict())
    for step in range(1, steps + 1):
        sound, kinds = train.draw(batch)
        network.train()
        loss = nn.functional.cross_entropy(network(_tilt(_features(features, sound), recipe, random)), torch.from_numpy(kinds))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % CHOOSE_EVERY == 0 or step == steps:
            network.eval()
            with torch.inference_mode():
                right = float((network(shown).argmax(1) == answers).float().mean())
            say(f"step {step}: loss {float(loss.detach()):.3f}, right on validation {100 * right:.1f} %")
            if right > best:
                best, kept = right, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    return Fitted(network=network.eval(), right=best, steps=steps, took_s=time.monotonic() - started_s)


def measure(cache: Path, split: str, engine: Engine, seed: int = 1, pieces: int = PIECES) -> str:
    """Measure on a split: a table of what each kind of sound was taken for, second by second and smoothed as the ledger does.

    Raises:
        DataMissing: The clips are not packed.
    """
    recipe = engine.recipe
    mixer = Mixer(cache, split, recipe, seed)
    size = round(PIECE_S * recipe.sample_rate_hz)
    rows = []
    for name, make, right in _cases(mixer, size):
        single, smooth = [], []
        for _ in range(pieces):
            _, music = engine.listen(windows(make() * np.float32(0.1), recipe))
            single.append(float((music > 0.5).mean()))
            smooth.append(_smoothed(music, recipe, size))
        shares = [value if right is AirState.MUSIC else 1 - value for value in (float(np.mean(single)), float(np.mean(smooth)))]
        rows.append(f"| {name} | {right.value} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % |")
    minutes = pieces * PIECE_S / 60
    told = f"{split}: {minutes:.0f} minutes of each, from clips drawn at random"
    head = ["| sound | is | right, one window | right, smoothed |", "|---|---|---|---|"]
    return "\n".join([told, "", *head, *rows])


def cost(engine: Engine, plain: Engine, rounds: int = 60) -> str:
    """Say in one line what the network adds to the time of an encoder that is without it, `plain`, a window."""
    windows = np.random.default_rng(1).normal(0, 0.1, (64, engine.recipe.window_samples)).astype(np.float32)
    spent_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for one, spent in zip((plain, engine), spent_s, strict=True):
            started_s = time.process_time()
            one.encode(windows)
            spent.append(time.process_time() - started_s)
    without, more = (sorted(spent)[rounds // 4] for spent in spent_s)  # the quieter rounds: others use this machine too
    return (
        f"CPU time a window, in batches of 64: {1e6 * without / 64:.0f} us encoded, {1e6 * more / 64:.0f} us encoded and "
        f"classified ({100 * (more / without - 1):+.1f} %)"
    )


def _cases(mixer: Mixer, size: int) -> list[tuple[str, Callable[[], NDArray[np.float32]], AirState]]:
    """Name, a way to make a stretch of it, and what it is."""
    music, speech, noise = range(len(KINDS))
    cases: list[tuple[str, Callable[[], NDArray[np.float32]], AirState]] = [
        ("music", lambda: mixer.cut(music, size), AirState.MUSIC),
        ("speech", lambda: mixer.cut(speech, size), AirState.SPEECH),
        ("noise", lambda: mixer.cut(noise, size), AirState.SPEECH),
    ]
    for level_db in MIXTURES_DB:
        gain = np.float32(10 ** (level_db / 20))
        made: Callable[[], NDArray[np.float32]] = lambda gain=gain: mixer.cut(music, size) + gain * mixer.cut(speech, size)  # type: ignore[misc]  # noqa: E731
        cases.append((f"music under a voice {level_db:+.0f} dB", made, AirState.SPEECH if level_db > 0 else AirState.MUSIC))
    return cases


def _smoothed(music: NDArray[np.float32], recipe: Recipe, size: int) -> float:
    """Return the share of a stretch that the ledger would call music."""
    hearing = Hearing(recipe, silence_db=-200.0)
    hearing.received(0, size)
    for hop, probability in enumerate(music.tolist()):
        hearing.analysed(hop, probability, 0.0)
    settled = hearing.settle(over=True)
    return sum(one.end - one.first for one in settled if one.state is AirState.MUSIC) / size


def _features(features: LogMel, windows: NDArray[np.float32]) -> torch.Tensor:
    with torch.inference_mode():
        shown = [features(part) for part in torch.split(torch.from_numpy(windows), 16)]
    return torch.cat(shown).clone()


def _tilt(features: torch.Tensor, recipe: Recipe, random: torch.Generator) -> torch.Tensor:
    """Bend the spectra by a smooth curve over frequency, as equalisers do."""
    nodes = (torch.rand(len(features), 1, 5, generator=random) * 2 - 1) * (2 * TILT_DB / recipe.dynamic_range_db)
    curve = nn.functional.interpolate(nodes, size=features.shape[2], mode="linear", align_corners=True)
    bent = (features + curve.transpose(1, 2).reshape(len(features), 1, -1, 1)).clamp_min(-1.0)
    return bent - (bent.amax(dim=(2, 3), keepdim=True) - 1.0)
