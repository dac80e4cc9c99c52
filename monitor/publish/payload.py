"""Detection in, the JSON a subscriber reads out.

Knows the names and the promise of the payload: within `SCHEMA` fields are only added; a change of meaning takes a new number. The
promise stands in deploy/schema/detection-1.json. Knows nothing of brokers or disks.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor import __version__
from monitor.messages import Detection, EventKind, Reference

SCHEMA = 1
ISWC = ("iswc",)
UPC = ("upc", "ean", "gtin", "barcode")
"""Names that columns of the operator's CSV have for these, in the order they are looked for, whatever their case."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def utc(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=round(seconds * 1000.0))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Read what `utc` wrote."""
    return datetime.fromisoformat(text).timestamp()


def describe_reference(reference: Reference) -> dict[str, Any]:
    """Say who a recording is; unknown texts are empty, `path` is left out when there is none."""
    described: dict[str, Any] = {
        "id": reference.id,
        "title": reference.title,
        "artist": reference.artist,
        "album": reference.album,
        "isrc": reference.isrc,
        "iswc": _custom(reference, ISWC),
        "upc": _custom(reference, UPC),
        "duration_s": round(reference.duration_s, 3),
        "custom": dict(reference.custom),
    }
    if reference.path:
        described["path"] = reference.path
    return described


def describe_hint(detection: Detection) -> dict[str, Any] | None:
    """Say what the station itself says is on air, None when it says nothing."""
    if detection.hint is None or detection.hint_utc_s is None:
        return None
    return {"title": detection.hint.title, "kind": detection.hint.kind.value, "since": utc(detection.hint_utc_s)}


def _custom(reference: Reference, names: tuple[str, ...]) -> str:
    columns = {column.lower(): value for column, value in reference.custom.items()}
    return next((columns[name] for name in names if name in columns), "")


def describe(detection: Detection, *, sequence: int, store: str) -> dict[str, Any]:
    """Say all about a detection. `end` is null until the play has ended; `heard_until` is the last moment it was heard so far.

    `sequence` counts the events of the station in the outbox `store`.
    """
    play = detection.play
    end = utc(detection.end_utc_s)
    return {
        "schema": SCHEMA,
        "id": detection.id,
        "store": store,
        "sequence": sequence,
        "type": detection.kind.value,
        "station": detection.station,
        "start": utc(detection.start_utc_s),
        "end": end if detection.kind is EventKind.ENDED else None,
        "heard_until": end,
        "uncertainty_s": round(detection.uncertainty_s, 3),
        "end_uncertainty_s": round(detection.end_uncertainty_s, 3),
        "played_duration_s": round(detection.end_utc_s - detection.start_utc_s, 3),
        "reference": describe_reference(detection.reference),
        "alternatives": [describe_reference(one) for one in detection.alternatives],
        "usage": play.usage.value,
        "complete": play.complete,
        "reference_start_s": round(play.reference_start_s, 3),
        "reference_end_s": round(play.reference_end_s, 3),
        "speed": round(play.speed, 4),
        "score": round(play.score, 4),
        "confidence": round(play.confidence, 6),
        "detected_at": utc(detection.detected_utc_s),
        "hint": describe_hint(detection),
        "encoder": detection.encoder,
        "encoder_recipe": detection.recipe,
        "catalog_generation": detection.generation,
        "monitor_version": __version__,
    }


def ended(content: dict[str, Any], *, sequence: int, store: str) -> dict[str, Any]:
    """Say that a play is over which was last described so, by a run that did not live to tell its end."""
    kind = EventKind.ENDED.value
    return {
        **content,
        "store": store,
        "sequence": sequence,
        "type": kind,
        "end": content["heard_until"],
        "monitor_version": __version__,
    }


def replayed(content: dict[str, Any], *, now_utc_s: float) -> dict[str, Any]:
    """Say an event once more, and that it is not new."""
    return {**content, "replayed_at": utc(now_utc_s)}


def on_air(detection: Detection) -> dict[str, Any]:
    """Say what is playing, for the `now` topic."""
    return {
        "id": detection.id,
        "start": utc(detection.start_utc_s),
        "heard_until": utc(detection.end_utc_s),
        "reference": describe_reference(detection.reference),
        "confidence": round(detection.play.confidence, 6),
    }


def encode(content: object) -> bytes:
    """Write JSON in UTF-8, without spaces.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot say.
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
