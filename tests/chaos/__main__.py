"""`python -m tests.chaos`: the daemon among a dying broker, a broken network, a full disk and a jumping clock, and killed itself.

Writes DIR/chaos.md and DIR/chaos.json, with the logs beside them. The exit status is 0 only if every event is where it should be.
Asks for root (a small disk is mounted), Mosquitto and libfaketime.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.chaos import judge, plan
from tests.chaos.rig import FAKETIME
from tests.chaos.run import rig
from tests.chaos.witness import read


def main(arguments: list[str] | None = None) -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which faults when (default: %(default)s)")
    parser.add_argument("--stations", type=int, default=6, help="how many (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="one of each fault in a fixed order instead, two stations")
    parser.add_argument("--out", type=Path, default=Path("chaos-out"), help="a folder to be made anew (default: %(default)s)")
    parsed = parser.parse_args(arguments)
    if not FAKETIME or os.getuid():
        print("chaos: needs root (it mounts a small disk) and libfaketime, which `make test` installs", file=sys.stderr)
        return 2
    faults = plan.in_order() if parsed.short else plan.by_chance(parsed.seed, parsed.minutes * 60.0)
    length_s = 0.0 if parsed.short else parsed.minutes * 60.0
    out = parsed.out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    began_s = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):  # whoever ends it early leaves nothing behind; nohup would have it ignored
        signal.signal(number, signal.default_int_handler)
    with rig(out, count=2 if parsed.short else parsed.stations, update_every_s=1.0 if parsed.short else 5.0) as run:
        run.run(faults, length_s, lambda line: print(line, flush=True), patient=parsed.short)
        for part in (out / "disk").glob("outbox.db*"):
            shutil.copy(part, out)
    verdict = judge.judge(
        run.record,
        judge.stored(out / "outbox.db"),
        judge.waiting(out / "outbox.db"),
        read(out / "witness.jsonl"),
        (out / "daemon.log").read_text(encoding="utf-8", errors="replace"),
    )
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    what = "short form" if parsed.short else f"{parsed.minutes:g} minutes, seed {parsed.seed}, {parsed.stations} stations"
    head = f"{what}; commit {commit}; took {time.monotonic() - began_s:.0f} s."
    page = judge.table(run.record, verdict, head)
    (out / "chaos.md").write_text(page, encoding="utf-8")
    (out / "chaos.json").write_text(judge.as_json(run.record, verdict, what=what, commit=commit), encoding="utf-8")
    print(page)
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
