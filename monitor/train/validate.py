"""Retrieval on the validation split while training: is the right recording found, under what is heard on air.

Knows features in, share of right answers out. A query is degraded as a whole and cut afterwards, as in Araz et al., ISMIR 2025,
section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.train.data import Clips
from monitor.train.degrade import Chain, Degrader
from monitor.train.sampler import resample

CONDITIONS: dict[str, tuple[Chain, float]] = {
    "noise 0-10 dB and room": (Chain().only(noise=1.0, noise_db=(0.0, 10.0), room=1.0), 1.0),
    "voice 0 dB": (Chain().only(voice=1.0, voice_db=(0.0, 0.0)), 1.0),
    "voice -6 dB": (Chain().only(voice=1.0, voice_db=(-6.0, -6.0)), 1.0),
    "voice -12 dB": (Chain().only(voice=1.0, voice_db=(-12.0, -12.0)), 1.0),
    "speed +5 %": (Chain().only(), 1.05),
}
"""Name, what happens, speed. Ducking is off, so that the level named is the level measured."""


SECONDS = 5
"""Of a query."""
SHORTEST_S, LONGEST_S = 3.0 * (SECONDS + 1), 120.0
"""Recordings that are shorter are left out; of longer ones the beginning is looked for, and in."""


class Retrieval:
    """A fixed set of queries over the validation recordings."""

    def __init__(
        self,
        music: Clips,
        voices: Clips,
        noises: Clips,
        rooms: NDArray[np.float32],
        *,
        window: int,
        hop: int,
        seed: int = 1,
    ) -> None:
        random = np.random.default_rng(seed)
        self._window, self._hop = window, hop
        size = (SECONDS + 1) * window
        self._tracks = [
            music.sound(at, min(int(n), int(LONGEST_S * window)))
            for at, n in zip(music.start, music.length, strict=True)
            if n >= SHORTEST_S * window
        ]
        self._queries: dict[str, torch.Tensor] = {}
        devices = np.zeros((1, 8), np.float32)
        devices[0, 0] = 1.0
        for name, (chain, speed) in CONDITIONS.items():
            length = round(size * speed / 160) * 160
            starts = [int(random.integers(0, len(track) - length)) for track in self._tracks]
            parts = np.stack([resample(track[at : at + length], size) for track, at in zip(self._tracks, starts, strict=True)])

            def laid(clips: Clips, rows: int = len(parts)) -> torch.Tensor:
                at = random.integers(0, len(clips.pcm) - size, rows)
                return torch.from_numpy(np.stack([clips.sound(i, size) for i in at]))

            degrade = Degrader(chain, rooms, devices, window, torch.device("cpu"), seed, fft=1 << (size + window - 1).bit_length())
            music_in = torch.from_numpy(parts)
            self._queries[name] = degrade(music_in, laid(voices), laid(noises), music_in, size - window)

    def score(
        self, encode: Callable[[torch.Tensor], torch.Tensor], stored: Callable[[torch.Tensor], torch.Tensor]
    ) -> dict[str, tuple[float, float]]:
        """Return, per condition, the share of queries whose recording came first: by one second, by the whole query.

        Args:
            encode: Windows [n, window] of what is heard to unit vectors [n, dim].
            stored: The same for recordings.
        """
        vectors, owners = [], []
        for number, track in enumerate(self._tracks):
            vectors.append(stored(torch.from_numpy(track).unfold(0, self._window, self._hop)))
            owners.append(torch.full((len(vectors[-1]),), number))
        table, owner = torch.cat(vectors), torch.cat(owners)
        return {name: self._judge(encode, queries, table, owner) for name, queries in self._queries.items()}

    def _judge(
        self, encode: Callable[[torch.Tensor], torch.Tensor], queries: torch.Tensor, table: torch.Tensor, owner: torch.Tensor
    ) -> tuple[float, float]:
        one = whole = 0
        for truth, query in enumerate(queries):
            similarity = encode(query.unfold(0, self._window, self._hop)) @ table.T
            one += int(owner[similarity[0].argmax()] == truth)
            steps = len(similarity)
            diagonal = sum(similarity[step, step : similarity.shape[1] - steps + step + 1] for step in range(steps))
            assert isinstance(diagonal, torch.Tensor)
            whole += int(owner[diagonal.argmax()] == truth)
        return one / len(queries), whole / len(queries)
