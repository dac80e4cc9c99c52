"""A recording cut anywhere gives the fingerprints and the plays of the whole."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import replay
from monitor.core.recipe import Recipe
from monitor.messages import Embeddings, EventKind, Play, PlayEvent
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings
from tests.unit.core.stories import DIM, EVIDENCE, SLOTS_A_HOP, Air, Shelf, fingerprints, recording

SMALL = Recipe(name="small", sample_rate_hz=80, window_samples=80, hop_samples=40, dim=8)
STORY = Recipe(name="story", sample_rate_hz=20 * DIM, window_samples=20 * DIM, hop_samples=SLOTS_A_HOP * DIM)


class Project:
    """A fixed random projection: deterministic, each window for itself."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, windows: np.ndarray) -> np.ndarray:
        self.batches.append(len(windows))
        matrix = np.random.default_rng(1).standard_normal((windows.shape[1], 8))
        vectors = np.stack([one.astype(np.float64) @ matrix for one in windows]) + 1e-6
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Sum:
    """Adds up the slots of a window, as `stories.fingerprints` does; its sound is slots, one channel after the other."""

    def encode(self, windows: np.ndarray) -> np.ndarray:
        vectors = windows.reshape(len(windows), -1, DIM).sum(axis=1)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def joined(parts: list[Embeddings]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([part.hops for part in parts]), np.concatenate([part.vectors for part in parts])


@given(size=st.integers(80, 2500), cuts=st.lists(st.integers(0, 2500), max_size=12), flush=st.booleans())
def test_pieces_give_the_fingerprints_of_the_whole(size: int, cuts: list[int], flush: bool) -> None:
    sound = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    pieces = [sound[low:high] for low, high in itertools.pairwise(edges)]
    hops, vectors = joined(list(replay.fingerprints("a", pieces, Project(), SMALL, flush=flush)))
    padded = np.concatenate([sound, np.zeros(40 if flush else 0, np.float32)])
    expected = Project().encode(np.stack([padded[at : at + 80] for at in range(0, len(padded) - 79, 40)]))
    assert hops.tolist() == list(range(len(expected)))
    np.testing.assert_array_equal(vectors, expected)


def test_long_recordings_go_in_full_batches() -> None:
    encoder = Project()
    parts = list(replay.fingerprints("a", [np.ones(40 * 600, np.float32)], encoder, SMALL))
    assert encoder.batches == [256, 256, 88]
    assert [set(part.streams) for part in parts] == [{"a"}] * 3
    assert parts[0].arrived_s[:2].tolist() == [300.0, 300.0]


@pytest.mark.parametrize("sound", [[], [np.zeros(0, np.float32)], [np.ones(39, np.float32)]])
def test_less_than_half_a_second_has_no_fingerprint(sound: list[np.ndarray]) -> None:
    assert list(replay.fingerprints("a", sound, Project(), SMALL)) == []


@pytest.mark.parametrize("piece", [997, 100_000, 10**9])
def test_plays_do_not_depend_on_the_pieces(piece: int) -> None:
    songs = {1: recording(1, 30), 2: recording(2, 30)}
    air = Air(90)
    air.play(songs[1], 5.0)
    air.play(songs[2], 50.0)
    sound = air.sound.ravel()
    shelf = Shelf({who: fingerprints(song) for who, song in songs.items()})
    matcher = Matcher(shelf, EVIDENCE, STORY, MatcherSettings(update_every_s=5.0), lambda _: None)
    pieces = (sound[at : at + piece] for at in range(0, len(sound), piece))
    plays = replay.plays("file", pieces, Sum(), STORY, matcher)
    assert [play.reference_id for play in plays] == [1, 2]
    np.testing.assert_allclose([play.start_s for play in plays], [5.0, 50.0], atol=0.5)
    np.testing.assert_allclose([play.end_s for play in plays], [35.0, 80.0], atol=0.5)
    again = replay.plays("file", [sound], Sum(), STORY, matcher)
    assert [play.start_s for play in again] == pytest.approx([play.start_s for play in plays])


def test_a_play_that_is_taken_back_is_none() -> None:
    finished: dict[int, Play] = {}
    play = Play(**{f.name: 0 for f in dataclasses.fields(Play)})
    for number, kind in ((1, EventKind.STARTED), (1, EventKind.ENDED), (2, EventKind.ENDED), (1, EventKind.RETRACTED)):
        replay._note(PlayEvent(kind=kind, number=number, play=play), finished)
    assert list(finished) == [2]
