"""Where a sample of a stream lies in UTC, and how sure that is.

Knows positions, the arrival times it is told and the stamps a station put on its sound. Reads no clock; knows nothing of chunks,
files or networks.

A sample at position p (whole samples, rate r) that arrives at a(p) on the monotonic clock arrives with the lateness
a(p) - p / r. Lateness is a constant (when the connection's position 0 would have arrived) plus a delay that is never negative:
a server that sends its buffer on connecting makes the first samples look late, and so does every hiccup of the network. The
constant is therefore the lower envelope of the lateness, the classic estimate of one-way clock filters (NTP's clock filter
takes the minimum of eight delays for the same reason). The clocks of sender and receiver drift apart, by 200 ppm where a sound
card is bad, so the minimum is taken within a horizon around the position and not over all time: 5 minutes let 60 ms pass.

A pause in the arrival was a delay if what comes after it catches up with the envelope, and a loss if it does not: then the envelope
steps up there, and nothing before it speaks for what comes after. Until so much has come that this is decided, the step counts as
uncertainty. What is lost is lost for good: a step that later sound falls below after all was a long delay, and is taken back.

Where a station states the time of its sound (`StampKind.PROGRAMME`) that is believed, if it is near the time of arrival: it says
when the sound was made and not when it was received. A running counter of the medium (`StampKind.MEDIA`) shows what was lost on
the way at once, where arrival needs seconds to tell.

All positions are told by the wall clock as it is now, whatever it was when they came: a step mostly puts a mistake right, and what
lies between two positions stays what it was.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from monitor.messages import Stamp, StampKind

BLOCK_S = 5.0
"""Lateness is kept as one minimum per block of media time."""
FLOOR_S = 0.15
"""Half a chunk of sound plus what a resampler and a decoder hold back: no anchor is better than this."""
KEEP_BLOCKS = 2160
"""Three hours of blocks, 0.1 MB a stream; what is older is placed by the oldest block kept. Twice as many stated times are kept."""
SETTLED_S = 2.0
"""A server's buffer comes within so long of connecting; how late sound comes after that is the network's."""
PAUSE_S = 1.0
"""Longer without sound than this may have been a loss."""
STEP_S = 0.75
"""By so much the envelope must have moved over a pause to call it one."""
JUDGED_S = 15.0
"""Media time on both sides of a pause that decides: players are sent segments of at most 10 s, and the end of one is on time."""
WALL_STEP_S = 0.05
"""What the wall clock moves against the monotonic one from one chunk to the next: NTP slews by 500 ppm, more was a step."""
BELIEVED_S = (-600.0, 5.0)
"""How far a stated time may lie from the time of arrival; beyond it the station's clock is wrong."""
LOST_S = (0.1, 3600.0)
"""What a counter may run ahead of the sound: less is rounding, more is another counter."""


class _Blocks:
    """The lateness of stretches of connections, oldest first, in columns that take all their memory at once."""

    def __init__(self, room: int) -> None:
        self._count = 0
        self._room = room
        self.epoch = array("q", bytes(8 * room))
        self.position = array("q", bytes(8 * room))
        self.least_s = array("d", bytes(8 * room))
        self.most_s = array("d", bytes(8 * room))
        self.settled_s = array("d", bytes(8 * room))
        """The most after the server's buffer was through."""
        self.paused = array("b", bytes(room))
        """No sound had come for a while before it."""

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return self._count == self._room

    def add(self, *, epoch: int, position: int, late_s: float, settled_s: float, paused: bool) -> None:
        """Begin a block; one that reads meanwhile does not see it before it is whole."""
        at = self._count
        self.epoch[at], self.position[at], self.paused[at] = epoch, position, paused
        self.least_s[at] = self.most_s[at] = late_s
        self.settled_s[at] = settled_s
        self._count = at + 1

    def widen(self, late_s: float, settled_s: float) -> None:
        """Take more into the newest block."""
        at = self._count - 1
        self.least_s[at] = min(self.least_s[at], late_s)
        self.most_s[at] = max(self.most_s[at], late_s)
        self.settled_s[at] = max(self.settled_s[at], settled_s)

    def tail(self, count: int) -> _Blocks:
        """Return a copy of the newest, with the same room."""
        copy = _Blocks(self._room)
        kept = slice(self._count - count, self._count)
        for name in ("epoch", "position", "least_s", "most_s", "settled_s", "paused"):
            getattr(copy, name)[:count] = getattr(self, name)[kept]
        copy._count = count
        return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchor:
    """A time the station stated: UTC of position 0 by it."""

    epoch: int
    position: int
    offset_s: float


