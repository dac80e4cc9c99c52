"""A run of the benchmark: plan, hear, match, judge, report.

What was heard is kept in the output folder, so a run that was broken off goes on where it was, and the same scenes are matched
again by a changed matcher in a fraction of the time.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.encoder.engine import load_encoder
from monitor.encoder.weights import load_evidence
from monitor.evaluate.broadcast import alarms, plots, tables
from monitor.evaluate.broadcast.catalogue import Catalogue, build
from monitor.evaluate.broadcast.causes import causes, distinct
from monitor.evaluate.broadcast.chromaprint import Chromaprints, best_choice, chosen
from monitor.evaluate.broadcast.failures import failures
from monitor.evaluate.broadcast.filling import Filling, fingerprints, likeness, same, train_split
from monitor.evaluate.broadcast.heard import Heard, hear, raw_chromaprint
from monitor.evaluate.broadcast.impostors import Impostors
from monitor.evaluate.broadcast.judge import Verdict, judge, segment
from monitor.evaluate.broadcast.material import DEMO, UP, Material, Role, open_material
from monitor.evaluate.broadcast.oracle import Known, ask
from monitor.evaluate.broadcast.page import Outcome, Wish, page, readme
from monitor.evaluate.broadcast.plan import UNKNOWN, programme
from monitor.evaluate.broadcast.render import Desk
from monitor.evaluate.broadcast.scene import Scene
from monitor.evaluate.broadcast.score import Segment, matches, seconds
from monitor.evaluate.remembering import Remembering
from monitor.pipeline.matching import Matcher
from monitor.pipeline.ports import Encoder
from monitor.train.decode import SAMPLE_RATE_HZ

SIDE_BY_SIDE = ("foreground", "speech 0 dB", "speech -6 dB", "speech -12 dB", "speed with pitch", "unknown")
"""Conditions that fpcalc is asked about too."""
DOUBTFUL = (
    "speech 0 dB",
    "speech -6 dB",
    "speech -12 dB",
    "speech -18 dB",
    "jingles 2-3 s",
    "jingles 3-5 s",
    "speed with pitch",
    "speed, tempo only",
    "unknown",
    "whole",
)
"""Conditions that are matched at the loose budget too."""


def measure(cache: Path, out: Path, wish: Wish, say: Callable[[str], None]) -> str:
    """Run the benchmark and return its page, which is also written into `out`, with its pictures.

    Raises:
        DataMissing: The split is not packed.
        NotAudio: A recording is gone, or this ffmpeg lacks an encoder or a filter.
    """
    out.mkdir(parents=True, exist_ok=True)
    engine, storing = (load_encoder(wish.encoder, wish.device, stored=stored) for stored in (False, True))
    evidence = load_evidence(wish.encoder, engine.recipe, engine.query)
    material = open_material(cache, wish.split)
    real = _recordings(material, storing, engine.recipe, out)
    known = leave_out_familiar(material, real, say)
    strangers = [real[one.name] for one in material.role(Role.STRANGER)]
    planned = programme(material, hours=wish.hours, seed=wish.seed, conditions=wish.conditions, unknown_hours=wish.unknown_hours)
    say(f"{len(planned.scenes)} scenes, {sum(scene.length_s for scene in planned.scenes) / 3600:.2f} h; {_cast(material)}")
    desk = Desk(material, planned.made)
    stored = known | {name: _thing(desk.thing(name), storing, engine.recipe) for name in planned.made}
    largest = max((wish.recordings, *wish.larger))
    if wish.split == DEMO:  # of its dozen clips, in other axes: none is kin to one that is played
        filling = Filling(unplayed={}, base=[np.roll(rows, 1, axis=1) for rows in stored.values()])
    else:
        filling = train_split(cache, {**real, **stored}, storing, engine.recipe, largest - len(stored), say)

    def filled(recordings: int, folder: Path) -> Catalogue:
        maker = Impostors(filling.base, seed=wish.seed)
        catalogue = build(
            stored, filling.unplayed, maker, recordings=recordings, folder=folder, recipe=engine.recipe, seed=wish.seed
        )
        say(f"catalogue: {catalogue.recordings} recordings, {catalogue.library.rows} fingerprints")
        return replace(catalogue, library=Remembering(catalogue.library))  # what is looked up again at another budget costs nothing

    catalogue = filled(wish.recordings, out)
    chroma = SIDE_BY_SIDE if shutil.which("fpcalc") and wish.unknown_hours is None else ()
    scenes = []
    for heard in hear(planned, desk, engine, out / "heard", chromaprint=chroma):
        scenes.append(heard)
        say(f"{heard.scene.name} ({heard.scene.codec}): heard")
    listened = _listen(scenes, wish, catalogue, evidence, engine.recipe, say)
    unknown = [heard for heard in scenes if heard.scene.condition == UNKNOWN]
    steps = alarms.ladder(unknown, catalogue, evidence, engine.recipe, wish.settings)
    for recordings in wish.larger if unknown else ():
        folder = out / "larger"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        steps += alarms.ladder(unknown, filled(recordings, folder), evidence, engine.recipe, wish.settings)
        shutil.rmtree(folder)
    strange = [one for one in listened.verdicts if one.scene.condition == UNKNOWN]
    missing = max(largest - len(stored) - len(filling.unplayed), 0)
    outcome = Outcome(
        wish=wish,
        recipe=engine.recipe,
        query=engine.query,
        catalogue=catalogue,
        verdicts=listened.verdicts,
        loose=listened.loose,
        known=listened.known,
        steps=steps,
        causes=causes(strange, {**real, **stored, **filling.unplayed}, engine.recipe),
        distinct_s=_distinct(material, [scene for scene in planned.scenes if scene.condition == UNKNOWN]),
        likeness=likeness(strangers, filling, missing, engine.recipe, wish.seed),
        chromaprint=_chromaprint([one for one in scenes if one.scene.condition in SIDE_BY_SIDE], material, out) if chroma else "",
        encode_s=listened.encode_s,
        match_s=listened.match_s,
    )
    return _write(out, outcome)


def leave_out_familiar(
    material: Material, real: Mapping[str, NDArray[np.float32]], say: Callable[[str], None]
) -> dict[str, NDArray[np.float32]]:
    """Leave out strangers and beds that sound like a known recording, or like an earlier bed, from which a jingle may be cut.

    Where they are on air its name would not be false.

    Args:
        material: Of the run.
        real: Fingerprints [hops, dim] of its recordings, by name.
        say: Is told which are left out.

    Returns:
        Those of the known recordings.
    """
    known = {one.name: real[one.name] for one in material.role(Role.KNOWN)}
    catalogued = dict(known)
    for one in [*material.role(Role.BED), *material.role(Role.STRANGER)]:
        if twin := same({one.name: real[one.name]}, catalogued).get(one.name):
            material.leave_out([one.name])
            say(f"left out: {one.name} ({one.role}) sounds like {twin} ({material.recordings[twin].role})")
        elif one.role is Role.BED:
            catalogued[one.name] = real[one.name]
    return known


@dataclass(slots=True)
class _Listened:
    """What was told of the scenes, and what was known of them."""

    verdicts: list[Verdict] = field(default_factory=list)
    loose: list[Verdict] = field(default_factory=list)
    known: dict[str, Sequence[Known]] = field(default_factory=dict)
    encode_s: float = 0.0
    match_s: float = 0.0


def _listen(
    scenes: Sequence[Heard],
    wish: Wish,
    catalogue: Catalogue,
    evidence: Evidence,
    recipe: Recipe,
    say: Callable[[str], None],
) -> _Listened:
    """Match and judge all scenes, as so many streams, and some of them at a larger budget."""
    result = _Listened(encode_s=sum(heard.encode_s for heard in scenes))
    matcher, loose = (
        Matcher(catalogue.library, evidence, recipe, replace(wish.settings, false_alarms_per_day=budget), lambda _: None)
        for budget in (wish.settings.false_alarms_per_day, alarms.LOOSE)
    )
    started_s = time.perf_counter()
    told = alarms.follow(scenes, matcher)
    result.match_s = time.perf_counter() - started_s
    for heard, plays in zip(scenes, told, strict=True):
        result.verdicts.append(judge(heard.scene, plays, catalogue, recipe))
        result.known[heard.scene.name] = ask(heard, catalogue, evidence, recipe, matcher.needed_both)
        say(_progress(result.verdicts[-1]))
    doubtful = [heard for heard in scenes if heard.scene.condition in DOUBTFUL]
    for heard, plays in zip(doubtful, alarms.follow(doubtful, loose), strict=True):
        result.loose.append(judge(heard.scene, plays, catalogue, recipe))
    return result


def _distinct(material: Material, scenes: Sequence[Scene]) -> dict[str, float]:
    """Return how many different seconds are in the scenes, by kind: of voices and noise no more than there are."""
    aired = distinct(scenes)
    clips = {"speech": material.voices, "noise": material.noises}
    there = {name: float(some.length.sum()) / SAMPLE_RATE_HZ for name, some in clips.items()}
    return {"music": aired["music"], **{name: min(aired[name], there[name]) for name in clips}}


def _cast(material: Material) -> str:
    return ", ".join(f"{len(material.role(role))} {role}" for role in Role)


def _progress(verdict: Verdict) -> str:
    count = verdict.seconds
    return (
        f"{verdict.scene.name} ({verdict.scene.codec}): {len(verdict.plays)} plays, {verdict.matches.true_found} found, "
        f"F1 {count.f1:.3f}, precision {count.precision:.3f}, {len(verdict.false)} false"
    )


def _recordings(material: Material, encoder: Encoder, recipe: Recipe, out: Path) -> dict[str, NDArray[np.float32]]:
    """Fingerprint the recordings of every role, as the catalogue would; kept in `out`."""
    kept = out / f"recordings-{recipe.hash}.npz"
    names = [one.name for role in Role for one in material.role(role)]
    if kept.exists():
        with np.load(kept) as file:
            if set(file.files) == set(names):
                return {name: file[name] for name in names}
    real = {name: _stored(material.packed(name), encoder, recipe) for name in names}
    np.savez(kept, allow_pickle=False, **real)
    return real


def _stored(sound: NDArray[np.float32], encoder: Encoder, recipe: Recipe) -> NDArray[np.float32]:
    """Fingerprint as the catalogue does, and read it as the daemon does."""
    return fingerprints(sound, encoder, recipe).astype(np.float32)


def _thing(sound: NDArray[np.float32], encoder: Encoder, recipe: Recipe) -> NDArray[np.float32]:
    """Fingerprint a spot or a jingle [samples, 2]."""
    return _stored(scipy.signal.resample_poly(sound.mean(axis=1), 1, UP).astype(np.float32), encoder, recipe)


def _chromaprint(scenes: Sequence[Heard], material: Material, out: Path) -> str:
    """Ask fpcalc and Chromaprint's rule about the same scenes; return a table."""
    kept = out / "chromaprint.npz"
    names = [one.name for one in material.role(Role.KNOWN)]
    references: dict[str, NDArray[np.uint32]] = {}
    if kept.exists():
        with np.load(kept) as file:
            references = {name: file[name] for name in names if name in file.files}
    if len(references) < len(names):
        references = {name: raw_chromaprint(material.file(name)) for name in names}
        np.savez(kept, allow_pickle=False, **references)
    printed = Chromaprints(references)
    every = [one for heard in scenes for one in printed.find(heard.chromaprint, station=heard.scene.name)]
    strange = {heard.scene.name for heard in scenes if heard.scene.condition == UNKNOWN}
    choice = best_choice(every, [segment(heard.scene, element) for heard in scenes for element in heard.scene.plays], strange)
    lines = ["| condition | F1 s | precision s | recall s | found | false |", "|---|--:|--:|--:|--:|--:|"]
    for condition in SIDE_BY_SIDE:
        some = [heard.scene for heard in scenes if heard.scene.condition == condition]
        if some:
            stations = {scene.name for scene in some}
            told = [one for one in chosen(every, *choice) if one.station in stations]
            true: list[Segment] = [segment(scene, element) for scene in some for element in scene.plays]
            count, whole = seconds(true, told), matches(true, told)
            figures = (
                f"{count.f1:.3f} | {count.precision:.3f} | {count.recall:.3f} | {whole.recall:.3f}" if true else "– | – | – | –"
            )
            lines.append(f"| {condition} | {figures} | {whole.told_false} |")
    rule = f"Fewer than {choice[0]:g} bits of 32 differ, for {choice[1]:g} s at least: chosen on this very run, for the best F1 "
    return (
        "\n".join([*lines, "", f"{rule}without a false alarm on the unknown. {len(references)} references, no impostors."]) + "\n"
    )


def _write(out: Path, outcome: Outcome) -> str:
    """Write page, pictures, README table, failures and figures."""
    summaries = outcome.summaries()
    bins, loose = tables.reliability(outcome.verdicts), tables.reliability(outcome.loose)
    plots.conditions(out / "conditions.png", list(summaries.values()))
    plots.errors(out / "errors.png", list(summaries.values()))
    plots.reliability(out / "reliability.png", bins, loose)
    if outcome.steps:
        plots.alarms(out / "alarms.png", outcome.steps)
    first = {verdict.scene.condition: verdict for verdict in reversed(outcome.verdicts)}
    plots.timelines(out / "timelines.png", [first[name] for name in summaries])
    text = page(outcome, summaries, bins, loose)
    (out / "broadcast.md").write_text(text, encoding="utf-8")
    (out / "readme.md").write_text(readme(outcome, summaries), encoding="utf-8")
    (out / "failures.txt").write_text("\n".join(failures(outcome.verdicts, outcome.known)) + "\n", encoding="utf-8")
    every = {**summaries, "all": outcome.all()}
    figures = {name: {"seconds": asdict(one.seconds), "matches": asdict(one.matches)} for name, one in every.items()}
    (out / "broadcast.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return text
