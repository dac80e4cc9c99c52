"""What the numbers were taken on: the machine, the versions, the encoder."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from monitor.core.recipe import Recipe
from tests.bench.stopwatch import load

PACKAGES = ("torch", "torchaudio", "faiss-gpu", "numpy")


def describe(recipe: Recipe, arguments: str) -> str:
    """Return the head of the page."""
    facts = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()} {platform.release()}",
        "load average before": load(),
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES), _ffmpeg()]
        ),
        "encoder": f"{recipe.name}, network {recipe.network}, recipe {recipe.hash}, weights {recipe.weights_sha256[:16]}",
        "fingerprint": f"{recipe.dim} numbers for {recipe.window_s:g} s of sound, every {recipe.hop_s:g} s",
        "command": f"python -m tests.bench {arguments}".strip(),
    }
    return "# How fast it is\n\n" + "\n".join(f"- {name}: {fact}" for name, fact in facts.items()) + "\n"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _ffmpeg() -> str:
    return " ".join(_output("ffmpeg", "-version").split()[:3])


def _output(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.partition("\n")[0].strip() or "unknown"
