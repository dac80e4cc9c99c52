"""What fills a catalogue beside what is played: music of the train split, as it is and much faster or slower.

Knows the packed clips and an encoder, whose fingerprints of them are kept in the cache. A fingerprint is trained to know a
recording at a speed up to 6 % off; a fifth faster, with other tempi and other keys, it is another recording, made of sound and not
of numbers. What is missing then are impostors. Whether they are rivals as real ones are is measured in each run (`likeness`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from monitor.core.framing import windows
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast import impostors
from monitor.evaluate.broadcast.catalogue import IMPOSTOR_S
from monitor.evaluate.broadcast.heard import keep
from monitor.evaluate.broadcast.impostors import Impostors
from monitor.evaluate.strangers import ASKED, KIN, TWIN
from monitor.pipeline.ports import Encoder
from monitor.train.data import Clips, open_split

LENGTH_S = (30.0, 360.0)
"""No shorter recordings are taken, and so much of each at most."""
SPEEDS = ((7, 5), (6, 5), (5, 6), (5, 7))
"""Each at least 16 % from the others and from the recording itself."""
STRANGE_EVERY = 5
"""Of so many windows of the strangers one is asked for its nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """Fingerprints [hops, dim] by name."""

    unplayed: Mapping[str, NDArray[Any]]
    """Recordings that are put into the catalogue and never played."""
    base: Sequence[NDArray[Any]]
    """What impostors are made of where these are too few."""


def train_split(
    cache: Path,
    own: Mapping[str, NDArray[np.float32]],
    encoder: Encoder,
    recipe: Recipe,
    room: int,
    say: Callable[[str], None],
) -> Filling:
    """Return the train split's music, and its other forms if that does not fill the catalogue.

    Args:
        cache: Where the packed clips are, and fingerprints of them are kept.
        own: What is played or heard in this run: recordings that sound like these are left out.
        encoder: Of the run.
        recipe: Of the encoder.
        room: How many recordings the catalogue lacks.
        say: Is told what takes long.

    Raises:
        DataMissing: The split is not packed.
    """
    music = open_split(cache, "train", "music")
    every = _form(cache, music, (1, 1), encoder, recipe, say)
    twins = same(every, own)
    say(f"left out of what fills the catalogue: {len(twins)} recordings that sound like some of this split")
    unplayed = {name: rows for name, rows in every.items() if name not in twins}
    for speed in SPEEDS:
        if len(unplayed) < room:
            form = _form(cache, music, speed, encoder, recipe, say)
            unplayed |= {f"{name} x {speed[0] / speed[1]:.2f}": rows for name, rows in form.items() if name not in twins}
    return Filling(unplayed=unplayed, base=list(unplayed.values()))


def same(some: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[np.float32]]) -> dict[str, str]:
    """Return which of some recordings are one of others in another encoding or version, and which one each is."""
    names = list(others)
    table, ends = np.concatenate(list(others.values())), np.cumsum([len(rows) for rows in others.values()])
    found = {}
    for name, rows in some.items():
        alike = rows[::ASKED].astype(np.float32) @ table.T
        close = alike.max(axis=1) >= TWIN
        if close.mean() > KIN:
            found[name] = names[int(np.searchsorted(ends, np.median(alike.argmax(axis=1)[close]), side="right"))]
    return found


def fingerprints(sound: NDArray[np.float32], encoder: Encoder, recipe: Recipe) -> NDArray[np.float16]:
    """Fingerprint as the catalogue does: on the hop grid, rounded to float16."""
    padded = np.pad(sound, (0, max(recipe.window_samples - len(sound), 0)))
    return encoder.encode(windows(padded, recipe)).astype(np.float16)


def likeness(
    strangers: Sequence[NDArray[np.float32]], filling: Filling, missing: int, recipe: Recipe, seed: int
) -> list[impostors.Likeness]:
    """Compare impostors made of one half of the recordings with the other half, as rivals to strangers.

    Args:
        strangers: What is not in the catalogue.
        filling: What fills it.
        missing: How many impostors the largest catalogue has: here each fingerprint is used as often as there.
        recipe: Of the encoder.
        seed: Of the impostors.
    """
    real = np.concatenate(filling.base[1::2]).astype(np.float32)
    hops = round(sum(IMPOSTOR_S) / 2 / recipe.hop_s)
    times = max(missing * hops / sum(len(rows) for rows in filling.base), 1.0)
    base = filling.base[::2]
    held = np.cumsum([len(rows) for rows in base])
    maker = Impostors(base, seed=seed, follow=int(np.searchsorted(held, len(real) / times)) + 1)
    made = np.concatenate([maker.recording(hops) for _ in range(-(-len(real) // hops))])
    return impostors.check(np.concatenate([rows[::STRANGE_EVERY] for rows in strangers]), real, made)


def _form(
    cache: Path, music: Clips, speed: tuple[int, int], encoder: Encoder, recipe: Recipe, say: Callable[[str], None]
) -> dict[str, NDArray[np.float16]]:
    """Return all recordings that are long enough, by name, in a drawn order; kept in the cache."""
    times, over = speed
    shortest, longest = (round(length_s * recipe.sample_rate_hz) for length_s in LENGTH_S)
    order = np.random.default_rng(0).permutation(np.flatnonzero(music.length >= shortest)).tolist()
    clips = [(music.paths[number], int(music.length[number])) for number in order]
    digest = hashlib.sha256(repr((recipe.hash, speed, LENGTH_S, clips)).encode()).hexdigest()
    path = cache / "filling" / f"{digest[:24]}.npz"
    if not path.exists():
        say(f"fingerprinting {len(order)} recordings of the train split at speed {times / over:.2f}: once, some minutes")
        found = {}
        for number in order:
            sound = music.recording(number)[:longest]
            if times != over:
                sound = scipy.signal.resample_poly(sound, over, times).astype(np.float32)
            found[music.paths[number]] = fingerprints(sound, encoder, recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        keep(path, **found)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}
