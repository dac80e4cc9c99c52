"""Fingerprints of an MP3 file, decoding included, beside Chromaprint's fpcalc on the same file."""

from __future__ import annotations

import shutil
import subprocess

import torch

from monitor import replay
from monitor.capture.ffmpeg import decode
from tests.bench.material import Material
from tests.bench.stopwatch import Spent, spending
from tests.bench.table import Section, number

ROUNDS = 5


def measure(material: Material) -> list[Section]:
    """Run both in turns, on one thread."""
    fpcalc = shutil.which("fpcalc")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    best: dict[str, Spent] = {}
    for _ in range(2 if material.quick else ROUNDS):
        _keep(best, "this encoder", _ours(material))
        _keep(best, "decoding alone (ffmpeg)", _decoding(material))
        if fpcalc:
            _keep(best, "Chromaprint (fpcalc)", _fpcalc(material, fpcalc))
    torch.set_num_threads(before)
    ours = best["this encoder"]
    rows = [
        (
            name,
            number(material.mp3_s / spent.cpu_s),
            number(material.mp3_s / spent.wall_s),
            f"{spent.cpu_s / ours.cpu_s:.2f}",
        )
        for name, spent in best.items()
    ]
    missing = () if fpcalc else ("fpcalc is not installed here (apt install libchromaprint-tools).",)
    return [
        Section(
            title=f"From an MP3 file to fingerprints ({material.mp3_s:.0f} s, 128 kbit/s)",
            columns=("", "s of sound a CPU second", "x real time", "CPU : this encoder's"),
            rows=rows,
            notes=(
                "Best of several runs in turns; one thread beside the decoder's process. fpcalc decodes with ffmpeg's libraries "
                "and makes about 8 numbers of 32 bits a second, meant for whole clean files; here it is 2 of 128 numbers.",
                *missing,
            ),
        )
    ]


def _keep(best: dict[str, Spent], name: str, spent: Spent) -> None:
    if name not in best or spent.cpu_s < best[name].cpu_s:
        best[name] = spent


def _ours(material: Material) -> Spent:
    recipe = material.engine.recipe
    with spending() as spent, decode(material.mp3, recipe) as sound:
        for _ in replay.fingerprints("file", sound, material.engine, recipe):
            pass
    return spent


def _decoding(material: Material) -> Spent:
    with spending() as spent, decode(material.mp3, material.engine.recipe) as sound:
        for _ in sound:
            pass
    return spent


def _fpcalc(material: Material, fpcalc: str) -> Spent:
    command = [fpcalc, "-length", "0", "-raw", str(material.mp3)]
    with spending() as spent:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if b"FINGERPRINT=" not in done.stdout:  # its status is 3 at the harmless end of a file without a Xing header
        raise RuntimeError(f"fpcalc failed: {done.stderr.decode(errors='replace')}")
    return spent
