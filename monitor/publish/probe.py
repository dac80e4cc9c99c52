"""Whether delivery would work, asked without disturbing a running monitor: what `monitor check` prints.

Knows what to say. Makes no file and takes no lock: who checks may be another user than the daemon.
"""

from __future__ import annotations

import os
from pathlib import Path

import aiomqtt

from monitor.core.brokers import Address
from monitor.errors import BrokerUnreachable, OutboxError
from monitor.publish.client import Connection, abandon, explain
from monitor.publish.schema import APPLICATION_ID
from monitor.settings import MqttSettings

_MARK = slice(68, 72)
"""Where an SQLite file holds its application id."""


async def try_broker(settings: MqttSettings, address: Address) -> None:
    """Connect and part, under a client id of its own.

    Raises:
        BrokerUnreachable: No connection; the message says why.
    """
    client = Connection(settings, address, identifier=f"{settings.client_id}-check-{os.getpid()}")
    try:
        async with client:
            pass
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        abandon(client)
        raise BrokerUnreachable(f"{address}: {explain(error, tls=settings.tls)}") from error


def look_at_outbox(path: Path) -> str:
    """Say how an outbox would be opened by this user.

    Raises:
        OutboxError: It could not; the message says what to do.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise OutboxError(f"{path}: {error.strerror}; change [outbox] path") from error
    if there:
        if not os.access(path, os.R_OK | os.W_OK):
            raise OutboxError(f"{path}: not writable for this user")
        if not path.is_file() or _application(path) != APPLICATION_ID:
            raise OutboxError(f"{path}: is no outbox; change [outbox] path or move it away")
        return f"{path}"
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutboxError(f"{folder}: not a folder this user may write in; change [outbox] path or its owner")
    return f"{path}, to be made"


def _application(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(100)[_MARK], "big")
