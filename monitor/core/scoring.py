"""The best lines through many places at once, of one stream or of hundreds.

Knows what streams heard last and which places in recordings are to be held against it. All places are scored together, since most
of the time for one alone goes into calling numpy; of what is found only what has enough evidence is put into words. Knows nothing
of what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from monitor.core.alignment import INTERCEPTS, SILENT, SPAN, SPEEDS, Alignment, References, before, novelty, steadiness
from monitor.core.evidence import Evidence
from monitor.core.ring import Heard

MARGIN = 3
"""Positions beyond the straight diagonal that the steepest line reaches within the span."""
PLACES = 64
"""Places scored together: what is computed of them fits into a processor's cache."""
_WIDTH = 2 * MARGIN + 1
"""Stored windows that one heard window is held against: a band along the diagonal."""
_ROWS = SPAN + 2 * MARGIN
"""Stored windows of one place."""
_BLOCK = 6
"""Hops whose products with all windows of all their bands are computed together: of those a bit more than half lie in the band.
With all SPAN hops together it is a quarter, and the product of each with its own band takes longer than all this."""
_BLOCKS = SPAN // _BLOCK


def _lines() -> NDArray[np.int64]:
    """Index [SPAN, lines] into the band's 4 * MARGIN + 1 half columns: where each line is at each hop, oldest first."""
    ago = np.arange(SPAN)[::-1]
    columns = [np.rint(2 * (MARGIN + shift + (1.0 - speed) * ago)).clip(0, 4 * MARGIN) for speed in SPEEDS for shift in INTERCEPTS]
    return np.stack(columns, axis=1).astype(np.int64)


_LINES = _lines()
_HOPS = np.arange(SPAN)
_LINE_SPEED = np.repeat(SPEEDS, len(INTERCEPTS))
_LINE_SHIFT = np.tile(INTERCEPTS, len(SPEEDS))
_NEAR_STRAIGHT = (2.0 * np.abs(_LINE_SPEED - 1.0) + 0.1 * np.abs(_LINE_SHIFT)).astype(np.float32)
"""Breaks ties between lines that pass through the same windows: the straighter, the likelier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Places to be held against what one stream heard last."""

    newest: int
    """Its newest hop."""
    asked: NDArray[np.float32]
    """Its last vectors and their contexts, [SPAN, 1 + NEAREST, dim], see `Ring.recent`."""
    present: NDArray[np.bool_]
    """Which of them were heard, [SPAN]."""
    places: Sequence[tuple[int, int]]
    """Reference id and position at the newest hop, each."""
    references: References
    """Where the stored fingerprints are."""
    least: float
    """Evidence below which an alignment is not wanted."""


def score(heard: Heard, places: Sequence[tuple[int, int]], references: References, evidence: Evidence) -> list[Alignment]:
    """Find the best line through each place.

    Args:
        heard: The stream's last SPAN fingerprints.
        places: Reference id and position at the newest hop, each.
        references: Where the stored fingerprints are.
        evidence: What a similarity says.

    Returns:
        One alignment a place, in their order.
    """
    asked = np.concatenate((heard.vectors[:, None], heard.context), axis=1)
    wish = Wish(newest=heard.newest, asked=asked, present=heard.present, places=places, references=references, least=-np.inf)
    return score_all([wish], evidence)[0]


def score_all(wishes: Sequence[Wish], evidence: Evidence) -> list[list[Alignment]]:
    """Find the best line through each place of each wish; return for each wish those it wants, in their order."""
    return [found for some in _portions(wishes) for found in _score(some, evidence)]


def _portions(wishes: Sequence[Wish]) -> Iterator[list[Wish]]:
    """Yield the wishes, about PLACES places at a time."""
    some: list[Wish] = []
    count = 0
    for wish in wishes:
        if some and count + len(wish.places) > PLACES:
            yield some
            some, count = [], 0
        some.append(wish)
        count += len(wish.places)
    if some:
        yield some


def _score(wishes: Sequence[Wish], evidence: Evidence) -> list[list[Alignment]]:
    """Score all places of some wishes; in all arrays but the stored vectors the places come last."""
    owner = [wish for wish in wishes for _ in wish.places]
    places = [place for wish in wishes for place in wish.places]
    tables, inside = _stored(owner, places)
    between = tables[:, 1:] + tables[:, :-1]
    shorten = _band_of(1.0 / np.sqrt(np.maximum(np.einsum("ctd,ctd->ct", between, between), SILENT**2)), _WIDTH - 1)
    own, *others = _bands(wishes, tables)
    common, common_between = others[0], others[0][:, 1:] + others[0][:, :-1]
    for other in others[1:]:
        common = np.maximum(common, other)
        common_between = np.maximum(common_between, other[:, 1:] + other[:, :-1])
    similarity = _interleaved(own, (own[:, 1:] + own[:, :-1]) * shorten)
    distinct = similarity - _interleaved(np.maximum(common, 0.0), np.maximum(common_between * shorten, 0.0))
    nats = evidence.of(distinct)
    if not inside.all():
        there = _band_of(inside, _WIDTH)
        nats = np.where(_interleaved(there, there[:, 1:] & there[:, :-1]), nats, np.float32(evidence.lowest))
    present = np.stack([one.present for one in owner], axis=1)
    if not present.all():
        nats *= present[:, None]
    steady = steadiness(np.stack([wish.asked[:, 0] for wish in wishes]))
    counts = [len(wish.places) for wish in wishes]
    share = novelty(_band_of(before(tables), _WIDTH), np.repeat(steady, counts, axis=0).T[:, None])
    nats = np.maximum(nats, 0.0) * _interleaved(share, share[:, :-1]) + np.minimum(nats, 0.0)
    lines, best = _best_lines(nats)
    found: list[list[Alignment]] = []
    first = 0
    for wish in wishes:
        numbers = range(first, first + len(wish.places))
        first = numbers.stop
        found.append(
            [
                _alignment(wish, places[at], lines[at], nats[..., at], similarity[..., at])
                for at in numbers
                if best[at] >= wish.least
            ]
        )
    return found


