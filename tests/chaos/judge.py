"""What a run came to: the daemon's store beside what the witness heard, event by event.

Knows the published schema and two tables. Takes nothing from the monitor's own code.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema

from tests.chaos.plan import Kind
from tests.chaos.rig import ON_AIR, PIECE_S, PREFIX, TALK_S
from tests.chaos.run import FULL_AT_START, Record
from tests.chaos.witness import Heard

SCHEMA = Path(__file__).parents[2] / "deploy/schema/detection-1.json"
EVENT_KEY = tuple[str, int]
"""Station and sequence."""
SLACK_S = 4.0
"""A play's place in time, for deciding which airing it was: the decoder's start and a clock that was just stepped."""
SHOWN = 5
"""Examples of one kind of failure that are written out."""


@dataclass(slots=True)
class Verdict:
    """The numbers, and what is wrong."""

    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    not_on_air: list[str] = field(default_factory=list)
    """Plays that were told and were not on air then, whole; a matter of recognition, not of delivery, so no failure."""

    def demand(self, what: str, wrong: Sequence[object]) -> None:
        """Count what is wrong; any is a failure."""
        self.figures[what] = len(wrong)
        if wrong:
            self.failures.append(f"{what}: {len(wrong)}, such as {'; '.join(str(one) for one in wrong[:SHOWN])}")


def stored(database: Path) -> dict[EVENT_KEY, bytes]:
    """Return what the daemon's store holds."""
    connection = sqlite3.connect(database)
    try:
        return {(row[0], row[1]): row[2] for row in connection.execute("SELECT station, sequence, payload FROM message")}
    finally:
        connection.close()


def waiting(database: Path) -> int:
    """Return how many events the daemon's store still holds for the broker."""
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT count(*) FROM message WHERE delivered_utc_s IS NULL").fetchone()[0])
    finally:
        connection.close()


def judge(record: Record, store: dict[EVENT_KEY, bytes], undelivered: int, heard: list[Heard], log: str) -> Verdict:
    """Compare."""
    verdict = Verdict()
    events = [one for one in heard if one.topic.endswith("/events")]
    by_key: dict[EVENT_KEY, bytes] = {}
    differing, misplaced, first_seen = [], [], defaultdict(list)
    for one in events:
        content = json.loads(one.payload)
        key = content["station"], content["sequence"]
        if one.topic != f"{PREFIX}/{content['station']}/events" or one.retained:
            misplaced.append((one.topic, key))
        if by_key.setdefault(key, one.payload) != one.payload:
            differing.append(key)
        if len(by_key) > sum(map(len, first_seen.values())):
            first_seen[key[0]].append(key[1])

    verdict.figures["faults"] = len(record.outcomes)
    verdict.figures["lives of the daemon"] = len(record.lives)
    verdict.figures["of them too short to monitor: the disk was full"] = sum(life.code == FULL_AT_START for life in record.lives)
    verdict.figures["events in the store"] = len(store)
    verdict.figures["messages received"] = len(events)
    verdict.figures["of them repetitions"] = len(events) - len(by_key)
    verdict.demand("events in the store that were not received", sorted(store.keys() - by_key.keys()))
    verdict.demand("events received that are not in the store", sorted(by_key.keys() - store.keys()))
    verdict.demand(
        "events that differ from the store", sorted(key for key in store.keys() & by_key.keys() if store[key] != by_key[key])
    )
    verdict.demand("sequence numbers received with differing contents", differing)
    verdict.demand("holes in a sequence", list(_holes(by_key)))
    verdict.demand("stations whose events came out of order", [name for name, seen in first_seen.items() if seen != sorted(seen)])
    verdict.demand("events on a wrong topic, or retained", misplaced)
    verdict.demand("events the store still holds for the broker", range(undelivered))
    _judge_plays(verdict, by_key, store)
    _judge_losses(verdict, record, store)
    verdict.demand("events against the published schema", list(_against_schema(store)))
    verdict.demand("retained topics that are not what a stopped monitor leaves", list(_retained_wrong(record)))
    verdict.demand("tracebacks in the daemon's log", [line for line in log.splitlines() if "Traceback" in line])
    verdict.demand("decoders left behind by a dead daemon", range(record.orphans))
    verdict.demand("other complaints", record.complaints)
    verdict.figures["longest time to drain at the end, s"] = round(record.drained_after_s or -1.0, 1)
    verdict.figures["memory of the daemon at most, MB"] = round(max((life.memory_mb for life in record.lives), default=0.0))
    verdict.figures["windows dropped"] = round(sum(life.dropped for life in record.lives))
    verdict.figures["broker lost, times"] = round(sum(life.disconnects for life in record.lives))
    verdict.figures["writes refused by the disk"] = round(sum(life.write_failures for life in record.lives))
    _judge_truth(verdict, record, by_key)
    return verdict


def fold(events: dict[EVENT_KEY, bytes]) -> dict[str, dict[str, Any]]:
    """Return the last word on each play, by its id."""
    folded: dict[str, dict[str, Any]] = {}
    for key in sorted(events):
        content = json.loads(events[key])
        folded[content["id"]] = content
    return folded


def _holes(events: Iterable[EVENT_KEY]) -> Iterator[str]:
    numbers: dict[str, set[int]] = defaultdict(set)
    for station, sequence in events:
        numbers[station].add(sequence)
    for station, found in sorted(numbers.items()):
        for missing in sorted(set(range(1, max(found) + 1)) - found):
            yield f"{station} {missing}"


