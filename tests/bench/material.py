"""What the parts measure with: the demo's recordings as sound, as MP3, as a catalogue. Made when first asked for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.capture.ffmpeg import decode
from monitor.catalog import ingest
from monitor.catalog.store import Store
from monitor.catalog.writer import FileMark, Writer
from monitor.core.evidence import Evidence
from monitor.demo.plan import LISTED, UNLISTED
from monitor.encoder.engine import Engine, load_encoder
from monitor.encoder.weights import load_evidence
from monitor.index import faiss_store
from monitor.messages import Reference
from tests.bench import made

PIECE_S = 240
LARGE_ROWS = 100_000
"""Fingerprints of a catalogue of 14 hours."""


class Material:
    """All that several parts need."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick

    @cached_property
    def engine(self) -> Engine:
        """The encoder, on the CPU."""
        engine = load_encoder("compact", "cpu")
        engine.warm_up()
        return engine

    @cached_property
    def evidence(self) -> Evidence:
        return load_evidence("compact", self.engine.recipe, self.engine.query)

    @cached_property
    def listed(self) -> list[Path]:
        """Recordings that are in the catalogue."""
        return sorted(LISTED.glob("*.opus"))

    @cached_property
    def unlisted(self) -> list[Path]:
        """Recordings that are not: a piece of music, a voice."""
        return sorted(UNLISTED.glob("*.opus"))

    def sound(self, path: Path) -> NDArray[np.float32]:
        """Return a recording at the recipe's rate."""
        with decode(path, self.engine.recipe) as pieces:
            return np.concatenate(list(pieces))

    def windows(self, count: int) -> NDArray[np.float32]:
        """Return windows of real music [count, samples], one hop apart."""
        recipe = self.engine.recipe
        sound = np.concatenate([self.sound(path) for path in self.listed[:2]])
        spread = np.lib.stride_tricks.sliding_window_view(sound, recipe.window_samples)[:: recipe.hop_samples]
        return spread[np.arange(count) % len(spread)].copy()

    @cached_property
    def mp3(self) -> Path:
        """Known and unknown recordings by turns, as one MP3 of 128 kbit/s, 44.1 kHz, stereo; every frame stands for itself."""
        order = [path for at, one in enumerate(self.listed) for path in (one, self.unlisted[at % len(self.unlisted)])]
        order = order[:4] if self.quick else order
        inputs = [part for path in order for part in ("-i", str(path))]
        joined = "".join(f"[{at}:a]" for at in range(len(order))) + f"concat=n={len(order)}:v=0:a=1"
        coding = ("-c:a", "libmp3lame", "-b:a", "128k", "-ar", "44100", "-ac", "2", "-reservoir", "0", "-write_xing", "0")
        path = self.folder / "all.mp3"
        ffmpeg(*inputs, "-filter_complex", joined, *coding, "-id3v2_version", "0", "-map_metadata", "-1", str(path))
        return path

    @cached_property
    def mp3_s(self) -> float:
        """Length of the MP3: at 128 kbit/s, a second is 16000 bytes."""
        return self.mp3.stat().st_size / 16_000

    @cached_property
    def mp3s(self) -> Path:
        """A folder of different MP3 files of four minutes, cut from the one above without coding it again."""
        folder = self.folder / "mp3s"
        folder.mkdir()
        for at, start_s in enumerate(np.linspace(0, self.mp3_s - PIECE_S, 2 if self.quick else 40)):
            cut = ("-ss", f"{start_s:.2f}", "-t", str(PIECE_S), "-i", str(self.mp3), "-c", "copy")
            ffmpeg(*cut, str(folder / f"{at:03}.mp3"))
        return folder

    @cached_property
    def catalog(self) -> Path:
        """A catalogue of the listed recordings."""
        storing = load_encoder("compact", "cpu", stored=True)
        folder, recipe = self.folder / "catalog", storing.recipe
        with Writer(folder, recipe, create=True) as store:
            ingest.add(self.listed, store, self._decode, storing.encode, recipe, jobs=1, progress=lambda _: None)
        return folder

    @cached_property
    def large_catalog(self) -> Path:
        """The same, filled up with made fingerprints."""
        folder, recipe = self.folder / "large-catalog", self.engine.recipe
        shutil.copytree(self.catalog, folder)
        with Writer(folder, recipe) as store:
            for at, vectors in enumerate(made.recordings(LARGE_ROWS // made.HOPS, recipe.dim)):
                name = f"/made/{at}"
                reference = Reference(id=0, path=name, title=f"made {at}", duration_s=made.HOPS * recipe.hop_s)
                store.add(reference, name, vectors, FileMark(path=name, bytes=0, mtime_ns=0, sha256=name, reference_id=0))
        return folder

    def library(self, folder: Path) -> faiss_store.Snapshot:
        """Load a catalogue."""
        return faiss_store.load(Store(folder, self.engine.recipe).table())

    def _decode(self, path: Path) -> Iterable[NDArray[np.float32]]:
        return decode(path, self.engine.recipe)


def ffmpeg(*options: str) -> None:
    """Run ffmpeg to its end."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *options]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
