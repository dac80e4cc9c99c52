"""What a matcher could have known at best: the evidence along each play's true line.

Knows where every play is, in which recording, at which speed, and what the encoder made of it. The oracle says a play as soon
as the evidence summed along the true line, begun wherever it is best begun, reaches what the false-alarm budget asks for; it
says it for the stretch that holds most evidence. It has no rivals, no search that may miss and nothing to be unsure of but the
windows themselves. What it finds and the matcher does not, is the matcher's; what it does not find, a matcher can only find by
asking for less, as it may of a long weak stretch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.alignment import SPAN
from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.evaluate.broadcast.catalogue import Catalogue
from monitor.evaluate.broadcast.heard import Heard
from monitor.evaluate.broadcast.judge import line
from monitor.evaluate.broadcast.scene import Element, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the true line of one play holds."""

    element: Element
    similarity: float
    """Mean along the line."""
    evidence: float
    """Nats of its best stretch."""
    start_s: float
    """Where the best stretch begins on air; as long as the play where it holds evidence throughout."""
    end_s: float
    after_s: float | None
    """From the play's start to where the evidence needed is there; None: never."""

    @property
    def said_s(self) -> float:
        """Seconds of the play that could be told."""
        return 0.0 if self.after_s is None else self.end_s - self.start_s


def ask(heard: Heard, catalogue: Catalogue, evidence: Evidence, recipe: Recipe, needed: tuple[float, float]) -> list[Known]:
    """Return what is known of each play of a scene.

    Args:
        heard: The scene.
        catalogue: What is stored.
        evidence: What a similarity says.
        recipe: Of the encoder.
        needed: Evidence asked for by the budget: of a play of anything, and of a short recording heard as a whole.
    """
    return [
        _along(heard.vectors, element, catalogue, evidence, recipe, needed[_is_whole(element, catalogue)])
        for element in heard.scene.plays
    ]


def _is_whole(element: Element, catalogue: Catalogue) -> bool:
    return element.kind in {Kind.SPOT, Kind.JINGLE} and len(catalogue.stored[element.name]) < SPAN


def _along(
    vectors: NDArray[np.float32], element: Element, catalogue: Catalogue, evidence: Evidence, recipe: Recipe, needed: float
) -> Known:
    # Windows that lie at least half inside the play.
    half_s = recipe.window_s / 2
    first = max(int(np.ceil((element.at_s - half_s) / recipe.hop_s)), 0)
    last = min(int((element.end_s - half_s) / recipe.hop_s), len(vectors) - 1)
    hops = np.arange(first, max(last, first) + 1)
    mine = vectors[hops]
    theirs = line(catalogue.stored[element.name], hops, element.from_s, element.speed, element.at_s, recipe.hop_s)
    similarity = np.einsum("nd,nd->n", mine, theirs)
    common = np.einsum("nkd,nd->nk", evidence.context(mine), theirs).max(axis=1).clip(0.0)
    distinct = (similarity - common).astype(np.float32)
    finding, following = evidence.of(distinct), evidence.of_followed(distinct)
    sums = _running(finding)
    enough = np.nonzero(sums >= needed)[0]
    start, end = _stretch(following)
    clear_s = recipe.window_s - recipe.hop_s  # a window that is half inside speaks for the play from its middle on
    return Known(
        element=element,
        similarity=float(similarity.mean()),
        evidence=float(sums.max()),
        start_s=max(hops[start] * recipe.hop_s + clear_s / 2, element.at_s),
        end_s=min(hops[end] * recipe.hop_s + recipe.window_s - clear_s / 2, element.end_s),
        after_s=float(hops[enough[0]] * recipe.hop_s + recipe.window_s - element.at_s) if len(enough) else None,
    )


def _running(nats: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the best sum that ends at each window: sum up, begin anew where the sum falls below nothing (CUSUM)."""
    total = np.concatenate([[0.0], np.cumsum(nats, dtype=np.float64)])
    sums: NDArray[np.float64] = total[1:] - np.minimum.accumulate(total)[:-1]
    return sums


def _stretch(nats: NDArray[np.float32]) -> tuple[int, int]:
    """Return the first and last window of the stretch with the largest sum."""
    sums = _running(nats)
    end = int(sums.argmax())
    total = np.concatenate([[0.0], np.cumsum(nats, dtype=np.float64)])
    return int(total[: end + 1].argmin()), end
