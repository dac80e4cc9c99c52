"""`monitor evaluate retrieval`: the published protocols for any encoders, side by side, written as tables.

Knows the splits: the catalogue is public-test and train together, the queries are of public-test recordings, the padding is made
of train recordings. Every encoder hears the same queries. Fingerprints of the catalogue are kept in the cache, by recipe hash.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.framing import windows
from monitor.encoder.engine import Engine
from monitor.errors import ConfigError
from monitor.evaluate import conditions
from monitor.evaluate.codes import Quantiser
from monitor.evaluate.conditions import Condition, Studio
from monitor.evaluate.nearest import nearest
from monitor.evaluate.retrieval import LENGTHS, QUERY_S, Queries, Score, fingerprints, record, score, vote
from monitor.evaluate.same import Sounds
from monitor.evaluate.shelf import joined, padding
from monitor.train.data import Clip, Clips, open_split
from monitor.train.decode import decode
from monitor.train.shelf import Shelf, fingerprinted, kept_at

PROTOCOLS: Mapping[str, Mapping[str, Condition]] = {
    "nmfp": {**conditions.CONDITIONS, **conditions.CODEC},
    "snr": conditions.SNR,
    "distortions": conditions.DISTORTIONS,
}
"""Those that are a list of conditions; beside them `codes`, `padding` and `recordings`."""
CODE_PARTS = (4, 8, 16, 32, 64, 128)
CODE_CONDITION = "noise 0-10 dB and room"
RIVAL_ROWS = 100_000
RIVAL_QUANTILES = (0.5, 0.9, 0.99, 0.999)
RECORDED_S = (1, 2, 5, 10, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured."""

    cache: Path
    out: Path
    protocols: Sequence[str]
    conditions: Sequence[str]
    """Only these; all when empty."""
    tracks: int
    padding: int
    seed: int
    search: torch.device
    recordings: Path | None = None


