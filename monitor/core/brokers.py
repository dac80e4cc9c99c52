"""Which broker is tried next, and after how long.

Knows addresses in an order of preference and the times it is told. Knows nothing of connections.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.core.backoff import Backoff

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]\s]+)\]|(?P<name>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker is."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str, *, default_port: int) -> Address:
    """Read `host`, `host:port`, `[v6 address]` or `[v6 address]:port`.

    Raises:
        ValueError: It is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"] or default_port) if found else 0
    if not found or not 1 <= port <= 65535:
        raise ValueError(f"{text!r} is no broker; write host, host:port or [address]:port")
    return Address(host=found["v6"] or found["name"], port=port)


class Rota:
    """Brokers in order of preference.

    One that answers is kept until it is lost, also when a preferred one returns meanwhile: a switch costs a repetition, and a
    network that flaps would switch all the time. After a loss all are asked from the first on, each at once after the one before;
    a round that found none waits for the backoff. A broker that lets us in and throws us out before it was stable counts as one
    that did not answer.
    """

    def __init__(self, addresses: Sequence[Address], backoff: Backoff, *, stable_s: float) -> None:
        """Begin with the first of `addresses`, of which there is at least one."""
        self._addresses = tuple(addresses)
        self._backoff = backoff
        self._stable_s = stable_s
        self._at = 0
        self._works_since_s: float | None = None

    @property
    def current(self) -> Address:
        """The broker that is in use, or to be tried."""
        return self._addresses[self._at]

    def worked(self, now_s: float) -> None:
        """Note that the current one lets us in."""
        self._works_since_s = now_s
        self._backoff.worked(now_s)

    def failed(self, now_s: float) -> float:
        """Note that the current one does not answer or was lost; return how long to wait before the next is tried."""
        stable = self._works_since_s is not None and now_s - self._works_since_s >= self._stable_s
        self._works_since_s = None
        self._at = 0 if stable else (self._at + 1) % len(self._addresses)
        return self._backoff.failed(now_s) if self._at == 0 else 0.0