def _stored(owner: Sequence[Wish], places: Sequence[tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what is stored around each place, [places, _ROWS, dim], and which of it lies within its recording, [places, _ROWS]."""
    starts = [position - SPAN + 1 - MARGIN for _, position in places]
    tables = np.empty((len(places), _ROWS, owner[0].asked.shape[2]), np.float32)
    for references in {id(wish.references): wish.references for wish in owner}.values():
        these = [at for at, wish in enumerate(owner) if wish.references is references]
        stretches = references.stretches([places[at][0] for at in these], [starts[at] for at in these], _ROWS)
        if len(these) == len(places):
            tables = stretches
        else:
            tables[these] = stretches
    lengths = np.array([wish.references.hops(who) for wish, (who, _) in zip(owner, places, strict=True)])
    rows = np.array(starts)[:, None] + np.arange(_ROWS)
    return tables, (rows >= 0) & (rows < lengths[:, None])


def _bands(wishes: Sequence[Wish], tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the products of what was heard with the stored vectors near it, [1 + NEAREST, SPAN, _WIDTH, places]."""
    _, kinds, dim = wishes[0].asked.shape
    per_place, per_row, per_number = tables.strides
    blocks = as_strided(
        tables,
        (len(tables), _BLOCKS, _BLOCK + 2 * MARGIN, dim),
        (per_place, _BLOCK * per_row, per_row, per_number),
        writeable=False,
    )
    products = np.empty((*blocks.shape[:3], _BLOCK * kinds), np.float32)
    first = 0
    for wish in wishes:
        some = slice(first, first + len(wish.places))
        first = some.stop
        np.matmul(blocks[some], wish.asked.reshape(_BLOCKS, _BLOCK * kinds, dim).swapaxes(1, 2), out=products[some])
    per_place, per_block, per_row, per_number = products.strides
    diagonals = as_strided(
        products,
        (kinds, _BLOCKS, _BLOCK, _WIDTH, len(tables)),
        (per_number, per_block, per_row + kinds * per_number, per_row, per_place),
        writeable=False,
    )
    return np.ascontiguousarray(diagonals).reshape(kinds, SPAN, _WIDTH, len(tables))


def _band_of(rows: NDArray[Any], width: int) -> NDArray[Any]:
    """Show rows [places, SPAN - 1 + width] along the diagonal, as a band [SPAN, width, places]."""
    rows = np.ascontiguousarray(rows.T)
    per_row, per_place = rows.strides
    return as_strided(rows, (SPAN, width, rows.shape[1]), (per_row, per_row, per_place), writeable=False)


def _interleaved(whole: NDArray[Any], half: NDArray[Any]) -> NDArray[Any]:
    """Put the columns [SPAN, _WIDTH - 1, places] between those of a band [SPAN, _WIDTH, places]."""
    band = np.empty((SPAN, 2 * _WIDTH - 1, whole.shape[2]), whole.dtype)
    band[:, ::2], band[:, 1::2] = whole, half
    return band


def _best_lines(nats: NDArray[np.float32]) -> tuple[list[int], list[float]]:
    """Return the best line through each band [SPAN, 2 * _WIDTH - 1, places], and its evidence from where it began to speak."""
    total = np.zeros((_LINES.shape[1], nats.shape[2]), np.float32)
    best = np.full_like(total, -np.inf)
    for hop in reversed(range(SPAN)):
        total += np.take(nats[hop], _LINES[hop], axis=0)
        np.maximum(best, total, out=best)
    lines = (best - _NEAR_STRAIGHT[:, None]).argmax(axis=0)
    return lines.tolist(), best[lines, np.arange(best.shape[1])].tolist()


def _alignment(
    wish: Wish, place: tuple[int, int], line: int, nats: NDArray[np.float32], similarity: NDArray[np.float32]
) -> Alignment:
    """Put one line into words, from its bands [SPAN, 2 * _WIDTH - 1]."""
    columns = _LINES[:, line]
    back = nats[_HOPS, columns][::-1].cumsum()
    length = int(back.argmax()) + 1
    alike = similarity[_HOPS, columns][-length:][wish.present[-length:]]
    return Alignment(
        reference_id=place[0],
        hop=wish.newest,
        position=place[1] + float(_LINE_SHIFT[line]),
        speed=float(_LINE_SPEED[line]),
        evidence=float(back[length - 1]),
        hops=length,
        similarity=float(alike.mean()) if len(alike) else 0.0,
    )