class Bench:
    """The material of a measurement, and the lines it writes."""

    def __init__(self, encoders: Mapping[str, tuple[Engine, Engine]], wanted: Wanted, say: Callable[[str], None]) -> None:
        """Take the encoders by name, each twice: to hear queries, and to make the catalogue."""
        self._engines = {name: hearing for name, (hearing, _) in encoders.items()}
        self._storing = {name: storing for name, (_, storing) in encoders.items()}
        self._wanted, self._say = wanted, say
        cache = wanted.cache
        self._music, self._voices, self._noises = (open_split(cache, "public-test", kind) for kind in ("music", "speech", "noise"))
        self._train = open_split(cache, "train", "music")
        rates = {engine.recipe.sample_rate_hz for engine in self._engines.values()}
        if len(rates) != 1:
            raise ConfigError("these encoders want sound at different sample rates: measure them one by one")
        (self._rate_hz,) = rates
        long = [number for number in range(len(self._music)) if self._music.length[number] >= 1.2 * QUERY_S * self._rate_hz]
        random = np.random.default_rng(wanted.seed)
        self._sounds = Sounds([self._music, self._train], self._rate_hz)
        self._tracks = sorted(random.permutation(long)[: wanted.tracks].tolist())
        self._lines: list[str] = []
        self._everything: dict[str, object] = {}

    def measure(self) -> str:
        """Run the protocols; return the tables, and write them and all numbers into the folder."""
        for name in self._wanted.protocols:
            started_s = time.monotonic()
            if name in PROTOCOLS:
                self._conditions(name, PROTOCOLS[name])
            elif name == "codes":
                self._codes()
            else:
                self._rivals()
            self._say(f"{name}: {time.monotonic() - started_s:.0f} s")
        if self._wanted.recordings is not None:
            self._recordings(self._wanted.recordings)
        self._wanted.out.mkdir(parents=True, exist_ok=True)
        text = "\n".join(self._lines) + "\n"
        (self._wanted.out / "retrieval.md").write_text(text, encoding="utf-8")
        (self._wanted.out / "retrieval.json").write_text(json.dumps(self._everything, indent=1), encoding="utf-8")
        return text

    def _shelf(self, encoder: str, clips: Clips, split: str) -> Shelf:
        engine = self._storing[encoder]
        return fingerprinted(clips, engine.encode, engine.recipe, kept_at(self._wanted.cache, engine.recipe, split))

    def _catalogue(self, encoder: str) -> tuple[Shelf, Shelf]:
        """Return public-test and train as one, and train alone."""
        train = self._shelf(encoder, self._train, "train")
        return joined([self._shelf(encoder, self._music, "public-test"), train]), train

    def _studio(self, seed: int) -> Studio:
        return Studio(self._voices, self._noises, rate_hz=self._rate_hz, seed=seed)

    def _queries(self, name: str, condition: Condition) -> Queries:
        seed = self._wanted.seed
        return record(name, condition, self._music, self._tracks, self._studio(seed), self._wanted.cache, self._rate_hz, seed)

    def _conditions(self, protocol: str, listed: Mapping[str, Condition]) -> None:
        chosen = {name: one for name, one in listed.items() if not self._wanted.conditions or name in self._wanted.conditions}
        rows = self._wanted.padding
        shelves = {name: self._catalogue(name) for name in self._engines}
        pads = {name: padding(train, rows, self._wanted.seed) if rows else None for name, (_, train) in shelves.items()}
        some = next(iter(shelves.values()))[0]
        self._head(
            f"{protocol}: {len(self._tracks)} queries of {QUERY_S:.0f} s, six starts each; catalogue of {len(some.start) - 1} "
            f"recordings, {len(some.table):,} fingerprints{f', and padded with {rows:,} made ones' if rows else ''}",
            ["condition", "encoder", "track", "exact", "near", *(["track, padded"] if rows else [])],
            "Per cent right by 1 / 2 / 5 / 10 s.",
        )
        for name, condition in chosen.items():
            queries = self._queries(name, condition)
            for encoder, engine in self._engines.items():
                heard = fingerprints(engine, queries)
                catalogue, pad = shelves[encoder][0], pads[encoder]
                plain = score(heard, queries, catalogue, None, engine.recipe, self._wanted.search, self._sounds)
                cells = [name, encoder, _share(plain, "track"), _share(plain, "exact"), _share(plain, "near")]
                self._keep(protocol, name, encoder, "plain", plain)
                if pad is not None:
                    padded = score(heard, queries, catalogue, pad, engine.recipe, self._wanted.search, self._sounds)
                    cells.append(_share(padded, "track"))
                    self._keep(protocol, name, encoder, "padded", padded)
                self._row(cells)

    def _codes(self) -> None:
        """Accuracy against code length: catalogue and diagonal scores on what the codes stand for, queries uncompressed."""
        self._head(
            f"codes: {CODE_CONDITION}, product quantiser of 8 bits a part, no padding",
            ["bytes a fingerprint", "encoder", "track", "exact"],
            "Per cent right by 1 / 2 / 5 / 10 s. 256 bytes are the float16 rows.",
        )
        queries = self._queries(CODE_CONDITION, conditions.CONDITIONS[CODE_CONDITION])
        for encoder, engine in self._engines.items():
            heard = fingerprints(engine, queries)
            catalogue, train = self._catalogue(encoder)
            parts = [count for count in CODE_PARTS if engine.recipe.dim % count == 0]
            for count in [*parts, 0]:
                table = Quantiser(train.table, count).through(catalogue.table) if count else catalogue.table
                shelf = Shelf(table=table, start=catalogue.start)
                found = score(heard, queries, shelf, None, engine.recipe, self._wanted.search, self._sounds)
                self._row([str(count or 2 * engine.recipe.dim), encoder, _share(found, "track"), _share(found, "exact")])
                self._keep("codes", str(count), encoder, "plain", found)

    def _rivals(self) -> None:
        """Whether made fingerprints, of one half of the train packages, are rivals as strong as the real ones of the other half."""
        self._head(
            f"padding: {RIVAL_ROWS:,} real rows of half of the train packages, against as many made of the other half",
            ["condition", "encoder", "rows", f"best similarity, quantiles {RIVAL_QUANTILES}", "track among them"],
            "Best similarity of a query's window to any; per cent right by 1 / 2 / 5 / 10 s where public-test is padded with them.",
        )
        packages = sorted(set(self._train.packages))
        half = set(np.random.default_rng(self._wanted.seed).permutation(packages)[: len(packages) // 2].tolist())
        for name in (CODE_CONDITION, "voice -6 dB"):
            queries = self._queries(name, conditions.CONDITIONS[name])
            for encoder, engine in self._engines.items():
                heard = fingerprints(engine, queries)
                known = self._shelf(encoder, self._music, "public-test")
                rows = self._shelf(encoder, self._train, "train").recordings()
                one, other = (
                    [own for own, of in zip(rows, self._train.packages, strict=True) if (of in half) == side]
                    for side in (True, False)
                )
                real, source = _shelved(one), _shelved(other)
                count = min(RIVAL_ROWS, len(real.table))
                real = Shelf(table=real.table[:count], start=np.append(real.start[real.start < count], count))
                for kind, pad in (("real", real), ("made", padding(source, count, self._wanted.seed))):
                    best = nearest(heard.flatten(0, 1), pad.table, 1)[0][:, 0]
                    spread = " / ".join(f"{float(value):.3f}" for value in best.quantile(torch.tensor(RIVAL_QUANTILES)))
                    found = score(heard, queries, known, pad, engine.recipe, self._wanted.search, self._sounds)
                    self._row([name, encoder, kind, spread, _share(found, "track")])
                    self._keep("padding", f"{name}, {kind}", encoder, "padded", found)

    def _recordings(self, listed: Path) -> None:
        """Given recordings, by majority vote: a table of `recording<TAB>reference` files; the references join the catalogue."""
        with listed.open(encoding="utf-8", newline="") as file:
            pairs = [(listed.parent / one, listed.parent / other) for one, other in csv.reader(file, delimiter="\t")]
        references = sorted({reference for _, reference in pairs})
        sounds = dict(decode([*references, *sorted({one for one, _ in pairs})]))
        if missing := [str(path) for path, pcm in sounds.items() if len(pcm) < self._rate_hz]:
            raise ConfigError(f"{listed}: no sound in {', '.join(missing)}")
        self._head(
            f"recordings: {len(pairs)} files of {listed.name}, every second a query, majority vote of four neighbours a window",
            ["encoder", *(f"{seconds} s" for seconds in RECORDED_S)],
            "Per cent right.",
        )
        added = _clips([(str(reference), sounds[reference]) for reference in references])
        for encoder, engine in self._engines.items():
            recipe = engine.recipe
            catalogue = joined([self._catalogue(encoder)[0], fingerprinted(added, self._storing[encoder].encode, recipe)])
            first = len(catalogue.start) - 1 - len(references)
            right: dict[int, list[bool]] = {seconds: [] for seconds in RECORDED_S}
            for one, reference in pairs:
                sound = sounds[one].astype(np.float32) / 32768.0
                vectors = torch.from_numpy(engine.encode(windows(sound, recipe)))
                for seconds in RECORDED_S:
                    length = round((seconds - recipe.window_s) / recipe.hop_s) + 1
                    if len(vectors) >= length:
                        heard = vectors.unfold(0, length, round(1 / recipe.hop_s)).transpose(1, 2)
                        named = vote(heard, catalogue, length, self._wanted.search)
                        right[seconds] += (named == first + references.index(reference)).tolist()
            self._row([encoder, *(f"{100 * np.mean(right[seconds]):.1f}" if right[seconds] else "–" for seconds in RECORDED_S)])

    def _head(self, title: str, columns: Sequence[str], note: str) -> None:
        for line in (f"## {title}", "", note, "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)):
            self._lines.append(line)
            self._say(line)

    def _row(self, cells: Sequence[str]) -> None:
        self._lines.append("| " + " | ".join(cells) + " |")
        self._say(self._lines[-1])

    def _keep(self, protocol: str, name: str, encoder: str, catalogue: str, found: Mapping[int, Score]) -> None:
        for seconds, one in found.items():
            self._everything[f"{protocol} / {name} / {encoder} / {catalogue} / {seconds} s"] = asdict(one)


def told_apart(encoders: Sequence[str]) -> dict[str, str]:
    """Return the encoders by what a table calls them: the name alone, or the whole path where two have the same name."""
    names = [Path(one).stem for one in encoders]
    return {name if names.count(name) == 1 else one: one for name, one in zip(names, encoders, strict=True)}


def _clips(sounds: Sequence[tuple[str, NDArray[np.int16]]]) -> Clips:
    starts = np.cumsum([0, *(len(pcm) for _, pcm in sounds)]).tolist()
    clips = [
        Clip(package="", path=path, start=start, length=len(pcm), sha256="")
        for (path, pcm), start in zip(sounds, starts, strict=False)
    ]
    return Clips(np.concatenate([pcm for _, pcm in sounds]), clips)


def _share(found: Mapping[int, Score], what: str) -> str:
    return " / ".join(f"{100 * getattr(found[seconds], what):.1f}" for seconds in LENGTHS)


def _shelved(recordings: Sequence[torch.Tensor]) -> Shelf:
    return Shelf(table=torch.cat(list(recordings)), start=np.cumsum([0, *(len(rows) for rows in recordings)]))
