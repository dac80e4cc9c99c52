"""What was heard of one station, piece by piece: music, speech, silence, or received and never analysed.

Knows positions, hops, and what was said of each window. Knows nothing of UTC, plays or disks.

Media time is cut into cells of one hop. A cell is seen by the windows that begin at it and one hop before it. It is silent when one
of them is below the station's silence level, and at least `SILENCE_S` on end are; otherwise it is music or speech by the mean odds
of the windows within `SMOOTH_S` around it, because nobody plays half a second of music. A cell that no window saw was shed,
once a later one was seen, or once it is `OVERDUE_S` old. The end of a connection that is too short for a window of its own is what
came before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitor.core.recipe import Recipe
from monitor.messages import AirState

SMOOTH_S = 3.0
"""Odds are averaged over so much before and after: chosen on the validation split, see `monitor evaluate classes`."""
SILENCE_S = 2.0
"""Shorter pauses belong to what is around them: people breathe."""
OVERDUE_S = 60.0
"""What was not analysed by then never will be: the batcher sheds much sooner."""
MOST_ODDS = 4.0
"""No single window may outvote its neighbours by more, in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Samples [first, end) of media time that are all one thing."""

    first: int
    end: int
    state: AirState


@dataclass(slots=True)
class _Range:
    """Samples that came without a gap."""

    first: int
    end: int


class Hearing:
    """One station's windows on the way into the ledger. Bounded: what is settled is forgotten."""

    def __init__(self, recipe: Recipe, *, silence_db: float) -> None:
        self._rate_hz, self._hop, self._window = recipe.sample_rate_hz, recipe.hop_samples, recipe.window_samples
        self._reach = round(SMOOTH_S / recipe.hop_s)
        self._quiet = round(SILENCE_S / recipe.hop_s)
        self._ahead = max(self._reach, self._quiet)
        self._silence_db = silence_db
        self._ranges: list[_Range] = []
        self._windows: dict[int, tuple[float, bool]] = {}
        """Odds of music in nats, and whether it is silent, of each window that was analysed."""
        self._newest = -1
        self._done = 0

    def __repr__(self) -> str:
        return f"Hearing(settled to {self._done}, {len(self._ranges)} ranges, {len(self._windows)} windows)"

    def received(self, position: int, samples: int) -> None:
        """Note that sound came in: `samples` of it, from `position` on, positions rising."""
        if self._ranges and self._ranges[-1].end == position:
            self._ranges[-1].end += samples
        else:
            self._ranges.append(_Range(position, position + samples))

    def analysed(self, hop: int, music: float, level_db: float) -> None:
        """Note what a window was: the probability that it is music, and its level; hops rise."""
        odds = math.log(max(music, 1e-9) / max(1.0 - music, 1e-9))
        self._windows[hop] = (min(max(odds, -MOST_ODDS), MOST_ODDS), level_db < self._silence_db)
        self._newest = max(self._newest, hop)

    def settle(self, *, over: bool = False) -> list[Stretch]:
        """Return what can be said for good since the last call, in order, without overlap; `over`: nothing more is to come."""
        stretches: list[Stretch] = []
        for place, one in enumerate(self._ranges):
            ended = over or place + 1 < len(self._ranges)
            limit = one.end if over else self._limit(one, ended=ended)
            first = max(one.first, self._done)
            while first < limit:
                cell = first // self._hop
                end = min((cell + 1) * self._hop, one.end)
                if end > limit:
                    break
                _add(stretches, Stretch(first=first, end=end, state=self._state(cell, one)))
                self._done = first = end
            if first < one.end:
                break
        self._ranges = [one for one in self._ranges if one.end > self._done or one is self._ranges[-1]]
        oldest = self._done // self._hop - self._ahead - 2
        self._windows = {hop: said for hop, said in self._windows.items() if hop >= oldest}
        return stretches

    def _limit(self, one: _Range, *, ended: bool) -> int:
        """Return up to which sample nothing that is still to come changes what is said."""
        known = (self._newest - self._ahead) * self._hop
        if ended and self._newest >= (one.end - self._window) // self._hop:
            known = one.end
        return min(max(known, self._ranges[-1].end - round(OVERDUE_S * self._rate_hz)), one.end)

    def _state(self, cell: int, one: _Range) -> AirState:
        if not self._seen(cell) and (cell + 1) * self._hop > one.end:
            cell -= 1  # the end of the connection, shorter than a window: as before it
        if not self._seen(cell) or cell * self._hop < one.first:
            return AirState.SHED
        if self._silent(cell):
            return AirState.SILENCE
        around = (self._windows.get(hop) for hop in range(cell - self._reach, cell + self._reach))
        odds = [said[0] for said in around if said is not None and not said[1]]
        return AirState.MUSIC if sum(odds) > 0.0 else AirState.SPEECH

    def _seen(self, cell: int) -> bool:
        return cell in self._windows or cell - 1 in self._windows

    def _silent(self, cell: int) -> bool:
        """Say whether the cell is one of so many silent ones on end."""
        run = 1 if self._quiet_at(cell) else 0
        for step in (-1, 1):
            at = cell + step
            while run and run < self._quiet and self._quiet_at(at):
                run += 1
                at += step
        return run >= self._quiet

    def _quiet_at(self, cell: int) -> bool:
        return any(said is not None and said[1] for said in (self._windows.get(cell - 1), self._windows.get(cell)))


def _add(stretches: list[Stretch], new: Stretch) -> None:
    """Append, as a part of the last one where it only goes on."""
    last = stretches[-1] if stretches else None
    if last is not None and last.end == new.first and last.state is new.state:
        stretches[-1] = Stretch(first=last.first, end=new.end, state=new.state)
    else:
        stretches.append(new)
