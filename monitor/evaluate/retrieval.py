"""The published protocols: which recording, and where in it, by fingerprints alone.

As Araz et al., ISMIR 2025, section 4: a query is half a minute of a recording, degraded as a whole and cut into windows
afterwards; from each of six starts the first 1, 3, 9 or 19 windows (1, 2, 5, 10 s) are looked up. The 20 nearest rows of each
window propose where the query may begin; proposals that cross the border of a recording are dropped; the best has the highest mean
inner product along its diagonal, on the stored float16 rows. Track: the recording is right, or another that holds the same sound
there (`same.py`). Near: within a window of the right place; exact: the nearest. A recording's own repeats count as wrong there.
Nothing is ever refused: there is no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.encoder.engine import Engine
from monitor.evaluate.conditions import Condition, Studio
from monitor.evaluate.nearest import nearest
from monitor.evaluate.same import Sounds
from monitor.train.codecs import coded
from monitor.train.data import Clips
from monitor.train.shelf import Shelf

QUERY_S = 30.0
STARTS = range(0, 36, 7)
LENGTHS: Mapping[int, int] = {1: 1, 2: 3, 5: 9, 10: 19}
"""Seconds, windows."""
WINDOWS = STARTS[-1] + LENGTHS[10]
NEIGHBOURS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """Half-minute queries that were heard under one condition."""

    name: str
    speed: float
    sounds: NDArray[np.float32]
    """Shape [queries, samples]."""
    recording: NDArray[np.int64]
    """Number of the recording that each comes from."""
    at_s: NDArray[np.float64]
    """Where it begins in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares of right answers at one length."""

    trials: int
    track: float
    exact: float
    near: float


def record(
    name: str, condition: Condition, music: Clips, tracks: Sequence[int], studio: Studio, cache: Path, rate_hz: int, seed: int
) -> Queries:
    """Make the queries of a condition; the same seed takes the same half minutes under every condition."""
    random = np.random.default_rng(seed)
    sounds, at_s = [], []
    for track in tracks:
        room_s = music.length[track] / rate_hz - QUERY_S * condition.speed * condition.tempo
        at = float(random.uniform(0.0, max(room_s, 0.0)))
        if condition.codec:
            pcm = coded(cache / music.paths[track], condition.codec, start_s=at, length_s=QUERY_S)[: int(QUERY_S * rate_hz)]
            sound = np.pad(pcm, (0, int(QUERY_S * rate_hz) - len(pcm))).astype(np.float32) / 32768.0
        else:
            sound = studio.query(music.recording(track), at, QUERY_S, condition)
        sounds.append(sound)
        at_s.append(at)
    return Queries(
        name=name,
        speed=condition.speed * condition.tempo,
        sounds=np.stack(sounds),
        recording=np.array(tracks, np.int64),
        at_s=np.array(at_s),
    )


def fingerprints(engine: Engine, queries: Queries) -> torch.Tensor:
    """Return the fingerprints [queries, WINDOWS, dim] of the windows that are looked up."""
    recipe = engine.recipe
    windows = np.lib.stride_tricks.sliding_window_view(queries.sounds, recipe.window_samples, axis=1)[:, :: recipe.hop_samples]
    windows = windows[:, :WINDOWS]
    return torch.stack([torch.from_numpy(engine.encode(row)) for row in windows])


def score(
    heard: torch.Tensor,
    queries: Queries,
    catalogue: Shelf,
    pad: Shelf | None,
    recipe: Recipe,
    search: torch.device,
    sounds: Sounds | None = None,
) -> dict[int, Score]:
    """Look all queries up in the catalogue, padded or not; return the score of each length in seconds.

    Without its `sounds`, nobody can tell that two recordings of the catalogue hold the same one.
    """
    flat = heard.flatten(0, 1)
    found, rows = nearest(flat.to(search), catalogue.table.to(search), NEIGHBOURS)
    found, rows = found.cpu(), rows.cpu()
    if pad is not None:
        strange, strange_rows = nearest(flat.to(search), pad.table.to(search), NEIGHBOURS)
        found = torch.cat([found, strange.cpu()], 1)
        rows = torch.cat([rows, strange_rows.cpu() + len(catalogue.table)], 1)
        order = found.topk(NEIGHBOURS, dim=1).indices
        rows = rows.gather(1, order)
    shelves = _Joined(catalogue, pad)
    proposals = rows.numpy().reshape(len(heard), WINDOWS, NEIGHBOURS)
    recordings = len(catalogue.start) - 1
    tally: dict[int, list[float]] = {seconds: [] for seconds in LENGTHS}
    for query in range(len(heard)):
        for start in STARTS:
            for seconds, windows in LENGTHS.items():
                first = _best(heard[query, start : start + windows], proposals[query, start : start + windows], shelves)
                if first is None or (owner := int(shelves.owner(np.array([first]))[0])) >= recordings:
                    tally[seconds].append(np.inf)
                    continue
                middle = (windows - 1) / 2
                true_s = queries.at_s[query] + (start + middle) * queries.speed * recipe.hop_s
                named_s = (first + middle - catalogue.start[owner]) * recipe.hop_s
                length_s = ((windows - 1) * recipe.hop_s + recipe.window_s) * queries.speed
                off_s = _off_s(queries.recording[query], true_s, owner, named_s, length_s, recipe, sounds)
                tally[seconds].append(off_s / recipe.hop_s)
    return {seconds: _shares(trials) for seconds, trials in tally.items()}


def _off_s(
    recording: int, true_s: float, owner: int, named_s: float, length_s: float, recipe: Recipe, sounds: Sounds | None
) -> float:
    """Return how far an answer is off, infinite where it names other sound; places are those of a window's first sample."""
    if owner == recording:
        return abs(named_s - true_s)
    half_s = recipe.window_s / 2
    lag_s = sounds.lag_s(recording, true_s + half_s, owner, named_s + half_s, length_s) if sounds is not None else None
    return np.inf if lag_s is None else abs(lag_s)


