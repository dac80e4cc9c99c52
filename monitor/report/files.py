"""A list as a file: CSV or XLSX.

Hides the csv module and XlsxWriter. Knows rows and columns, not what they mean.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import IO

from monitor.errors import ReportError
from monitor.report.layouts import Cell, Layout


def write_csv(layout: Layout, rows: Sequence[Sequence[Cell]], out: IO[str]) -> None:
    """Write rows as the layout's kind of CSV; `out` is opened with newline=""."""
    writer = csv.writer(out, dialect=layout.dialect)
    if layout.headed:
        writer.writerow(layout.columns)
    writer.writerows(rows)


def xlsx(layout: Layout, rows: Sequence[Sequence[Cell]], totals: tuple[Layout, Sequence[Sequence[Cell]]]) -> bytes:
    """Return a workbook with two sheets: the rows, and the totals. Texts stay texts: a title that begins with = is no formula.

    Raises:
        ReportError: XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise ReportError(f"XLSX needs XlsxWriter: {sys.executable} -m pip install xlsxwriter; or choose --format csv") from error
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        bold = book.add_format({"bold": True})
        for one, content in ((layout, rows), *([totals] if totals[0] != layout else [])):
            sheet = book.add_worksheet(one.name)
            sheet.freeze_panes(1, 0)
            for at, name in enumerate(one.columns):
                sheet.write_string(0, at, name, bold)
                longest = max((len(str(row[at])) for row in content), default=0)
                sheet.set_column(at, at, min(max(len(name), longest) + 2, 60))
            for line, row in enumerate(content, 1):
                for at, cell in enumerate(row):
                    if isinstance(cell, str):
                        sheet.write_string(line, at, cell)
                    else:
                        sheet.write_number(line, at, cell)
            sheet.autofilter(0, 0, max(len(content), 1), len(one.columns) - 1)
    return out.getvalue()
