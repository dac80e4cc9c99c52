"""The clock of a stream against the truth, over simulated days: `core/timeline.py`, fed as `capture/mending.py` feeds it.

Knows made-up senders, servers and networks, and what they really sent when. Sound is a count of samples. A moment of sound is asked
for 4 s after it was heard, as for a play that begins, and again a minute later, as for one that ends.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.core.recipe import Recipe
from monitor.core.timeline import Timeline
from monitor.messages import Stamp, StampKind

PIECE_S = 0.25
CHECK_EVERY = 40
"""Pieces between moments that are asked for."""
ASKED_AFTER = (16, 240)
"""Pieces after which each is asked for."""
UTC_S = 1_800_000_000.0
WRAP_S = 2**33 / 90_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a stream goes through. Rates are per hour."""

    name: str
    jitter_s: float = 0.005
    """Mean of the network's delay, exponential."""
    hiccups: float = 0.0
    """Up to 4 s without sound, then all of it at once."""
    drift_ppm: float = 0.0
    """By so much the sender's clock is slow."""
    burst_s: float = 4.0
    """What the server sends at once on connecting."""
    drops: float = 0.0
    """Connections lost, for half a second to five minutes."""
    losses: float = 0.0
    """Sound lost within a connection, 2 to 30 s."""
    segment_s: float = 0.0
    """Sound comes in segments, each up to 2 s late."""
    stamps: StampKind | None = None
    wrong: float = 0.0
    """Times the receiver's clock goes wrong, by up to a second, for ten minutes, until it is stepped back."""