def _judge_plays(verdict: Verdict, heard: dict[EVENT_KEY, bytes], store: dict[EVENT_KEY, bytes]) -> None:
    """A play: told once that it began, told once that it is over, on one station and of one recording; nothing after its end."""
    ours, theirs = fold(heard), fold(store)
    verdict.figures["plays"] = len(ours)
    verdict.demand(
        "plays whose folded state differs from the store's",
        [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)],
    )
    kinds: dict[str, list[str]] = defaultdict(list)
    places: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for key in sorted(heard):
        content = json.loads(heard[key])
        kinds[content["id"]].append(content["type"])
        places[content["id"]].add((content["station"], content["reference"]["id"]))
    ends = {"ended", "retracted"}
    verdict.demand("plays that began and never ended", [key for key, told in kinds.items() if not ends & set(told)])
    verdict.demand("plays told of after their end", [key for key, told in kinds.items() if ends & set(told[:-1])])
    verdict.demand("plays that did not begin with their start", [key for key, told in kinds.items() if told[0] != "started"])
    verdict.demand("plays started twice", [key for key, told in kinds.items() if told.count("started") > 1])
    verdict.demand("plays on two stations", [key for key, found in places.items() if len({station for station, _ in found}) > 1])


def _judge_losses(verdict: Verdict, record: Record, store: dict[EVENT_KEY, bytes]) -> None:
    """What the daemon counted on its way to the store, life by life, must be there.

    What a life held in memory because the disk was full, and took with it when it was killed, is the documented exception and
    is counted by itself.
    """
    told = sum(life.told for life in record.lives)
    gone = sum(life.held for life in record.lives if life.code != 0) + sum(life.lost for life in record.lives)
    verdict.figures["events the daemon counted, at the last look of each life"] = round(told)
    verdict.figures["killed while the disk was full, with events in memory only"] = round(gone)
    verdict.demand("events lost between counting and storing", range(max(0, round(told - gone) - len(store))))


def _against_schema(store: dict[EVENT_KEY, bytes]) -> Iterator[str]:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for (station, sequence), payload in sorted(store.items()):
        for error in validator.iter_errors(json.loads(payload)):
            yield f"{station} {sequence}: {error.json_path} {error.message[:200]}"
            break


def _retained_wrong(record: Record) -> Iterator[str]:
    left = record.retained
    if json.loads(left.get(f"{PREFIX}/status", b"{}")).get("state") != "stopped":
        yield f"status: {left.get(f'{PREFIX}/status')!r}"
    for station in record.on_air_utc_s:
        if left.get(f"{PREFIX}/{station}/now") != b"[]":
            yield f"{station}/now: {left.get(f'{PREFIX}/{station}/now')!r}"
        if json.loads(left.get(f"{PREFIX}/{station}/status", b"{}")).get("state") != "offline":
            yield f"{station}/status: {left.get(f'{PREFIX}/{station}/status')!r}"
    for topic in left:
        if topic.endswith("/events"):
            yield f"{topic} is retained"


def _judge_truth(verdict: Verdict, record: Record, heard: dict[EVENT_KEY, bytes]) -> None:
    """Plays beside what was on air. The daemon's UTC is brought back to ours by what its clock was set to at the time."""
    names = sorted(record.on_air_utc_s)
    round_s = 4 * (PIECE_S + TALK_S)
    right = 0
    for content in fold(heard).values():
        if content["type"] != "ended":
            continue
        number = names.index(content["station"])
        starts = [datetime.fromisoformat(content["start"]).timestamp() - off_s for off_s in {off_s for _, off_s in record.clock}]
        clip = Path(content["reference"].get("path", "")).name
        began_s = record.on_air_utc_s[content["station"]]
        aired = [step * (PIECE_S + TALK_S) for step in range(4) if ON_AIR[(number + step) % len(ON_AIR)] == clip]
        ok = any(-SLACK_S <= (start - began_s) % round_s - at < PIECE_S + SLACK_S for start in starts for at in aired)
        right += ok
        if not ok:
            places = ", ".join(f"{(start - began_s) % round_s:.1f}" for start in starts)
            verdict.not_on_air.append(f"at {places} of {round_s:.0f} s, aired at {aired}: {json.dumps(content)}")
    verdict.figures |= {"plays that were on air then": right, "plays that were not": len(verdict.not_on_air)}


def table(record: Record, verdict: Verdict, head: str) -> str:
    """Write the page."""
    done = Counter(outcome.fault.kind for outcome in record.outcomes)
    seen = Counter(outcome.fault.kind for outcome in record.outcomes if outcome.seen)
    lines = ["# Chaos run", "", head, "", "| fault | times | seen to bite |", "|---|---|---|"]
    lines += [f"| {kind.value} | {done[kind]} | {seen[kind]} |" for kind in Kind if done[kind]]
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in verdict.figures.items()), ""]
    lines += ["**Passed.**" if not verdict.failures else "**Failed:**", "", *(f"- {failure}" for failure in verdict.failures)]
    return "\n".join(lines) + "\n"


def as_json(record: Record, verdict: Verdict, **more: object) -> str:
    """Write all of it for programs."""
    content = {
        **more,
        "passed": not verdict.failures,
        "figures": verdict.figures,
        "failures": verdict.failures,
        "not_on_air": verdict.not_on_air,
        "faults": [
            {**asdict(one.fault), "kind": one.fault.kind.value, "began_s": one.began_s, "ended_s": one.ended_s, "seen": one.seen}
            for one in record.outcomes
        ],
        "lives": [asdict(life) for life in record.lives],
        "clock": record.clock,
    }
    return json.dumps(content, indent=1) + "\n"
