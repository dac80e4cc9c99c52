"""`python -m tests.faults --out DIR`: break every kind of source, and write what it cost: faults.json and faults.md.

A healthy neighbour is heard all the while: what happens to the others must not reach it. Nothing here judges; the tests judge the
short form (`--short`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.faults import cases
from tests.faults.cases import Case, Row, World, stream
from tests.faults.listener import Listener
from tests.faults.origins import Mount
from tests.faults.programme import render
from tests.integration.radio import Icecast

_HEAD = (
    "fault",
    "source",
    "detect s",
    "recover s",
    "truly away s",
    "programme missed s",
    "media time skips s",
    "ledger: not received s",
    "losses",
    "reason told",
    "note",
)


@dataclass(slots=True, kw_only=True)
class Report:
    """What all faults cost, and what the neighbour noticed."""

    rows: list[Row]
    failed: list[str]
    neighbour_gaps_s: float
    neighbour_restarts: int
    neighbour_pause_s: float

    def to_json(self) -> dict[str, object]:
        """Return it for a file."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "failed": self.failed,
            "neighbour": {
                "gaps_s": self.neighbour_gaps_s,
                "restarts": self.neighbour_restarts,
                "longest_pause_s": round(self.neighbour_pause_s, 2),
            },
        }

    def to_markdown(self) -> str:
        """Return it as a table."""
        lines = ["| " + " | ".join(_HEAD) + " |", "|---" * len(_HEAD) + "|"]
        for row in self.rows:
            times = (row.detect_s, row.recover_s, row.unavailable_s, row.missed_s, row.gap_s, row.ledger_s)
            shown = [row.case, row.source, *("-" if time_s is None else f"{time_s:.1f}" for time_s in times), str(row.restarts)]
            lines.append("| " + " | ".join([*shown, row.reason, row.note]) + " |")
        neighbour = (
            f"The healthy neighbour: {self.neighbour_restarts} losses, {self.neighbour_gaps_s:.1f} s of gaps, "
            f"longest wait for sound {self.neighbour_pause_s:.2f} s."
        )
        return "\n".join([*lines, "", neighbour, *(f"FAILED: {text}" for text in self.failed), ""])


async def run(groups: tuple[tuple[Case, ...], ...], *, short: bool) -> Report:
    """Break the sources of each group at once, group after group."""
    rows: list[Row] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o777)  # Icecast runs as another user
        server = Icecast(folder)
        files = await asyncio.to_thread(render, folder, ("mp3", "ts") if short else ("mp3", "ts", "ogg"))
        await asyncio.to_thread(server.start)
        healthy = Mount(server, "healthy", files)
        try:
            await asyncio.to_thread(healthy.start)
            async with Listener(stream("healthy", server.url("healthy")), folder) as neighbour:
                await neighbour.heard()
                world = World(files=files, icecast=server, folder=folder, short=short)
                for group in groups:
                    for result in await asyncio.gather(*(case(world) for case in group), return_exceptions=True):
                        if isinstance(result, Row):
                            rows.append(result)
                        else:
                            failed.append("".join(traceback.format_exception(result)[-2:]).strip())
                report = Report(
                    rows=rows,
                    failed=failed,
                    neighbour_gaps_s=neighbour.gaps_s(),
                    neighbour_restarts=neighbour.restarts(),
                    neighbour_pause_s=neighbour.longest_pause_s(),
                )
        finally:
            healthy.stop()
            server.stop()
    return report


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for faults.json and faults.md")
    parser.add_argument("--short", action="store_true", help="the few that the tests run")
    parser.add_argument("--group", type=int, choices=range(1, len(cases.ALL) + 1), help="one group of the faults only")
    arguments = parser.parse_args()
    groups = (cases.SHORT,) if arguments.short else cases.ALL
    if arguments.group:
        groups = groups[arguments.group - 1 : arguments.group]
    report = asyncio.run(run(groups, short=arguments.short))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "faults.json").write_text(json.dumps(report.to_json(), indent=1) + "\n")
    (arguments.out / "faults.md").write_text(report.to_markdown())
    print(report.to_markdown())


if __name__ == "__main__":
    main()
