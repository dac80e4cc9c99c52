"""What fixes the meaning of a fingerprint: sound in, network, numbers out.

A recipe is not a setting. It is stored with the weights, with every catalogue and with every index; two that differ cannot be
compared, and `differences` says in what they differ.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

NOT_MEL = frozenset({"name", "hop_samples", "silence_db", "fine_bins", "network", "dim", "weights_sha256"})
"""Fields that do not change the mel spectrogram of a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that must be equal for two fingerprints to be comparable."""

    name: str
    """Name of the encoder, for people; not part of the hash."""
    sample_rate_hz: int = 8000
    window_samples: int = 8000
    hop_samples: int = 4000
    fft_samples: int = 1024
    fft_hop_samples: int = 256
    mel_bins: int = 128
    """0: no mel spectrogram is shown, the fine one alone."""
    mel_low_hz: float = 30.0
    mel_high_hz: float = 4000.0
    fine_bins: int = 0
    """Bands of a second spectrogram, with finer frequencies in the bass (`encoder/features.py`); 0: there is none."""
    dynamic_range_db: float = 80.0
    """Level range below the window's own maximum that the features keep."""
    silence_db: float = -66.0
    """Windows below this level (dBFS, mean power) have the fingerprint zero: scaled up, they would be but noise."""
    network: str = "compact"
    """Name in the registry of `encoder/networks.py`."""
    dim: int = 128
    weights_sha256: str = ""
    """Hash of the tensors, in order of their names."""

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 over every field but the name, and without `fine_bins` where there are none.

        Catalogues hold it, and there are some from before that field.
        """
        return _digest({key: value for key, value in asdict(self).items() if key != "name" and (key, value) != ("fine_bins", 0)})

    @property
    def mel(self) -> str:
        """First 16 hex digits of the SHA-256 over the fields that decide the mel spectrogram."""
        return _digest({key: value for key, value in asdict(self).items() if key not in NOT_MEL})

    @property
    def bins(self) -> int:
        """Rows that a network is shown."""
        return self.mel_bins + self.fine_bins

    @property
    def hop_s(self) -> float:
        """Seconds between fingerprints."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def window_s(self) -> float:
        """Seconds a fingerprint sees."""
        return self.window_samples / self.sample_rate_hz

    def differences(self, other: Recipe) -> list[str]:
        """Say in words what differs, `field: mine != theirs`, names left out."""
        return [
            f"{f.name}: {getattr(self, f.name)} != {getattr(other, f.name)}"
            for f in fields(self)
            if f.name != "name" and getattr(self, f.name) != getattr(other, f.name)
        ]

    def to_json(self) -> str:
        """Write every field as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote.

        Raises:
            ValueError: The text is not a recipe.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not an encoder recipe: {error}") from error


def _digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
