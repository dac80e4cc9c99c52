"""A section of the result, and how it is written: Markdown tables, numbers only, never verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table with the words needed to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Write heading, table and notes."""
        widths = [max(len(str(row[at])) for row in (self.columns, *self.rows)) for at in range(len(self.columns))]
        lines = [_line(row, widths) for row in (self.columns, *self.rows)]
        lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
        return "\n".join([f"## {self.title}", "", *lines, *(f"\n{note}" for note in self.notes), ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "|" + "|".join(f" {cell:>{width}} " for cell, width in zip(cells, widths, strict=True)) + "|"


def number(value: float) -> str:
    """Write a number with three figures that count."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
