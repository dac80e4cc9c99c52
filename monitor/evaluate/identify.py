"""Queries through the whole pipeline: known recordings under every condition, unknown ones, and speech.

Three quarters of the public-test recordings go into a catalogue with `catalog add`; a query is 30 s from the middle part of each,
degraded, and identified as `monitor identify` would. The remaining quarter and an hour of speech must stay unknown. Knows what was
played; judges what was said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.capture.ffmpeg import decode
from monitor.evaluate.conditions import CONDITIONS, Condition, Studio
from monitor.identify import Identifier
from monitor.messages import Play
from monitor.settings import EncoderSettings, Settings
from monitor.train.data import Clips, open_split

CODEC = "MP3 24 kbit/s"
ADD_PART = 100
"""Files a call of `catalog add`: command lines have an end."""
SPEECH_S = 3600.0
LEAST_TRACK_S = 40.0
MARGIN_S = 0.2
LEAD_SAMPLES = 5 * 8000
"""Silence around a query; how far the query is off the hop grid differs from recording to recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said of one query."""

    right: bool
    false: int
    start_error_s: float
    end_error_s: float
    after_s: float
    """From the start of the recording to where the detection was certain."""


def measure(
    cache: Path,
    out: Path,
    encoder: EncoderSettings,
    seconds: float,
    seed: int,
    conditions: Sequence[str] | None,
    say: Callable[[str], None],
) -> str:
    """Run all queries; return the table, and write it and the answers into `out`."""
    cache = cache.absolute()
    music, voices, noises = (open_split(cache, "public-test", kind) for kind in ("music", "speech", "noise"))
    tracks = [number for number in range(len(music)) if music.length[number] >= LEAST_TRACK_S * 8000]
    known = [number for number in tracks if number % 4 != 3]
    unknown = [number for number in tracks if number % 4 == 3]
    catalog = out / "catalog"
    _add(catalog, [cache / music.paths[number] for number in known], encoder)
    identifier = Identifier(Settings(encoder=encoder), catalog)
    studio = Studio(voices, noises, rate_hz=identifier.recipe.sample_rate_hz, seed=seed)
    lines = [
        "| condition | queries | right | false | start error s, median / 90 % | end error s | certain after s, median |",
        "|---|---|---|---|---|---|---|",
    ]
    everything: dict[str, list[dict[str, object]]] = {}
    chosen = [name for name in (*CONDITIONS, CODEC) if not conditions or name in conditions]
    for name in chosen:
        random = np.random.default_rng(seed)
        answers = []
        for number in known:
            condition = CONDITIONS.get(name, CONDITIONS["clean"])
            room_s = music.length[number] / 8000 - seconds * condition.speed
            at_s = float(random.uniform(min(MARGIN_S, room_s / 2), max(room_s - MARGIN_S, room_s / 2)))
            answers.append(_ask(identifier, studio, music, cache, number, at_s, seconds, name, condition))
        everything[name] = [{"file": music.paths[number], **_plain(answer)} for number, answer in zip(known, answers, strict=True)]
        lines.append(_line(name, answers))
        say(lines[-1])
    for name, sounds in (
        ("unknown recordings", [(music.paths[number], music.recording(number)) for number in unknown]),
        ("speech", [("speech", voices.sound(0, int(SPEECH_S * 8000)))]),
    ):
        hours = sum(len(sound) for _, sound in sounds) / 8000 / 3600
        false = [(path, play) for path, sound in sounds for play in identifier.plays(path, [sound])]
        for path, play in false:
            taken = identifier.reference(play).path
            say(f"  {path} {play.start_s:.0f}-{play.end_s:.0f} s taken for {taken}: score {play.score:.2f}")
        lines.append(f"| {name} | {hours:.2f} h | – | {len(false)} ({len(false) / hours:.2f} an hour) | – | – | – |")
        say(lines[-1])
    table = "\n".join(lines) + "\n"
    (out / "identify.md").write_text(table, encoding="utf-8")
    (out / "identify.json").write_text(json.dumps(everything, indent=1), encoding="utf-8")
    return table


def _add(catalog: Path, files: Sequence[Path], encoder: EncoderSettings) -> None:
    config = catalog.with_name("config.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"[encoder]\nname = {json.dumps(encoder.name)}\ndevice = {json.dumps(encoder.device)}\n", encoding="utf-8")
    for at in range(0, len(files), ADD_PART):
        part = [str(path) for path in files[at : at + ADD_PART]]
        subprocess.run(
            [sys.executable, "-m", "monitor", "catalog", "add", "-c", str(config), "--catalog", str(catalog), *part],
            check=False,
            stdin=subprocess.DEVNULL,
        )


def _ask(
    identifier: Identifier,
    studio: Studio,
    music: Clips,
    cache: Path,
    number: int,
    at_s: float,
    seconds: float,
    name: str,
    condition: Condition,
) -> Answer:
    """Play one query between silences, and judge what is said of it."""
    path = cache / music.paths[number]
    if name == CODEC:
        sound = _coded(path, at_s, seconds, identifier)
    else:
        sound = studio.query(music.recording(number), at_s, seconds, condition)
    lead = LEAD_SAMPLES + 997 * number % 4000
    plays = identifier.plays(name, [np.zeros(lead, np.float32), sound, np.zeros(LEAD_SAMPLES, np.float32)])
    lead_s = lead / 8000
    return _judge(plays, identifier, path, lead_s, lead_s + seconds)


def _judge(plays: Sequence[Play], identifier: Identifier, path: Path, start_s: float, end_s: float) -> Answer:
    right = [play for play in plays if identifier.reference(play).path == str(path)]
    best = max(right, key=lambda play: play.end_s - play.start_s, default=None)
    return Answer(
        right=best is not None,
        false=len(plays) - len(right) + max(len(right) - 1, 0),
        start_error_s=best.start_s - start_s if best else float("nan"),
        end_error_s=best.end_s - end_s if best else float("nan"),
        after_s=best.detected_s - start_s if best else float("nan"),
    )


def _coded(path: Path, at_s: float, seconds: float, identifier: Identifier) -> NDArray[np.float32]:
    """Cut from the original file, through the codec, and decode as any file is."""
    with tempfile.TemporaryDirectory() as folder:
        coded = Path(folder) / "query.mp3"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-ss", f"{at_s}", "-t", f"{seconds}"]
        subprocess.run([*command, "-ac", "1", "-b:a", "24k", str(coded)], check=True)
        return np.concatenate(list(decode(coded, identifier.recipe)))


def _plain(answer: Answer) -> dict[str, object]:
    return {name: getattr(answer, name) for name in ("right", "false", "start_error_s", "end_error_s", "after_s")}


def _line(name: str, answers: Sequence[Answer]) -> str:
    right = [answer for answer in answers if answer.right]

    def spread(values: Sequence[float]) -> str:
        return f"{np.median(np.abs(values)):.2f} / {np.quantile(np.abs(values), 0.9):.2f}" if values else "–"

    after = f"{np.median([answer.after_s for answer in right]):.1f}" if right else "–"
    return (
        f"| {name} | {len(answers)} | {100 * len(right) / len(answers):.1f} % | {sum(answer.false for answer in answers)} "
        f"| {spread([answer.start_error_s for answer in right])} | {spread([answer.end_error_s for answer in right])} | {after} |"
    )
