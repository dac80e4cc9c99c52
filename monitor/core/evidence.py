"""What a similarity says: evidence for "this recording" against "anything else", in nats.

Knows a curve that was fitted to an encoder (`monitor evaluate fit`) and how much evidence a false-alarm budget asks for. Knows
nothing of alignments or streams.

Derivation. Let s be the inner product of the heard and the stored fingerprint. The curve is log p(s | this recording, under any
of the
conditions on air) - log p(s | another recording). Summed over the windows of an alignment it would be the log-likelihood ratio,
were windows independent; they overlap and music repeats itself, so on unknown audio the best sum E of a hop over a catalogue of N
fingerprints
is found to exceed x with probability N * exp(-(offset + slope * x)), with slope below 1. Setting that to the budget per hop and
solving for x gives `needed`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The fitted curve and the tail of its sums on unknown audio."""

    similarities: tuple[float, ...]
    """Knots of the curve, rising."""
    nats: tuple[float, ...]
    """Value at each knot; linear between, constant beyond."""
    tail_offset: float
    tail_slope: float
    recipe: str
    """Hash of the encoder recipe it was fitted to."""

    def of(self, similarity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the evidence of each similarity, same shape."""
        return np.interp(similarity, self.similarities, self.nats).astype(np.float32)

    def needed(self, fingerprints: int, false_alarms_per_hop: float) -> float:
        """Return the evidence that unknown audio exceeds no more often than the budget, for a catalogue of so many fingerprints."""
        return self.strangeness(fingerprints, false_alarms_per_hop) / self.tail_slope

    def strangeness(self, fingerprints: int, false_alarms_per_hop: float) -> float:
        """Return -log of the probability one fingerprint may have of a false alarm at one hop, less the fitted offset."""
        return max(math.log(max(fingerprints, 1)) - math.log(false_alarms_per_hop) - self.tail_offset, 0.0)

    def confidence(self, evidence: float, fingerprints: int) -> float:
        """Return the probability that the alignment is no chance one.

        Even odds where one such alignment is expected by chance in a quarter of an hour of unknown audio.
        """
        return 1.0 / (1.0 + math.exp(-min(self.tail_slope * evidence - self.strangeness(fingerprints, 1 / 1800), 50.0)))

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Read what `to_json` wrote.

        Raises:
            ValueError: The text is no such thing.
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "similarities": tuple(fields["similarities"]), "nats": tuple(fields["nats"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not an evidence file: {error!r}") from error