LIVES: Sequence[Life] = (
    Life(name="clean"),
    Life(name="jitter, mean 150 ms, and hiccups", jitter_s=0.15, hiccups=6.0),
    Life(name="sender 200 ppm slow", drift_ppm=200.0),
    Life(name="sender 200 ppm fast", drift_ppm=-200.0),
    Life(name="lost connections, bursts", drops=3.0, jitter_s=0.05),
    Life(name="lost sound on one connection", losses=3.0, jitter_s=0.05),
    Life(name="lost sound, PTS that wraps", losses=6.0, jitter_s=0.05, burst_s=0.0, stamps=StampKind.MEDIA),
    Life(name="segments of 6 s", segment_s=6.0, drops=0.5),
    Life(name="segments of 6 s, time stated", segment_s=6.0, drops=0.5, losses=1.0, stamps=StampKind.PROGRAMME),
    Life(name="clock of the receiver wrong for 10 min, then stepped", wrong=0.17),
    Life(
        name="all of it, PTS that wraps",
        jitter_s=0.1,
        hiccups=2.0,
        drift_ppm=200.0,
        drops=1.0,
        losses=1.0,
        stamps=StampKind.MEDIA,
        wrong=0.17,
    ),
)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How far off, and how sure, at each of `ASKED_AFTER`."""

    errors_s: tuple[list[float], ...] = field(default_factory=lambda: tuple([] for _ in ASKED_AFTER))
    uncertain_s: tuple[list[float], ...] = field(default_factory=lambda: tuple([] for _ in ASKED_AFTER))
    connections: int = 0

    def inside(self, at: int) -> float:
        """Return the share of moments that were within the stated uncertainty."""
        pairs = list(zip(self.errors_s[at], self.uncertain_s[at], strict=True))
        return sum(error <= uncertain for error, uncertain in pairs) / max(len(pairs), 1)


def simulate(life: Life, hours: float, seed: int, recipe: Recipe) -> Outcome:
    """Live through so many hours of a stream."""
    return _Stream(life, seed, recipe).run(hours)


def table(hours: float, seed: int, lives: Sequence[Life] = LIVES) -> str:
    """Simulate all lives and write the table."""
    recipe = Recipe(name="clock")
    head = (
        f"{hours:g} h each, a moment every {CHECK_EVERY * PIECE_S:g} s; asked after {ASKED_AFTER[0] * PIECE_S:g} s and after "
        f"{ASKED_AFTER[1] * PIECE_S:g} s\n\n| stream | connections | inside the uncertainty, % | off by, s: median / 95 % / most "
        "| uncertainty, s: median / 95 % |\n|---|---|---|---|---|"
    )
    rows = []
    for life in lives:
        outcome = simulate(life, hours, seed, recipe)
        inside = "; ".join(f"{100 * outcome.inside(at):.2f}" for at in range(len(ASKED_AFTER)))
        off = "; ".join(_quantiles(errors, (0.5, 0.95, 1.0)) for errors in outcome.errors_s)
        sure = "; ".join(_quantiles(values, (0.5, 0.95)) for values in outcome.uncertain_s)
        rows.append(f"| {life.name} | {outcome.connections} | {inside} | {off} | {sure} |")
    return "\n".join([head, *rows])


class _Stream:
    """One simulated stream. True time counts from 0; the sender's piece k is made when its clock says (k + 1) pieces."""

    def __init__(self, life: Life, seed: int, recipe: Recipe) -> None:
        self._life, self._draw, self._recipe = life, random.Random(seed), recipe
        self._piece = round(PIECE_S * recipe.sample_rate_hz)
        self._timeline = Timeline(rate_hz=recipe.sample_rate_hz, hop_samples=recipe.hop_samples)
        self._outcome = Outcome()
        self._checks: tuple[deque[tuple[int, int, float]], ...] = tuple(deque() for _ in ASKED_AFTER)
        self._next: dict[str, float] = {what: self._due(what, 0.0) for what in ("hiccups", "drops", "losses", "wrong")}
        self._wrong_s, self._right_again_s = 0.0, math.inf
        self._held_until_s = 0.0
        """Nothing comes before this: a hiccup."""
        self._late_s, self._segment = 0.0, -1

    def run(self, hours: float) -> Outcome:
        """Live."""
        number, now_s, count = 0, 0.0, 0
        position: int | None = None
        while now_s < hours * 3600.0:
            made_s = self._made_s(number)
            if position is not None and made_s > self._next["drops"]:
                now_s = max(now_s, made_s) + math.exp(self._draw.uniform(math.log(0.5), math.log(300.0)))
                self._next["drops"], position = self._due("drops", now_s), None
                number = self._newest(now_s)
                continue
            if position is not None and made_s > self._next["losses"]:
                number += round(self._draw.uniform(2.0, 30.0) / PIECE_S)
                self._next["losses"] = self._due("losses", self._made_s(number))
                continue
            now_s = self._arrival(made_s, now_s)
            if position is None:
                position, count = self._timeline.begin(now_s), 0
                self._outcome.connections += 1
            position += self._stamp(number, count)
            self._timeline.heard(position + self._piece, now_s, UTC_S + self._error_s(now_s))
            self._check(number, position, count)
            position, number, count = position + self._piece, number + 1, count + 1
        return self._outcome

    def _made_s(self, number: int) -> float:
        return (number + 1) * PIECE_S * (1 + self._life.drift_ppm * 1e-6)

    def _newest(self, now_s: float) -> int:
        """Return the first piece that a server sends who connects now."""
        burst_s = 3 * self._life.segment_s if self._life.segment_s else self._life.burst_s
        number = int((now_s - burst_s) / PIECE_S / (1 + self._life.drift_ppm * 1e-6))
        if self._life.segment_s:
            number -= number % round(self._life.segment_s / PIECE_S)
        return max(number, 0)

    def _arrival(self, made_s: float, now_s: float) -> float:
        """Return when a piece comes; pieces keep their order."""
        life = self._life
        if life.segment_s:
            segment = math.ceil(made_s / life.segment_s - 1e-9)
            if segment != self._segment:
                self._segment, self._late_s = segment, self._draw.uniform(0.0, 2.0) * self._draw.random()
            return max(now_s, segment * life.segment_s + self._late_s)
        if made_s > self._next["hiccups"]:
            self._held_until_s = made_s + self._draw.uniform(0.5, 4.0)
            self._next["hiccups"] = self._due("hiccups", made_s)
        return max(now_s, made_s + self._draw.expovariate(1 / life.jitter_s), self._held_until_s)

    def _stamp(self, number: int, count: int) -> int:
        """Put on a piece what the station puts on it; return by how much media time jumps."""
        start_s = number * PIECE_S
        if self._life.stamps is StampKind.MEDIA:
            return self._timeline.stamped(Stamp(kind=StampKind.MEDIA, seconds=(start_s + 80_000.0) % WRAP_S, period_s=WRAP_S))
        if self._life.stamps is StampKind.PROGRAMME and number % round(self._life.segment_s / PIECE_S) == 0:
            stated_s = UTC_S + self._made_s(number - 1) + self._draw.uniform(-0.02, 0.02)
            self._timeline.stamped(Stamp(kind=StampKind.PROGRAMME, seconds=stated_s, sample=count * self._piece))
        return 0

    def _error_s(self, now_s: float) -> float:
        """Return by how much the receiver's clock is wrong."""
        if now_s > self._right_again_s:
            self._wrong_s, self._right_again_s = 0.0, math.inf
        if now_s > self._next["wrong"]:
            self._wrong_s, self._right_again_s = self._draw.uniform(-1.0, 1.0), now_s + 600.0
            self._next["wrong"] = self._due("wrong", now_s + 600.0)
        return self._wrong_s

    def _check(self, number: int, position: int, count: int) -> None:
        """Ask for what is due, and note a moment to be asked for."""
        for at, (after, waiting) in enumerate(zip(ASKED_AFTER, self._checks, strict=True)):
            while waiting and waiting[0][0] + after <= number:
                _, asked, true_s = waiting.popleft()
                utc_s, uncertain_s = self._timeline.utc_s(asked)
                self._outcome.errors_s[at].append(abs(utc_s - UTC_S - true_s))
                self._outcome.uncertain_s[at].append(uncertain_s)
            if count and number % CHECK_EVERY == CHECK_EVERY // 2:
                waiting.append((number, position, self._made_s(number - 1)))

    def _due(self, what: str, now_s: float) -> float:
        rate: float = getattr(self._life, what)
        return now_s + self._draw.expovariate(rate / 3600.0) if rate else math.inf


def _quantiles(values: Sequence[float], wanted: Sequence[float]) -> str:
    ranked = sorted(values) or [math.nan]
    return " / ".join(f"{ranked[min(int(share * len(ranked)), len(ranked) - 1)]:.2f}" for share in wanted)