def vote(heard: torch.Tensor, catalogue: Shelf, windows: int, search: torch.device, neighbours: int = 4) -> NDArray[np.int64]:
    """Name each query's recording by majority, as Nikou and Giannakopoulos, 2025: every neighbour of every window has one vote.

    Args:
        heard: Shape [queries, at least `windows`, dim].
        catalogue: What is looked up.
        windows: How many of each query's windows vote.
        search: Where the products are computed.
        neighbours: Votes of a window.
    """
    flat = heard[:, :windows].flatten(0, 1)
    _, rows = nearest(flat.to(search), catalogue.table.to(search), neighbours)
    owners = catalogue.owner(rows.cpu().numpy()).reshape(len(heard), -1)
    return np.array([np.bincount(row).argmax() for row in owners])


class _Joined:
    """Rows of a catalogue and of what it is padded with, under one numbering, without a copy of either."""

    def __init__(self, catalogue: Shelf, pad: Shelf | None) -> None:
        self._parts = [catalogue] if pad is None else [catalogue, pad]
        self._border = len(catalogue.table)
        self.rows = sum(len(part.table) for part in self._parts)

    def owner(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return whose each row is; recordings of the padding are numbered on."""
        owners = self._parts[0].owner(np.minimum(rows, self._border - 1))
        if len(self._parts) == 1:
            return owners
        beyond = self._parts[1].owner(np.maximum(rows - self._border, 0)) + len(self._parts[0].start) - 1
        return np.where(rows < self._border, owners, beyond)

    def vectors(self, rows: torch.Tensor) -> torch.Tensor:
        """Return float32 rows, in the shape of their numbers and one axis more."""
        inside = rows < self._border
        result = self._parts[0].table[rows.clamp_max(self._border - 1)].float()
        if len(self._parts) > 1 and not bool(inside.all()):
            result[~inside] = self._parts[1].table[rows[~inside] - self._border].float()
        return result


def _best(heard: torch.Tensor, proposals: NDArray[np.int64], shelves: _Joined) -> int | None:
    """Return the row where the query [windows, dim] begins by the best diagonal, or None where no proposal fits a recording."""
    windows = len(heard)
    firsts = np.unique(proposals - np.arange(windows)[:, None])
    firsts = firsts[(firsts >= 0) & (firsts + windows <= shelves.rows)]
    firsts = firsts[shelves.owner(firsts) == shelves.owner(firsts + windows - 1)]
    if not len(firsts):
        return None
    rows = torch.from_numpy(firsts)[:, None] + torch.arange(windows)
    similarity = torch.einsum("cwd,wd->c", shelves.vectors(rows), heard)
    return int(firsts[int(similarity.argmax())])


def _shares(off: Sequence[float]) -> Score:
    """Count how many hops off the right answers were; the wrong ones are infinitely far."""
    count = len(off)
    return Score(
        trials=count,
        track=sum(one < np.inf for one in off) / count,
        exact=sum(one <= 0.5 for one in off) / count,
        near=sum(one <= 1.5 for one in off) / count,
    )
