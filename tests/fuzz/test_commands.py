"""Commands over whatever lies in the outbox, and with whatever arguments: a list, or a refusal with its exit status."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.catalog.tags import Sheet, read
from monitor.cli import main
from monitor.errors import CatalogError
from monitor.messages import Detection, EventKind
from monitor.publish.outbox import DiskOutbox
from tests.fuzz.test_payload import TEXT, detections

LAYOUTS = ("plays", "totals", "cue", "suisa", "soundexchange")
DOCUMENTED = {0, 1, 2, 75, 78}


def said(*arguments: str) -> tuple[int, str, str]:
    """Run a command here; return its exit status and what it wrote."""
    out, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        try:
            status = main(list(arguments))
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
    assert status in DOCUMENTED
    return status, out.getvalue(), complaints.getvalue()


@contextlib.contextmanager
def outbox(told: list[Detection]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        opened = DiskOutbox(path, keep_days=1.0, tell=lambda _: None)
        opened.put([replace(one, kind=EventKind.ENDED) for one in told])
        opened.close()
        yield path


SPAN = ("--from", "0002-01-01", "--to", "9998-01-01")


@settings(deadline=None, max_examples=10)
@given(st.lists(detections(), min_size=1, max_size=4))
def test_every_report_of_any_plays(told: list[Detection]) -> None:
    with outbox(told) as path:
        for layout in LAYOUTS:
            status, out, complaints = said("report", "--outbox", str(path), *SPAN, "--layout", layout)
            assert status == 0, complaints
            assert layout in {"soundexchange", "cue"} or list(csv.reader(io.StringIO(out, newline="")))
            book = path.with_suffix(".xlsx")
            status, _, complaints = said("report", "--outbox", str(path), *SPAN, "--layout", layout, "--out", str(book))
            assert status in {0, 2, 78}, complaints
            if status == 0:
                with zipfile.ZipFile(book) as parts:
                    for name in parts.namelist():
                        if name.endswith(".xml"):
                            ElementTree.fromstring(parts.read(name))
        for form in ("table", "csv", "json"):
            status, out, complaints = said("events", "--outbox", str(path), *SPAN, "--format", form)
            assert status == 0, complaints


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["events", "report"]),
    st.lists(
        st.tuples(
            st.sampled_from(["--from", "--to", "--tz", "--station", "--format", "--layout", "--merge-gap"]),
            TEXT.filter(lambda text: "\0" not in text)
            | st.sampled_from(
                ["nan", "-1", "1e999", "9999-12-31T23:59:59", "0001-01-01", "2026-02-30", "Europe/Zürich", "../etc", "UTC"]
            ),
        ),
        max_size=4,
    ),
)
@example("events", [("--from", "0001-01-01"), ("--tz", "Asia/Tokyo")])
@example("events", [("--to", "9999-12-31T23:59"), ("--tz", "America/New_York")])
@example("report", [("--to", "0001-01-01")])
@example("report", [("--tz", "/etc/passwd")])
def test_any_arguments(command: str, options: list[tuple[str, str]]) -> None:
    with outbox([]) as path:
        status, _, complaints = said(
            command, "--outbox", str(path), *(word for option, text in options for word in (f"{option}={text}",))
        )
        assert "Traceback" not in complaints
        if status == 78:
            assert complaints.startswith("monitor: ")


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=200)
    | st.lists(st.lists(TEXT | st.sampled_from(["path", "file", "title", "isrc", "a.opus", ""]), max_size=5), max_size=5).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    )
    | st.lists(TEXT, max_size=4).map(lambda cells: ("path;title;isrc;x\na.opus;" + ";".join(cells)).encode())
)
@example(b"path\n" + b"x" * 200_000)
@example(b'path,title\n"a.opus')
@example(b"path\n\x00.opus\n")
@example(b"path\n" + b"x/" * 5000)
@example(b"path,path\na,b\n")
def test_any_sheet_of_names(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.csv"
        path.write_bytes(content)
        try:
            sheet = Sheet(path)
        except CatalogError:
            return
        for missing in sheet.missing():
            read(missing, sheet.row(missing))
