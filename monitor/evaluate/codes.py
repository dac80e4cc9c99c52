"""Product quantisation, to ask what a shorter code costs (Jegou et al., IEEE Trans. PAMI 33(1), 2011).

Knows vectors and sub-quantisers of 8 bits. What it gives back are the vectors that the codes stand for, so that every measure of
fingerprints can be taken on them unchanged.
"""

from __future__ import annotations

import torch

CENTROIDS = 256
ROUNDS = 10
SAMPLE = 32_768


class Quantiser:
    """`parts` sub-quantisers of one byte each, learned by k-means from a sample of vectors [n, dim]."""

    def __init__(self, vectors: torch.Tensor, parts: int, seed: int = 1) -> None:
        self.parts = parts
        generator = torch.Generator().manual_seed(seed)
        sample = vectors[torch.randperm(len(vectors), generator=generator)[:SAMPLE].to(vectors.device)].float()
        pieces = sample.reshape(len(sample), parts, -1).transpose(0, 1)
        self._books = pieces[:, :CENTROIDS].clone()
        for _ in range(ROUNDS):
            member = torch.nn.functional.one_hot(self._assigned(pieces), self._books.shape[1]).float()
            count = member.sum(1)[:, :, None]
            self._books = torch.where(count > 0, member.transpose(1, 2) @ pieces / count.clamp_min(1.0), self._books)

    def _assigned(self, pieces: torch.Tensor) -> torch.Tensor:
        """Return the nearest centroid of each piece [parts, n, dim / parts]."""
        far: torch.Tensor = self._books.square().sum(2)[:, None] - 2.0 * pieces @ self._books.transpose(1, 2)
        return far.argmin(2)

    def through(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return what is left of vectors [n, dim] after their code, as float16."""
        result = torch.empty(vectors.shape, dtype=torch.float16, device=vectors.device)
        for at in range(0, len(vectors), SAMPLE):
            some = vectors[at : at + SAMPLE].float()
            pieces = some.reshape(len(some), self.parts, -1).transpose(0, 1)
            codes = self._assigned(pieces)
            found = self._books.gather(1, codes[:, :, None].expand(-1, -1, pieces.shape[2]))
            result[at : at + SAMPLE] = found.transpose(0, 1).flatten(1).half()
        return result
