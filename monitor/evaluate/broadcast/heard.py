"""What the monitor hears of each scene, kept in files: another encoder or matcher is measured in a fraction of the time.

Knows how a scene becomes sound, is sent and decoded (the product's own decoder), and what the encoder makes of it (the
product's own framing). What was sent is kept apart from what an encoder made of it. A file's name is a digest of all that went
into it: the scene, the things made for it, and the encoder.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import replay
from monitor.capture.ffmpeg import decode
from monitor.core.recipe import Recipe
from monitor.encoder.engine import Engine
from monitor.errors import NotAudio
from monitor.evaluate.broadcast.air import send
from monitor.evaluate.broadcast.render import Desk
from monitor.evaluate.broadcast.scene import Programme, Scene

VERSION = 2
"""Raise it when the same scene sounds different: rendering, processing or coding was changed."""
STUDIOS = 2
"""Scenes in the making at a time: four minutes are 8 MB when sent, and 150 MB while they are mixed."""
Sent = tuple[NDArray[np.float32], NDArray[np.uint32]]
"""Mono sound [n] at the recipe's rate, and its Chromaprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A scene as the monitor hears it."""

    scene: Scene
    vectors: NDArray[np.float32]
    """Shape [hops, dim], hop 0 first."""
    chromaprint: NDArray[np.uint32]
    """Raw Chromaprint of the same file; empty when it was not asked for."""
    encode_s: float
    """How long framing and encoding took when it was done."""


def hear(programme: Programme, desk: Desk, encoder: Engine, folder: Path, *, chromaprint: Sequence[str] = ()) -> Iterator[Heard]:
    """Yield every scene as it is heard; the next ones are rendered and sent while one is encoded.

    Args:
        programme: The scenes.
        desk: Mixes them.
        encoder: The monitor's.
        folder: Where what was heard is kept.
        chromaprint: Conditions that are also fingerprinted by fpcalc.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, made_with = encoder.recipe, [encoder.recipe.hash, *([encoder.query] if encoder.query else [])]
    sent = [folder / _name("sent", scene, programme, scene.condition in chromaprint) for scene in programme.scenes]
    paths = [folder / _name("heard", scene, programme, scene.condition in chromaprint, *made_with) for scene in programme.scenes]
    with ThreadPoolExecutor(STUDIOS, thread_name_prefix="studio") as studio:
        ahead: dict[int, Future[Sent]] = {}
        try:
            for number, (scene, path) in enumerate(zip(programme.scenes, paths, strict=True)):
                for later in range(number, min(number + 1 + STUDIOS, len(paths))):
                    if later not in ahead and not paths[later].exists():
                        wanted = programme.scenes[later]
                        chroma = wanted.condition in chromaprint
                        ahead[later] = studio.submit(_sent, desk, wanted, recipe, sent[later], chroma=chroma)
                sound = ahead.pop(number, None)
                yield _load(scene, path) if sound is None else _encode(scene, sound.result(), encoder, path)
        finally:
            studio.shutdown(cancel_futures=True)


def _name(what: str, scene: Scene, programme: Programme, *made_with: object) -> str:
    used = [programme.made[element.name] for element in scene.elements if element.name in programme.made]
    digest = hashlib.sha256(repr((VERSION, scene, used, made_with)).encode()).hexdigest()
    return f"{scene.name.replace(' ', '-')}-{what}-{digest[:16]}.npz"


def _sent(desk: Desk, scene: Scene, recipe: Recipe, path: Path, *, chroma: bool) -> Sent:
    """Render, send and decode a scene, unless that was done before."""
    if path.exists():
        with np.load(path) as kept:
            return kept["samples"].astype(np.float32), kept["chromaprint"]
    with tempfile.TemporaryDirectory(prefix="monitor-broadcast-") as folder:
        file = send(desk.mix(scene), scene.chain, scene.codec, Path(folder))
        printed = raw_chromaprint(file) if chroma else np.zeros(0, np.uint32)
        samples = np.concatenate(list(decode(file, recipe)))[: round(scene.length_s * recipe.sample_rate_hz)].astype(np.float16)
    keep(path, samples=samples, chromaprint=printed)
    return samples.astype(np.float32), printed


def keep(path: Path, **arrays: NDArray[Any]) -> None:
    """Write a file, whole or not at all."""
    draft = path.with_suffix(".growing")
    with draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    draft.rename(path)


def raw_chromaprint(file: Path) -> NDArray[np.uint32]:
    """Return the raw fingerprint [items] of a whole file, by Debian's fpcalc.

    Raises:
        NotAudio: It gives none.
    """
    command = ["fpcalc", "-raw", "-plain", "-length", "0", str(file)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    items = done.stdout.strip()  # its status is 3 when the last frame is not whole, beside a good fingerprint
    if not items:
        raise NotAudio(f"fpcalc: {file}: {done.stderr.strip() or 'no fingerprint'}")
    return np.array([int(item) for item in items.split(",")], np.uint32)


def _encode(scene: Scene, sent: Sent, encoder: Engine, path: Path) -> Heard:
    samples, printed = sent
    started_s = time.perf_counter()
    vectors = np.concatenate([part.vectors for part in replay.fingerprints(scene.name, [samples], encoder, encoder.recipe)])
    heard = Heard(scene=scene, vectors=vectors, chromaprint=printed, encode_s=time.perf_counter() - started_s)
    keep(path, vectors=vectors, chromaprint=printed, encode_s=np.array(heard.encode_s))
    return heard


def _load(scene: Scene, path: Path) -> Heard:
    with np.load(path) as kept:
        return Heard(scene=scene, vectors=kept["vectors"], chromaprint=kept["chromaprint"], encode_s=float(kept["encode_s"]))
