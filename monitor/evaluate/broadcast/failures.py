"""What went wrong in a run, play by play, with what the oracle knew: for whoever works on the matcher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.evaluate.broadcast.judge import Told, Verdict
from monitor.evaluate.broadcast.oracle import Known


def failures(verdicts: Iterable[Verdict], known: Mapping[str, Sequence[Known]]) -> list[str]:
    """List what went wrong, play by play: missed, late, broken up, in the wrong place, badly cut, or falsely told."""
    lines = []
    for verdict in verdicts:
        scene = verdict.scene
        for found, could in zip(verdict.plays, known[scene.name], strict=True):
            element = found.element
            wrong = []
            if not found.told:
                wrong.append("missed" if could.after_s is not None else "missed (by the oracle too)")
            else:
                if len(found.told) > 1:
                    wrong.append(f"in {len(found.told)} pieces")
                if any(told.place_right is False for told in found.told):
                    wrong.append("place in the recording wrong")
                if abs(found.start_error_s) > 2.0:
                    wrong.append(f"start off by {found.start_error_s:+.1f} s")
                if abs(found.end_error_s) > 2.0:
                    wrong.append(f"end off by {found.end_error_s:+.1f} s")
            if wrong:
                oracle = "never" if could.after_s is None else f"after {could.after_s:.1f} s, {could.said_s:.0f} s"
                lines.append(
                    f"{scene.name} ({scene.codec}): {_short(element.name)} {element.at_s:.1f}–{element.end_s:.1f} s, "
                    f"from {element.from_s:.1f} s at {element.speed:.3f}: {', '.join(wrong)}. "
                    f"Told: {_said(found.told)}. Oracle: {oracle}, "
                    f"{could.evidence:.0f} nats, similarity {could.similarity:.2f}"
                )
        lines += [
            f"{scene.name} ({scene.codec}): false: {_said([told])}; on air: {_on_air(verdict, told)}" for told in verdict.false
        ]
    return lines


def _short(name: str) -> str:
    """Return a recording's package and file."""
    parts = name.split("/")
    return f"{parts[1]}/{parts[-1]}" if len(parts) > 2 else name


def _said(told: Sequence[Told]) -> str:
    return (
        "; ".join(
            f"{_short(one.said)} {one.start_s:.1f}–{one.end_s:.1f} s, from {one.reference_start_s:.1f} s at {one.speed:.3f}, "
            f"certain at {one.detected_s:.1f} s, {one.evidence:.0f} nats, {one.confidence:.3f}"
            for one in told
        )
        or "nothing"
    )


def _on_air(verdict: Verdict, told: Told) -> str:
    there = [
        f"{_short(one.name) or one.kind} from {one.from_s + one.speed * (told.start_s - one.at_s):.1f} s"
        for one in verdict.scene.elements
        if min(told.end_s, one.end_s) > max(told.start_s, one.at_s)
    ]
    return ", ".join(there) or "nothing"
