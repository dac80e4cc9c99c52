"""`monitor replay-events`: stored events of a station once more to the broker, for a subscriber that missed some.

They carry `replayed_at` and go beside those of a running monitor, which does not notice. What the broker does not have yet is not
sent: that is the monitor's to do.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.cli import stored
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.publish.history import Event

LAST = 2**62


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("replay-events", help="send stored events once more", description=__doc__)
    stored.add_outbox_arguments(parser)
    parser.add_argument("--station", required=True, metavar="NAME")
    parser.add_argument("--from", dest="first", type=int, required=True, metavar="N", help="first sequence number")
    parser.add_argument(
        "--to", dest="last", type=int, metavar="M", help="last sequence number (default: the last that was delivered)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send them. 0: all that were asked for; 1: some are not stored any more, or wait to be sent for the first time."""
    from monitor import config
    from monitor.publish.again import send_again
    from monitor.publish.history import History

    first, last = arguments.first, arguments.last if arguments.last is not None else LAST
    if not 1 <= first <= last:
        raise ConfigError("--from, --to: sequence numbers begin with 1, and --to is not less than --from")
    settings = config.load(arguments.config)
    sent, waiting = _Span(), _Span()
    with History(arguments.outbox or settings.outbox.path) as history:
        stored.stations(history, [arguments.station])

        def delivered() -> Iterator[Event]:
            for event in history.sequence(arguments.station, first, last):
                if event.delivered_utc_s is None:
                    waiting.add(event.sequence)
                else:
                    yield event
                    sent.add(event.sequence)

        asyncio.run(send_again(settings.mqtt, delivered()))
    print(f"sent once more: {sent} of {arguments.station}")
    if waiting.count:
        print(f"monitor: not sent: {waiting}, which wait in the outbox for the monitor to send them", file=sys.stderr)
    asked = (last if arguments.last is not None else max(sent.last, waiting.last, first)) - first + 1
    lost = asked - sent.count - waiting.count
    if lost:
        print(f"monitor: {lost} of those asked for are not stored (keep_days, max_mb of [outbox])", file=sys.stderr)
    return 1 if lost or (waiting.count and arguments.last is not None) else 0


@dataclass
class _Span:
    """Numbers that rise: how many, from which to which."""

    count: int = 0
    first: int = 0
    last: int = 0

    def add(self, number: int) -> None:
        self.first = self.first or number
        self.last = number
        self.count += 1

    def __str__(self) -> str:
        if self.count > 1:
            return f"{self.count} events ({self.first} to {self.last})"
        return f"1 event ({self.first})" if self.count else "no events"
