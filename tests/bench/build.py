"""Building a catalogue: the command as a user runs it, and on one thread the share of every part."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.capture.ffmpeg import decode
from monitor.catalog import ingest
from monitor.catalog.writer import FileMark, Writer
from monitor.messages import Reference
from tests.bench.material import PIECE_S, Material
from tests.bench.meter import Meter
from tests.bench.stopwatch import spending
from tests.bench.table import Section, number, share


class _TimedWriter(Writer):
    """Notes how long writing takes, waiting for the disk included."""

    writing_s = 0.0

    def add(self, reference: Reference, pcm_sha256: str, vectors: NDArray[np.float16], mark: FileMark) -> int:
        started_s = time.perf_counter()
        found = super().add(reference, pcm_sha256, vectors, mark)
        self.writing_s += time.perf_counter() - started_s
        return found


def measure(material: Material) -> list[Section]:
    """Build the same catalogue both ways."""
    files = sorted(material.mp3s.iterdir())
    sound_s = len(files) * PIECE_S
    folder = material.folder / "built"
    command = [sys.executable, "-m", "monitor", "catalog", "add", "--catalog", str(folder), str(material.mp3s)]
    with spending() as whole:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with spending() as again:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    as_run = Section(
        title=f"Building a catalogue ({len(files)} MP3 files, 128 kbit/s, {sound_s / 3600:.1f} h of sound)",
        columns=("`monitor catalog add`", "wall s", "CPU s", "x real time"),
        rows=[
            ("whole command", f"{whole.wall_s:.1f}", f"{whole.cpu_s:.1f}", number(sound_s / whole.wall_s)),
            ("again, all there already", f"{again.wall_s:.1f}", f"{again.cpu_s:.1f}", "-"),
            (
                "the difference: without starting",
                f"{whole.wall_s - again.wall_s:.1f}",
                f"{whole.cpu_s - again.cpu_s:.1f}",
                number(sound_s / (whole.wall_s - again.wall_s)),
            ),
        ],
    )
    return [as_run, _shares(material, sound_s)]


def _shares(material: Material, sound_s: float) -> Section:
    recipe, meter = material.engine.recipe, Meter(material.engine)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with spending() as spent, _TimedWriter(material.folder / "built-slowly", recipe, create=True) as store:
        files = sorted(material.mp3s.iterdir())
        ingest.add(files, store, lambda path: decode(path, recipe), meter.encode, recipe, jobs=1, progress=lambda _: None)
    features_s = meter.features_s()
    torch.set_num_threads(before)
    parts_s = {
        "decoding (ffmpeg)": spent.children_cpu_s,
        "features": features_s,
        "network": meter.cpu_s - features_s,
        "writing (with waiting for the disk)": store.writing_s,
    }
    parts_s["framing, hashing, the rest"] = max(spent.cpu_s - sum(parts_s.values()), 0.0)
    total_s = sum(parts_s.values())
    return Section(
        title="Building a catalogue: where the time goes",
        columns=("one thread, one decoder", "s an hour of sound", "share"),
        rows=[
            *((name, f"{took_s * 3600 / sound_s:.2f}", share(took_s, total_s)) for name, took_s in parts_s.items()),
            ("all", f"{total_s * 3600 / sound_s:.2f}", f"x real time: {number(sound_s / total_s)}"),
        ],
    )
