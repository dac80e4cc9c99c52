"""Arguments and exit codes, nothing else.

One module a command; each has `register(subparsers)`, which adds its parser and sets `run`, a function of the parsed arguments
that returns the exit code. A command's module imports its heavy neighbours only when it runs, so that `monitor --help` is quick.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys

from monitor import __version__
from monitor.cli.common import wait_without_spinning
from monitor.errors import MonitorError, Permanent

COMMANDS = (
    *("run", "check", "catalog", "identify", "airtime", "events", "report", "replay-events"),
    *("encoder", "train", "evaluate", "demo"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command named by the arguments; return the exit code.

    0: done. 1: done, but something was skipped or found wanting. 2: wrong arguments. 75: it may work later. 78: a person must
    change something first. 141: whoever read what it prints has left, as `head` does.
    """
    parser = argparse.ArgumentParser(prog="monitor", description="Says which known recording was on air, where, from when to when.")
    parser.add_argument("--version", action="version", version=f"monitor {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        importlib.import_module(f"monitor.cli.{command.replace('-', '_')}").register(subparsers)
    parsed = parser.parse_args(arguments)
    wait_without_spinning()
    try:
        code = int(parsed.run(parsed))
        print(end="", flush=True)
        return code
    except Permanent as error:
        _complain(error)
        return Permanent.exit_code
    except MonitorError as error:
        _complain(error)
        return 75
    except KeyboardInterrupt:
        print("monitor: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        unread = isinstance(error, BrokenPipeError) and _unread()
        if not unread and error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _print_what_can_be()
        if unread:
            return 141
        _complain(f"the disk is full ({error}), or that under what is printed: make room, then run it again")
        return 75


def _print_what_can_be() -> None:
    """Print what is still to be printed, or drop it, as Python would try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unread() -> bool:
    """Say whether nobody reads what is printed any more, rather than some other pipe."""
    asked = select.poll()
    asked.register(sys.stdout, 0)
    return any(what & select.POLLERR for _, what in asked.poll(0))


def _complain(error: MonitorError | str) -> None:
    """Say why it ends; to the journal as an error, or `journalctl -p err` would not show what the service stays down for."""
    from monitor.observe.logs import for_journal

    print(for_journal(f"monitor: {error}", "error", out=sys.stderr, environ=os.environ), file=sys.stderr)
