"""What a similarity says: evidence for "this recording" against "anything else", in nats.

Knows a curve and a cohort that were fitted to an encoder (`monitor evaluate fit`), and how much evidence a false-alarm budget asks
for. Knows nothing of alignments or streams.

Derivation. Let s(q, r) be the inner product of a heard and a stored fingerprint. It says little when both merely resemble some
common sound: a voice, a hiss, a drone. The cohort is a sample of such sounds; if q and r are alike only through cohort member k,
s(q, r) is about s(q, k) * s(k, r), so what counts is the distinct similarity

    x = s(q, r) - max_k s(q, k) * s(k, r),   k among the members nearest to q

(cohort normalisation as in speaker verification, Auckenthaler et al., Digital Signal Processing 10, 2000, but per pair, so that a
recording under a voice is not punished for the voice). The curve is log p(x | this recording, under any of the conditions on air) -
log p(x | another recording); which others are meant differs between looking for a recording, where the likeliest of a catalogue
compete, and following one. Summed over the windows of an alignment it would be the log-likelihood ratio, were windows
independent; they overlap and music repeats itself, so where e is asked for, a hop of unknown audio is found to begin a play that is
told, in a catalogue of N fingerprints, with probability N * exp(-(offset + slope * e)), with slope below 1. Setting that to the
budget per hop and solving for e gives `needed`.

Evidence is gathered, similarity is not: a chance likeness reaches as many nats as a short play does, if it has enough places to
try, but is less alike. So more is asked of an alignment that is less alike than usual, and less of one that is more so (`asked`).

The confidence is a curve of its own (`evaluate/sure.py`) of all the evidence and the similarity, over the number of places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 3
"""Cohort members that may account for a similarity."""
LESS, MORE = 8.0, 12.0
"""Nats by which similarity may lower or raise it at most."""
BLAND = 1e-9
"""Below this a distinct similarity is that of silence, whose fingerprint is zero: it says nothing."""

MANY = 2048
"""Similarities of which it is worth to leave out those that say least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The fitted curve, the cohort, and the tail of the sums on unknown audio."""

    knots: NDArray[np.float32]
    """Distinct similarities, rising, [n]."""
    nats: NDArray[np.float32]
    """Value at each knot when looking for a recording, [n]; linear between, constant beyond."""
    followed: NDArray[np.float32]
    """The same for one that was found: there are no rivals any more, so less is asked of a window, [n]."""
    cohort: NDArray[np.float32]
    """Fingerprints of common sounds, [members, dim]."""
    shared: float
    """How much of the similarity of a true pair the cohort usually accounts for."""
    tail_offset: float
    tail_slope: float
    sure_offset: float
    """Log odds of a play without evidence or similarity to be right, with as much catalogued as other music on air, where a single
    fingerprint is catalogued."""
    sure_nats: float
    """By how much they rise with each nat."""
    sure_log: float
    """By how much they rise with the logarithm of the nats."""
    sure_similarity: float
    """By how much they rise with the mean similarity of the windows that speak for the recording."""
    sure_most: float = 1.0
    """Nothing is ever surer: some of what was told wrongly was as clear as could be, for the music has versions."""
    recipe: str
    """Hash of the encoder recipe it was fitted to."""
    query: str = ""
    """SHA-256 of the weights that hear the air, where they are not those that make what is stored."""
    usual: float = 0.6
    """Mean similarity of an alignment of which the needed evidence is asked, no more and no less."""
    per_similarity: float = 60.0
    """Nats more that are asked for each unit of similarity below that; both chosen on the validation split, not fitted."""
    foreground: float = 0.76
    """Median similarity of a play from which on its recording is louder than everything else together."""
    per_speed: float = 3.2
    """Share of the similarity that is lost per unit of changed speed: at 1.05, 0.05 times this."""

    def __repr__(self) -> str:
        return (
            f"Evidence(recipe {self.recipe}, cohort of {len(self.cohort)}, tail {self.tail_offset:.1f} + {self.tail_slope:.3f} e)"
        )

    @property
    def lowest(self) -> float:
        """What a window says that is not like the recording at all."""
        return float(self.nats[0])

    @property
    def highest(self) -> float:
        """What one window can say at most."""
        return float(self.nats[-1])

    def of(self, distinct: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the evidence of each distinct similarity, same shape; silence says nothing."""
        return self._read(self.nats, distinct)

    def of_followed(self, distinct: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same for a recording that was found at this place."""
        return self._read(self.followed, distinct)

    def _read(self, curve: NDArray[np.float32], distinct: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value of a curve at each distinct similarity, same shape.

        Most of what is compared is not alike at all and lies where the curve has not begun to rise: of many, only the rest is
        interpolated.
        """
        if distinct.size < MANY:
            return np.where(np.abs(distinct) < BLAND, 0.0, np.interp(distinct, self.knots, curve)).astype(np.float32)
        values = np.full(distinct.shape, curve[0], np.float32)
        rising = distinct > self.knots[max(int((curve != curve[0]).argmax()) - 1, 0)]
        values[rising] = np.interp(distinct[rising], self.knots, curve)
        values[np.abs(distinct) < BLAND] = 0.0
        return values

    def of_hit(self, similarity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return about what each plain similarity says, where the stored fingerprint is not at hand."""
        return self.of(similarity - np.float32(self.shared))

    def context(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cohort members nearest to each vector [n, dim], times their similarity to it: [n, NEAREST, dim].

        The inner product of such a row with a stored fingerprint is the similarity that the member accounts for.
        """
        similarity = vectors @ self.cohort.T
        each = np.arange(len(vectors))
        rows = np.empty((len(vectors), NEAREST, vectors.shape[1]), np.float32)
        for rank in range(NEAREST):  # a few times the best: partitioning takes ten times as long
            nearest = similarity.argmax(axis=1)
            rows[:, rank] = self.cohort[nearest] * similarity[each, nearest].clip(0.0)[:, None]
            similarity[each, nearest] = -np.inf
        return rows

    def needed(self, fingerprints: int, false_alarms_per_hop: float) -> float:
        """Return the evidence to ask for, so that unknown audio is told no more often than the budget says.

        Args:
            fingerprints: Size of the catalogue.
            false_alarms_per_hop: The budget.
        """
        chances = math.log(max(fingerprints, 1)) - math.log(false_alarms_per_hop)
        return max((chances - self.tail_offset) / self.tail_slope, 0.0)

    def asked(self, needed: float, similarity: float) -> float:
        """Return the evidence to ask of an alignment of this mean similarity, where `needed` is asked of a usual one."""
        return needed + min(max(self.per_similarity * (self.usual - similarity), -LESS), MORE)

    def is_foreground(self, similarity: float, speed: float) -> bool:
        """Say whether a recording with this median similarity was louder than all else; speed alone takes some of it away."""
        return similarity >= self.foreground * (1.0 - self.per_speed * abs(speed - 1.0))

    def confidence(self, evidence: float, similarity: float, fingerprints: int) -> float:
        """Return the probability that a play was one, as fitted to right and wrong ones.

        Args:
            evidence: All that was gathered, nats.
            similarity: Mean of the windows that speak for the recording.
            fingerprints: How many it was found among.
        """
        odds = (
            self.sure_offset
            + self.sure_nats * evidence
            + self.sure_log * math.log(max(evidence, 1.0))
            + self.sure_similarity * similarity
            - math.log(max(fingerprints, 1))
        )
        return self.sure_most / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))