class Timeline:
    """Maps media positions of one stream to UTC, connection by connection. Told by one thread, asked by any."""

    def __init__(self, *, rate_hz: int, hop_samples: int, horizon_s: float = 300.0) -> None:
        self._rate_hz = rate_hz
        self._hop = hop_samples
        self._block_samples = round(BLOCK_S * rate_hz)
        self._reach = max(round(horizon_s / BLOCK_S / 2), 1)
        self._blocks = _Blocks(KEEP_BLOCKS + KEEP_BLOCKS // 8)
        self._anchors: list[_Anchor] = []
        self._wall_s = 0.0
        """UTC minus the monotonic clock, as last told."""
        self._steps: list[tuple[int, float]] = []
        """Steps of the wall clock: position and size."""
        self._counted: tuple[int, float] | None = None
        """The last stamp of the medium's counter: position and seconds."""
        self._ahead_s = 0.0
        """By so much jumps to the hop grid were longer than the losses they stand for: the next one is shorter by it."""
        self._epoch = 0
        self._base = self._end = 0
        """Position of the connection's first sample, were nothing lost since; position after the last sample."""
        self._began_s = self._last_s = 0.0

    def begin(self, now_s: float) -> int:
        """Start a new connection, whose first sound is here now; return the position of its first sample, on the hop grid.

        Media time runs on while there is no sound: the position is where the last connection would be by now, and at least
        a hop behind its last sample, so that a gap is always seen as one.
        """
        self._epoch += 1
        self._began_s = now_s
        self._counted, self._ahead_s = None, 0.0
        if self._blocks:
            due = round((now_s - self._least_s(len(self._blocks) - 1)) * self._rate_hz)
            self._end = self._on_grid(max(due, self._end + self._hop))
        self._base = self._end
        return self._end

    def stamped(self, stamp: Stamp) -> int:
        """Take a stamp of the present connection; return how many samples media time jumps by before the next sound.

        A programme's time may be told before or after its sound; a counter belongs to the next sample that comes.
        """
        if stamp.kind is StampKind.PROGRAMME:
            position = self._base + stamp.sample
            anchors = [
                *self._anchors,
                _Anchor(epoch=self._epoch, position=position, offset_s=stamp.seconds - position / self._rate_hz),
            ]
            anchors.sort(key=lambda anchor: anchor.position)
            self._anchors = anchors[-2 * KEEP_BLOCKS :]  # a new list: another thread may be reading the old one
            return 0
        before, self._counted = self._counted, (self._end, stamp.seconds)
        if before is None:
            return 0
        counted_s = stamp.seconds - before[1]
        if stamp.period_s:
            counted_s %= stamp.period_s
        lost_s = counted_s - (self._end - before[0]) / self._rate_hz
        if not LOST_S[0] <= lost_s <= LOST_S[1]:
            return 0
        owed_s = lost_s - self._ahead_s
        if owed_s < LOST_S[0]:
            self._ahead_s = -owed_s
            return 0
        begin = self._on_grid(self._end + round(owed_s * self._rate_hz))
        self._ahead_s = (begin - self._end) / self._rate_hz - owed_s
        jump, self._end = begin - self._end, begin
        self._base += jump
        self._counted = (begin, stamp.seconds)
        return jump

    def heard(self, end: int, now_s: float, wall_minus_monotonic_s: float) -> None:
        """Note that the sound of the current connection up to position `end` has arrived by now."""
        late_s = now_s - end / self._rate_hz
        settled_s = late_s if now_s - self._began_s >= SETTLED_S else float("-inf")
        blocks = self._blocks
        newest = len(blocks) - 1
        if blocks and abs(wall_minus_monotonic_s - self._wall_s) > WALL_STEP_S:
            self._steps = [*self._steps[-99:], (self._end, wall_minus_monotonic_s - self._wall_s)]
        self._wall_s = wall_minus_monotonic_s
        same = bool(blocks) and blocks.epoch[newest] == self._epoch
        paused = same and now_s - self._last_s >= PAUSE_S
        if not same or paused or end >= blocks.position[newest] + self._block_samples:
            if blocks.full:
                blocks = self._blocks = blocks.tail(KEEP_BLOCKS)  # a new one: another thread may be reading the old one
            blocks.add(epoch=self._epoch, position=self._end, late_s=late_s, settled_s=settled_s, paused=paused)
        else:
            blocks.widen(late_s, settled_s)
        self._end, self._last_s = end, now_s

    def utc_s(self, position: int) -> tuple[float, float]:
        """Return UTC seconds of a position and the half width of the interval it lies in with 95 % probability.

        It is the time the station states, where it does; otherwise that at which the sample was received (or would have been,
        without the network's hiccups), and what the station and its servers took before is not known. Positions in a gap are
        placed by the connection before it.

        Raises:
            LookupError: No sound has been heard yet.
        """
        blocks = self._blocks
        if not blocks:
            raise LookupError("no sound has been heard yet")
        at = max(bisect_right(blocks.position, position, 0, len(blocks)) - 1, 0)
        utc_s, uncertainty_s = self._by_arrival(blocks, at, position)
        stated = self._by_statement(blocks.epoch[at], position, utc_s)
        if stated is not None:
            return stated
        # The wall clock was wrong before a step or is now; which nobody can tell.
        return utc_s, uncertainty_s + abs(sum(size_s for stepped, size_s in self._steps if stepped > position))

    def _by_arrival(self, blocks: _Blocks, at: int, position: int) -> tuple[float, float]:
        near, doubt_s = self._near(blocks, at)
        least_s = blocks.least_s[near]
        envelope_s = min(least_s)
        # How close to the envelope the sound usually comes: the median of the minima of the horizon's parts, so that neither one
        # burst nor the rhythm of segments counts as doubt. While there are no parts yet, all that came after the server's buffer.
        size = min(len(least_s) // 4, 6)
        if size:
            parts_s = sorted(min(least_s[i : i + size]) for i in range(0, len(least_s), size))
            usual_s = parts_s[len(parts_s) // 2]
        else:
            usual_s = max(blocks.settled_s[near])
            if usual_s == float("-inf"):
                usual_s = max(blocks.most_s[near])
        uncertainty_s = FLOOR_S + max(usual_s - envelope_s, 0.0) + doubt_s
        return position / self._rate_hz + envelope_s + self._wall_s, uncertainty_s

    def _by_statement(self, epoch: int, position: int, arrived_utc_s: float) -> tuple[float, float] | None:
        """Place a position by the station's own times: by those around it that agree; None where there are none to be believed."""
        anchors = [anchor for anchor in self._anchors if anchor.epoch == epoch]
        if not anchors:
            return None
        at = max(bisect_right(anchors, position, key=lambda anchor: anchor.position) - 1, 0)
        first, last = at, at + 1
        reach = self._reach * self._block_samples
        while first > 0 and _agree(anchors[first - 1], anchors[first]) and position - anchors[first - 1].position < reach:
            first -= 1
        while last < len(anchors) and _agree(anchors[last - 1], anchors[last]) and anchors[last].position - position < reach:
            last += 1
        offsets_s = sorted(anchor.offset_s for anchor in anchors[first:last])
        offset_s = offsets_s[len(offsets_s) // 2]
        utc_s = position / self._rate_hz + offset_s
        if not BELIEVED_S[0] <= utc_s - arrived_utc_s <= BELIEVED_S[1]:
            return None
        return utc_s, FLOOR_S + (offsets_s[-1] - offsets_s[0]) / 2

    def _near(self, blocks: _Blocks, at: int) -> tuple[slice, float]:
        """Return which blocks are of the same connection within the horizon and between the steps around, and what is undecided."""
        first, doubt_s = at, 0.0
        while first > max(at - self._reach, 0) and blocks.epoch[first - 1] == blocks.epoch[at]:
            step_s, judged = self._step_s(blocks, first)
            if judged and step_s > STEP_S:
                break
            doubt_s += 0.0 if judged else max(step_s, 0.0)
            first -= 1
        last = at + 1
        while last < min(at + self._reach + 1, len(blocks)) and blocks.epoch[last] == blocks.epoch[at]:
            step_s, judged = self._step_s(blocks, last)
            if judged and step_s > STEP_S:
                break
            last += 1
        return slice(first, last), doubt_s

    def _step_s(self, blocks: _Blocks, at: int) -> tuple[float, bool]:
        """Return by how much the envelope rose over the pause before a block, and whether enough was heard since to say so."""
        if not blocks.paused[at]:
            return 0.0, True
        span = round(JUDGED_S * self._rate_hz)
        border, epoch = blocks.position[at], blocks.epoch[at]

        def least_s(start: int, step: int, inside: Callable[[int], bool]) -> float:
            found_s, i = float("inf"), start
            while 0 <= i < len(blocks) and blocks.epoch[i] == epoch and inside(blocks.position[i]):
                found_s = min(found_s, blocks.least_s[i])
                i += step
            return found_s

        before_s = least_s(at - 1, -1, lambda position: position > border - span)
        after_s = least_s(at, 1, lambda position: position < border + self._reach * self._block_samples)
        judged = blocks.epoch[len(blocks) - 1] != epoch or self._end - border >= span
        return after_s - before_s, judged

    def _least_s(self, at: int) -> float:
        return min(self._blocks.least_s[self._near(self._blocks, at)[0]])

    def _on_grid(self, position: int) -> int:
        return -(-position // self._hop) * self._hop


def _agree(one: _Anchor, other: _Anchor) -> bool:
    return abs(one.offset_s - other.offset_s) < STEP_S
