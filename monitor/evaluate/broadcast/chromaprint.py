"""Chromaprint on the same audio: what an operator gets from Debian's fpcalc with the library's own rule for finding one in another.

The rule is that of `FingerprintMatcher` in Chromaprint 1.5 (src/fingerprint_matcher.cpp, Lalinsky, 2016): items of equal upper
twelve bits vote for an offset; along the best offset the differing bits are counted, smoothed (sigma 8 items), and cut where
the gradient of the smoothed count peaks above 0.15; stretches with fewer than ten differing bits of 32 on average match,
neighbours of like score are joined. The rule gives one offset for each pair, so a station is asked a minute at a time, as BAF
does.

Used as it is it names something in nearly all unknown music. So its two numbers, the differing bits and a least length, are
chosen on the run itself, in its favour: the best F1 over the other conditions among those pairs that raise no false alarm on
the unknown scenes. Its catalogue has no impostors.

Knows raw fingerprints and seconds; Chromaprint's item rate is that of 11,025 Hz, frames of 4096, a third apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from monitor.evaluate.broadcast.score import Segment, seconds

ITEM_S = 4096 // 3 / 11025
DELAY_S = (15 + 4) * ITEM_S + 4096 / 11025
"""An item sees so much: sixteen frames of chroma, each smoothed over five."""
MINUTE = round(60.0 / ITEM_S)
STEP = MINUTE // 2
ALIGN_BITS, SIGMA, PEAK, MOST_BITS, LIKE = 12, 8.0, 0.15, 10.0, 0.7
CHOICES = [(bits, length_s) for bits in (10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0) for length_s in (0.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0)]
"""Most differing bits and least length that are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A stretch of a station that is like one of a reference."""

    segment: Segment
    bits: float
    """Differing, of 32, on average."""


class Chromaprints:
    """The fingerprints of a catalogue."""

    def __init__(self, references: Mapping[str, NDArray[np.uint32]]) -> None:
        self._references = references
        keys, places = [], []
        at = MINUTE  # a minute of nothing before each, so that offsets of two references never meet
        self._starts = []
        for items in references.values():
            keys.append((items >> np.uint32(32 - ALIGN_BITS)).astype(np.int64))
            places.append(at + np.arange(len(items)))
            self._starts.append(at)
            at += len(items) + MINUTE
        every, where = np.concatenate(keys), np.concatenate(places)
        order = np.argsort(every, kind="stable")
        self._places = where[order]
        self._first = np.searchsorted(every[order], np.arange((1 << ALIGN_BITS) + 1))
        self._size = at

    def find(self, items: NDArray[np.uint32], *, station: str) -> list[Match]:
        """Find references in a station's fingerprint, a minute at a time, half a minute on each time."""
        found: list[Match] = []
        for at in range(0, max(len(items) - STEP, 1), STEP):
            found += self._minute(items[at : at + MINUTE], at, station)
        return found

    def _minute(self, items: NDArray[np.uint32], at: int, station: str) -> list[Match]:
        keys = (items >> np.uint32(32 - ALIGN_BITS)).astype(np.int64)
        voted = [self._places[self._first[key] : self._first[key + 1]] - number for number, key in enumerate(keys)]
        votes = np.bincount(np.concatenate(voted) if voted else np.zeros(0, np.int64), minlength=self._size)
        found = []
        for (name, reference), start in zip(self._references.items(), self._starts, strict=True):
            window = votes[start - len(items) : start + len(reference)]
            if window.size and window.max() > 1:
                offset = int(window.argmax()) - len(items)
                for first, last, bits in stretches(items, reference, offset):
                    start_s, end_s = (at + first) * ITEM_S, (at + last) * ITEM_S + DELAY_S
                    found.append(Match(segment=Segment(station=station, reference=name, start_s=start_s, end_s=end_s), bits=bits))
        return found


def stretches(items: NDArray[np.uint32], reference: NDArray[np.uint32], offset: int) -> list[tuple[int, int, float]]:
    """Return from where to where (items), at how many bits, two match when item 0 lies on item `offset` of the reference."""
    first, last = max(-offset, 0), min(len(items), len(reference) - offset)
    if last - first < 2:
        return []
    bits = np.bitwise_count(items[first:last] ^ reference[first + offset : last + offset]).astype(float)
    slope = np.abs(np.gradient(scipy.ndimage.gaussian_filter1d(bits, SIGMA)))
    inner = slope[1:-1]
    peaks = np.nonzero((inner > PEAK) & (inner >= slope[:-2]) & (inner >= slope[2:]))[0] + 1
    cuts = [0]
    for peak in peaks.tolist():
        if peak > cuts[-1] + 1:
            cuts.append(peak)
    cuts.append(len(bits))
    found: list[tuple[int, int, float]] = []
    for begin, end in itertools.pairwise(cuts):
        score = float(bits[begin:end].mean())
        if score >= MOST_BITS:
            continue
        if found and abs(found[-1][2] - score) < LIKE:
            found[-1] = (found[-1][0], end, score)
        else:
            found.append((begin, end, score))
    return [(first + begin, first + end, score) for begin, end, score in found]


def joined(segments: Sequence[Segment]) -> list[Segment]:
    """Join segments of one reference on one station that touch."""
    result: list[Segment] = []
    for one in sorted(segments, key=lambda one: (one.station, one.reference, one.start_s)):
        last = result[-1] if result else None
        if last and (last.station, last.reference) == (one.station, one.reference) and one.start_s <= last.end_s:
            end_s = max(last.end_s, one.end_s)
            result[-1] = Segment(station=one.station, reference=one.reference, start_s=last.start_s, end_s=end_s)
        else:
            result.append(one)
    return result


def chosen(matches: Sequence[Match], most_bits: float, least_s: float) -> list[Segment]:
    """Return what is told when so many bits may differ and a match must be so long."""
    told = joined([one.segment for one in matches if one.bits < most_bits])
    return [one for one in told if one.end_s - one.start_s - DELAY_S >= least_s]


def best_choice(matches: Sequence[Match], true: Sequence[Segment], unknown: Collection[str]) -> tuple[float, float]:
    """Return the choice with the best F1 in seconds among those that tell nothing on unknown stations; the strictest if all do."""
    best, best_f1 = CHOICES[-1], -1.0
    for choice in CHOICES:
        told = chosen(matches, *choice)
        f1 = seconds(true, told).f1
        if f1 > best_f1 and not any(one.station in unknown for one in told):
            best, best_f1 = choice, f1
    return best
