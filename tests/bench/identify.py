"""Identifying recordings in a long file: the command as a user runs it, and on one thread the share of every part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from monitor import replay
from monitor.capture.ffmpeg import decode
from monitor.facts import BatchMatched, Fact
from monitor.pipeline.matching import Matcher
from monitor.settings import MatcherSettings
from tests.bench.material import Material, ffmpeg
from tests.bench.meter import Meter
from tests.bench.stopwatch import Spent, spending
from tests.bench.table import Section, number, share

HOURS = 2.0
BLINK_S = 3


def measure(material: Material) -> list[Section]:
    """Identify what is in the same file both ways."""
    times = 1 if material.quick else max(round(HOURS * 3600 / material.mp3_s), 1)
    target, blink = material.folder / "long.mp3", material.folder / "blink.mp3"
    target.write_bytes(material.mp3.read_bytes() * times)
    ffmpeg("-t", str(BLINK_S), "-i", str(material.mp3), "-c", "copy", str(blink))
    sound_s = material.mp3_s * times
    whole, start = _command(material, target), _command(material, blink)
    as_run = Section(
        title=f"Identifying recordings in a file ({sound_s / 3600:.1f} h of MP3, 128 kbit/s; half of it known)",
        columns=("`monitor identify`", "wall s", "CPU s", "x real time"),
        rows=[
            ("whole command", f"{whole.wall_s:.1f}", f"{whole.cpu_s:.1f}", number(sound_s / whole.wall_s)),
            (f"on {BLINK_S} s of sound", f"{start.wall_s:.1f}", f"{start.cpu_s:.1f}", "-"),
            (
                "the difference: without starting",
                f"{whole.wall_s - start.wall_s:.1f}",
                f"{whole.cpu_s - start.cpu_s:.1f}",
                number(sound_s / (whole.wall_s - start.wall_s)),
            ),
        ],
    )
    return [as_run, _shares(material, target, sound_s)]


def _command(material: Material, target: Path) -> Spent:
    command = [
        sys.executable,
        "-m",
        "monitor",
        "identify",
        "--format",
        "json",
        "--catalog",
        str(material.large_catalog),
        str(target),
    ]
    with spending() as spent:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return spent


def _shares(material: Material, target: Path, sound_s: float) -> Section:
    recipe, meter = material.engine.recipe, Meter(material.engine)
    facts: list[Fact] = []
    library = material.library(material.large_catalog)
    matcher = Matcher(library, material.evidence, recipe, MatcherSettings(update_every_s=0.0), facts.append)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with spending() as spent, decode(target, recipe) as sound:
        plays = replay.plays("file", sound, meter, recipe, matcher)
    features_s = meter.features_s()
    torch.set_num_threads(before)
    matched = [fact for fact in facts if isinstance(fact, BatchMatched)]
    parts_s = {
        "decoding (ffmpeg)": spent.children_cpu_s,
        "features": features_s,
        "network": meter.cpu_s - features_s,
        "lookups": sum(fact.search_s for fact in matched),
        "tracking": sum(fact.track_s for fact in matched),
    }
    parts_s["framing, the rest"] = max(spent.cpu_s - sum(parts_s.values()), 0.0)
    total_s = sum(parts_s.values())
    return Section(
        title="Identifying: where the time goes",
        columns=("one thread beside the decoder", "s an hour of sound", "share"),
        rows=[
            *((name, f"{took_s * 3600 / sound_s:.2f}", share(took_s, total_s)) for name, took_s in parts_s.items()),
            ("all", f"{total_s * 3600 / sound_s:.2f}", f"x real time: {number(sound_s / total_s)}"),
        ],
        notes=(f"Catalogue of {library.rows:,} fingerprints ({library.kind}); {len(plays)} plays were told.",),
    )
