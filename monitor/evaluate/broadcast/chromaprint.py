"""Chromaprint on the same audio: what an operator gets from Debian's fpcalc with the library's own rule for finding one in another.

The rule is that of `FingerprintMatcher` in Chromaprint 1.5 (src/fingerprint_matcher.cpp, Lalinsky, 2016): items of equal upper
twelve bits vote for an offset; along the best offset the differing bits are counted, smoothed (sigma 8 items), and cut where
the gradient of the smoothed count peaks above 0.15; stretches with fewer than ten differing bits of 32 on average match,
neighbours of like score are joined. The rule gives one offset for each pair, so a station is asked a minute at a time, as BAF
does. It names no least length; the shortest one that raises no false alarm on the unknown scenes of the run is taken, in
Chromaprint's favour. Its catalogue has no impostors.

Knows raw fingerprints and seconds; Chromaprint's item rate is that of 11,025 Hz, frames of 4096, a third apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from monitor.evaluate.broadcast.heard import Heard
from monitor.evaluate.broadcast.score import Segment

ITEM_S = 4096 // 3 / 11025
DELAY_S = (15 + 4) * ITEM_S + 4096 / 11025
"""An item sees so much: sixteen frames of chroma, each smoothed over five."""
MINUTE = round(60.0 / ITEM_S)
STEP = MINUTE // 2
ALIGN_BITS, SIGMA, PEAK, MOST_BITS, LIKE = 12, 8.0, 0.15, 10.0, 0.7
LEAST_S = (0.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 45.0)
"""Least lengths that are tried."""


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

    def find(self, items: NDArray[np.uint32], *, station: str) -> list[Segment]:
        """Find references in a station's fingerprint, a minute at a time; overlapping finds of one reference are joined."""
        found: list[Segment] = []
        for at in range(0, max(len(items) - STEP, 1), STEP):
            found += self._minute(items[at : at + MINUTE], at, station)
        return joined(found)

    def _minute(self, items: NDArray[np.uint32], at: int, station: str) -> list[Segment]:
        keys = (items >> np.uint32(32 - ALIGN_BITS)).astype(np.int64)
        voted = [self._places[self._first[key] : self._first[key + 1]] - number for number, key in enumerate(keys)]
        votes = np.bincount(np.concatenate(voted) if voted else np.zeros(0, np.int64), minlength=self._size)
        found = []
        for (name, reference), start in zip(self._references.items(), self._starts, strict=True):
            window = votes[start - len(items) : start + len(reference)]
            if window.size and window.max() > 1:
                offset = int(window.argmax()) - len(items)
                found += [
                    Segment(
                        station=station,
                        reference=name,
                        start_s=(at + first) * ITEM_S,
                        end_s=(at + last) * ITEM_S + DELAY_S,
                    )
                    for first, last in stretches(items, reference, offset)
                ]
        return found


def stretches(items: NDArray[np.uint32], reference: NDArray[np.uint32], offset: int) -> list[tuple[int, int]]:
    """Return from where to where (items) two fingerprints match when item 0 lies on item `offset` of the reference."""
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
    return [(first + begin, first + end) for begin, end, _ in found]


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


def least_s(found: Sequence[Segment], unknown: Sequence[Heard]) -> float:
    """Return the shortest of `LEAST_S` at which no scene of unknown sound gives a match; the longest if none does."""
    strange = {heard.scene.name for heard in unknown}
    longest_s = max((one.end_s - one.start_s for one in found if one.station in strange), default=0.0)
    return next((length_s for length_s in LEAST_S if longest_s < length_s), LEAST_S[-1])
