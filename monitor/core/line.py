"""Where in its recording a play is: a straight line through the positions of its windows.

The line is fitted by least squares through the sub-hop positions of the windows that speak for the recording, so it yields the
speed. Knows hops, positions and stored fingerprints. Knows nothing of when a play starts or ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import References, between, stored
from monitor.core.window import REACH, Around

FITTED = 240
"""Windows the line is fitted through: two minutes."""
BENT = 0.3
"""Hops by which the last windows may be off the line before the speed is held to have changed."""
TRUSTED = 12
"""Windows needed before the fitted speed replaces the scored one."""
REFIT_EVERY = 4
"""Points after which the line is fitted again, once there are twice as many as are TRUSTED."""
STEADY = 0.9
"""Similarity of neighbouring stored windows from which on nothing tells where between them a sound is."""
CLEAR_NATS = 1.0
"""Evidence of a window that may tell where in the recording it is."""


@dataclass(slots=True)
class Line:
    """Position in the recording, in hops, as a straight function of the stream's hop."""

    hop: float
    position: float
    speed: float

    def at(self, hop: float) -> float:
        """Return the position at a hop."""
        return self.position + self.speed * (hop - self.hop)

    def over(self, hops: NDArray[np.integer | np.floating]) -> NDArray[np.floating]:
        """Return the positions at hops [n]."""
        return self.position + self.speed * (hops - self.hop)

    def halves(self, hops: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions at hops [n] in half hops, the nearest: as fine as stored fingerprints are read."""
        found: NDArray[np.int64] = np.rint(2 * self.over(hops)).astype(np.int64)
        return found

    def when(self, position: float) -> float:
        """Return the hop at which a position is reached."""
        return self.hop + (position - self.position) / self.speed


def along(references: References, reference_id: int, line: Line, hops: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the stored fingerprints [n, dim] of a recording on a line, to half a hop, at rising hops [n]."""
    positions = line.over(hops)
    first = int(np.floor(positions[0]))
    table = stored(references, reference_id, first, int(np.floor(positions[-1])) - first + 3)
    return between(table, positions - first)


class Positions:
    """Where in the recording the windows of a play were, to a fraction of a hop, and the line through the last of them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._points: list[tuple[int, float, float]] = []
        self._unfitted = 0

    def __len__(self) -> int:
        return len(self._points)

    def note(self, hop: int, around: Around, nats: float) -> bool:
        """Keep where in the recording a window was, to a fraction of a hop; say whether it could tell.

        What lies at a fraction f between two rows is about (1 - f) of the one and f of the other. With the similarities s and t to
        them and c between them, least squares gives shares of s - c t and t - c s; noise that is like neither leaves them as they
        are.

        Args:
            hop: Of the window.
            around: What it was like to the stored ones around the line.
            nats: What the window says for the recording.
        """
        if nats <= CLEAR_NATS:
            return False
        alike = around.alike
        top = max(range(1, 2 * REACH), key=alike.__getitem__)
        side = top + 1 if alike[top + 1] > alike[top - 1] else top - 1
        common = around.beside[min(top, side)]
        here, there = alike[top] - common * alike[side], alike[side] - common * alike[top]
        if common > STEADY or here <= 0:
            return False
        shift = (side - top) * max(there, 0.0) / (here + max(there, 0.0))
        self._points.append((hop, around.near - REACH + top + shift, nats * (1.0 - common) ** 2))
        del self._points[:-FITTED]
        self._unfitted += 1
        return True

    @property
    def due(self) -> bool:
        """Whether it is time for another `fit`."""
        return len(self._points) < 2 * TRUSTED or self._unfitted >= REFIT_EVERY

    def fit(self) -> tuple[Line, bool] | None:
        """Fit the line; None: there is too little to fit it through.

        Returns:
            The line, and whether the last positions have left that through all: then the speed has changed, and they begin anew.
        """
        self._unfitted = 0
        if len(self._points) < TRUSTED or self._points[-1][0] - self._points[0][0] < TRUSTED:
            return None
        points = np.array(self._points)
        line = _fitted(points)
        if len(points) > 2 * TRUSTED:
            hops, positions, _ = points[-TRUSTED // 2 :].T
            if abs(median(positions - line.over(hops))) > BENT:
                del self._points[:-TRUSTED]
                return _fitted(points[-TRUSTED:]), True
        return line, False

    def take(self, others: Positions) -> None:
        """Go on with those of another line."""
        self._points = others._points

    def shift(self, offset: float) -> None:
        """Go on in another recording, so many hops farther on."""
        self._points = [(hop, position + offset, nats) for hop, position, nats in self._points]

    def forget(self) -> None:
        """Keep none."""
        self._points.clear()


def median(values: NDArray[np.float64]) -> float:
    """Return the median; numpy's own takes ten times as long for so few."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _fitted(points: NDArray[np.float64]) -> Line:
    """Return the line through hops, positions and weights [n, 3] by least squares, twice: the second time without the outliers.

    Where they all but coincide there is no line; its speed is 0 then.
    """
    hops, positions, weights = points.T
    line = Line(float(hops[-1]), float(positions[-1]), 0.0)
    for _ in range(2):
        share = weights / max(weights.sum(), 1e-9)
        middle, level = share @ hops, share @ positions
        spread = share @ (hops - middle) ** 2
        if spread < 1e-6:
            return line
        line = Line(float(middle), float(level), float(share @ ((hops - middle) * (positions - level)) / spread))
        off = np.abs(positions - line.over(hops))
        weights = weights * (off < max(3 * median(off), 0.1))
    return line
