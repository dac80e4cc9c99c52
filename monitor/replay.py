"""The same pipeline over a recording, as fast as the machine allows: what `identify`, the evaluation and many tests use.

Time is the recording's own. Knows the order of the parts; each part is the one the daemon runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from monitor.core.framing import Framer
from monitor.core.recipe import Recipe
from monitor.messages import Chunk, Embeddings, EventKind, Play, PlayEvent, Window
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Encoder

BATCH = 256


def fingerprints(
    name: str, sound: Iterable[NDArray[np.float32]], encoder: Encoder, recipe: Recipe, *, flush: bool = True
) -> Iterator[Embeddings]:
    """Frame and encode a recording.

    Args:
        name: What to call the stream.
        sound: Pieces of it, [n] each, at the recipe's rate.
        encoder: Windows in, vectors out.
        recipe: Of the encoder.
        flush: Pad the end with silence, so that its last half second is seen too.
    """
    framer = Framer(recipe)
    position = 0
    waiting: list[Window] = []

    def encode(windows: list[Window]) -> Embeddings:
        return Embeddings(
            streams=(name,) * len(windows),
            hops=np.array([window.hop for window in windows], np.int64),
            vectors=encoder.encode(np.stack([window.samples for window in windows])),
            arrived_s=np.array([window.arrived_s for window in windows]),
        )

    def padded() -> Iterator[NDArray[np.float32]]:
        yield from sound
        if flush:
            yield np.zeros(recipe.hop_samples, np.float32)

    for samples in padded():
        chunk = Chunk(stream=name, position=position, samples=samples, arrived_s=(position + len(samples)) / recipe.sample_rate_hz)
        position += len(samples)
        waiting += framer.push(chunk)
        while len(waiting) >= BATCH:
            yield encode(waiting[:BATCH])
            waiting = waiting[BATCH:]
    if waiting:
        yield encode(waiting)


def plays(name: str, sound: Iterable[NDArray[np.float32]], encoder: Encoder, recipe: Recipe, matcher: Matcher) -> list[Play]:
    """Return every play in a recording, by start.

    Args:
        name: What to call the stream; must not be in use in the matcher.
        sound: Pieces of the recording, [n] each, at the recipe's rate.
        encoder: Windows in, vectors out.
        recipe: Of the encoder.
        matcher: With the catalogue to look in.
    """
    finished: dict[int, Play] = {}
    for embeddings in fingerprints(name, sound, encoder, recipe):
        for event in matcher.match(embeddings):
            _note(event, finished)
    for event in matcher.close(name):
        _note(event, finished)
    return sorted(finished.values(), key=lambda play: (play.start_s, play.reference_id))


def _note(event: PlayEvent, finished: dict[int, Play]) -> None:
    if event.kind is EventKind.ENDED:
        finished[event.number] = event.play
    elif event.kind is EventKind.RETRACTED:
        finished.pop(event.number, None)
