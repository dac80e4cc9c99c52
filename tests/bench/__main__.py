"""`python -m tests.bench`: how fast it is here. Writes bench-out/bench.md, judges nothing."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from monitor.cli.common import wait_without_spinning
from tests.bench.processes import stop_in_order
from tests.bench.stopwatch import load

PARTS = ("encode", "extract", "lookup", "track", "build", "identify", "live")
OUT = Path("bench-out")


def _parts(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return [part for part in PARTS if part in wanted]


def main() -> None:
    """Run the parts in order; the page is written after each, so that an interruption costs only what was not yet measured."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument(
        "--only", type=_parts, default=list(PARTS), metavar="PART,…", help=f"some only (default: {','.join(PARTS)})"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast it is")
    parser.add_argument("--note", default="", help="a line for the head of the page")
    arguments = parser.parse_args()
    stop_in_order()
    wait_without_spinning()  # as the commands that are measured do
    from tests.bench.machine import describe
    from tests.bench.material import Material

    OUT.mkdir(exist_ok=True)
    page = OUT / "bench.md"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        material = Material(Path(folder), quick=arguments.quick)
        text = describe(material.engine.recipe, " ".join(sys.argv[1:]))
        text += f"- note: {arguments.note}\n" if arguments.note else ""
        print(text, flush=True)
        for part in arguments.only:
            before, started_s = load(), time.perf_counter()
            for section in importlib.import_module(f"tests.bench.{part}").measure(material):
                text += f"\n{section.markdown()}"
                print(section.markdown(), flush=True)
            text += f"\n(load average before this part {before}; it took {time.perf_counter() - started_s:.0f} s)\n"
            page.write_text(text, encoding="utf-8")
    print(f"written to {page}")


if __name__ == "__main__":
    main()
