"""Where a sample of a stream lies in UTC, and how sure that is.

Knows positions and the arrival times it is told. Reads no clock; knows nothing of chunks, files or networks.

A sample at position p (whole samples, rate r) that arrives at a(p) on the monotonic clock arrives with the lateness
a(p) - p / r. Lateness is a constant (when the connection's position 0 would have arrived) plus a delay that is never negative:
a server that sends its buffer on connecting makes the first samples look late, and so does every hiccup of the network. The
constant is therefore the lower envelope of the lateness, the classic estimate of one-way clock filters (NTP's clock filter
takes the minimum of eight delays for the same reason). The clocks of sender and receiver drift apart by some 50 ppm at
most, so the minimum is taken within a horizon around the position and not over all time: 5 minutes let 15 ms pass.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

BLOCK_S = 5.0
"""Lateness is kept as one minimum per block of media time."""
FLOOR_S = 0.15
"""Half a chunk of sound plus what a resampler and a decoder hold back: no anchor is better than this."""
KEEP_BLOCKS = 2160
"""Three hours of blocks, some 0.3 MB a stream; what is older is placed by the oldest block kept."""


@dataclass(slots=True, kw_only=True)
class _Block:
    """The lateness of one stretch of one connection."""

    epoch: int
    position: int
    least_s: float
    most_s: float
    wall_s: float
    """UTC minus the monotonic clock, as last told in this block: steps of the wall clock stay where they happened."""


class Timeline:
    """Maps media positions of one stream to UTC, connection by connection."""

    def __init__(self, *, rate_hz: int, hop_samples: int, horizon_s: float = 300.0) -> None:
        self._rate_hz = rate_hz
        self._hop = hop_samples
        self._block_samples = round(BLOCK_S * rate_hz)
        self._reach = max(round(horizon_s / BLOCK_S / 2), 1)
        self._blocks: list[_Block] = []
        self._epoch = 0
        self._end = 0

    def begin(self, now_s: float) -> int:
        """Start a new connection, whose first sound is here now; return the position of its first sample, on the hop grid.

        Media time runs on while there is no sound: the position is where the last connection would be by now, and at least
        a hop behind its last sample, so that a gap is always seen as one.
        """
        self._epoch += 1
        if not self._blocks:
            return 0
        due = round((now_s - self._least_s(len(self._blocks) - 1)) * self._rate_hz)
        self._end = -(-max(due, self._end + self._hop) // self._hop) * self._hop
        return self._end

    def heard(self, end: int, now_s: float, wall_minus_monotonic_s: float) -> None:
        """Note that the sound of the current connection up to position `end` has arrived by now."""
        late_s = now_s - end / self._rate_hz
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.epoch != self._epoch or end >= last.position + self._block_samples:
            self._blocks.append(
                _Block(epoch=self._epoch, position=self._end, least_s=late_s, most_s=late_s, wall_s=wall_minus_monotonic_s)
            )
            if len(self._blocks) > 2 * KEEP_BLOCKS:
                self._blocks = self._blocks[KEEP_BLOCKS:]  # a new list: another thread may be reading the old one
        else:
            last.least_s = min(last.least_s, late_s)
            last.most_s = max(last.most_s, late_s)
            last.wall_s = wall_minus_monotonic_s
        self._end = end

    def utc_s(self, position: int) -> tuple[float, float]:
        """Return UTC seconds of a position and the half width of the interval it lies in with 95 % probability.

        It is the time at which the sample was received (or would have been, without the network's hiccups); what the
        station and its servers took before is not known here. Positions in a gap are placed by the connection before it.

        Raises:
            LookupError: No sound has been heard yet.
        """
        blocks = self._blocks
        if not blocks:
            raise LookupError("no sound has been heard yet")
        at = max(bisect_right(blocks, position, key=lambda block: block.position) - 1, 0)
        near = self._near(blocks, at)
        minima_s = sorted(block.least_s for block in near)
        # A first block knows only its own spread. Later the median minimum says how close to the envelope the sound usually
        # comes; the maximum would let one burst on connecting blur the next minutes.
        usual_s = minima_s[len(near) // 2] if len(near) > 1 else near[0].most_s
        return position / self._rate_hz + minima_s[0] + blocks[at].wall_s, FLOOR_S + usual_s - minima_s[0]

    def _near(self, blocks: list[_Block], at: int) -> list[_Block]:
        """Blocks of the same connection within the horizon."""
        epoch = blocks[at].epoch
        return [block for block in blocks[max(at - self._reach, 0) : at + self._reach + 1] if block.epoch == epoch]

    def _least_s(self, at: int) -> float:
        return min(block.least_s for block in self._near(self._blocks, at))
