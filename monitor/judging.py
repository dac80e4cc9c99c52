"""Settings in, out what is wrong with them though every value has the right type.

Knows what makes sense, alone and together, and which files must be there. Knows nothing of where settings come from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import unquote

from monitor.core import inputs
from monitor.core.brokers import read_address
from monitor.settings import MqttSettings, Settings, SourceKind, StreamSettings

RANGES: dict[str, tuple[float, float]] = {
    "stream.programme": (0, 65535),
    "stream.no_data_timeout_s": (1.0, 3600.0),
    "stream.silence_db": (-120.0, 0.0),
    "stream.silence_after_s": (1.0, 3600.0),
    "stream.expect_detection_s": (0.0, 31_536_000.0),
    "catalog.poll_s": (0.1, 3600.0),
    "encoder.threads": (0, 1024),
    "encoder.max_batch": (1, 65536),
    "encoder.max_wait_s": (0.0, 10.0),
    "matcher.false_alarms_per_day": (1e-6, 1e6),
    "matcher.decoy_share": (0.0, 1.0),
    "matcher.min_play_s": (1.0, 600.0),
    "matcher.bridge_s": (0.0, 600.0),
    "matcher.ring_s": (10.0, 86400.0),
    "matcher.update_every_s": (0.0, 86400.0),
    "mqtt.port": (1, 65535),
    "mqtt.keepalive_s": (5, 65535),
    "mqtt.ack_timeout_s": (0.5, 600.0),
    "outbox.keep_days": (0.0, 36500.0),
    "outbox.max_mb": (1.0, 1e9),
    "ledger.keep_days": (1.0, 36500.0),
    "http.port": (0, 65535),
    "shard.index": (0, 9999),
    "shard.count": (1, 10_000),
}
"""What a number may be, ends included; beyond it is a slip of the pen or harm."""
LEVELS = ("debug", "info", "warning", "error")
LONGEST_TEXT = 4096
"""Characters a text may have: Linux' limit for a path, and with its four bytes each well within MQTT's 65,535 for a topic."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def sections() -> dict[str, type[Any]]:
    """Return the tables of the configuration that stand there once, by name."""
    hints = get_type_hints(Settings)
    return {f.name: hints[f.name] for f in fields(Settings) if is_dataclass(hints[f.name])}


def judge(settings: Settings) -> Iterator[str]:
    """Yield every complaint, a line each."""
    for section in sections():
        yield from _judge_numbers(f"[{section}]", section, getattr(settings, section))
        yield from _judge_texts(f"[{section}]", getattr(settings, section))
    seen: set[str] = set()
    for number, stream in enumerate(settings.stream, 1):
        where = f"[[stream]] number {number} ({stream.name!r})"
        yield from _judge_numbers(where, "stream", stream)
        yield from _judge_texts(where, stream)
        yield from (f"{where} {complaint}" for complaint in _judge_stream(stream))
        if stream.name in seen:
            yield f"{where} name: a stream before it has the same; each needs its own"
        seen.add(stream.name)
    yield from _judge_mqtt(settings.mqtt)
    if settings.shard.index >= settings.shard.count:
        yield f"[shard] index: must be below count ({settings.shard.count}), not {settings.shard.index}"
    if settings.log.level not in LEVELS:
        yield f"[log] level: must be one of {', '.join(LEVELS)}, not {settings.log.level!r}"
    if not settings.http.bind:
        yield "[http] bind: is empty; use 127.0.0.1 for this machine only, 0.0.0.0 for all"


def _judge_numbers(where: str, section: str, table: Any) -> Iterator[str]:
    for f in fields(table):
        low, high = RANGES.get(f"{section}.{f.name}", (float("-inf"), float("inf")))
        value = getattr(table, f.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not low <= value <= high:
            yield f"{where} {f.name}: must be from {low:g} to {high:g}, not {value}"


def _judge_texts(where: str, table: Any) -> Iterator[str]:
    """Yield the texts that no file, host, user or topic can be called."""
    for f in fields(table):
        value = getattr(table, f.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str | Path):
                if any(unicodedata.category(letter) == "Cc" for letter in str(text)):
                    yield f"{where} {f.name}: must not hold control characters"
                if len(str(text)) > LONGEST_TEXT:
                    yield f"{where} {f.name}: must have at most {LONGEST_TEXT} characters, not {len(str(text))}"


def _judge_stream(stream: StreamSettings) -> Iterator[str]:
    if not _NAME.fullmatch(stream.name) or not stream.name.strip("."):
        yield "name: must be 1 to 64 letters, digits, '.', '_' or '-'"
    if stream.kind is SourceKind.SOUNDCARD:
        if stream.url:
            yield "url: a sound card has none; use device, or leave kind out"
        for name in ("spares", "user_agent", "headers", "programme", "track", "ffmpeg_options"):
            if getattr(stream, name):
                yield f"{name}: a sound card has none"
        return
    if stream.device:
        yield 'device: only sound cards have one; add kind = "soundcard", or use url'
    if not stream.url:
        yield "url: is missing"
    for key, url in (("url", stream.url), *(("spares", spare) for spare in stream.spares)):
        if not all(sign.isprintable() for sign in url):
            yield f"{key}: must not hold control characters"
        elif url:
            yield from (f"{key}: {complaint}" for complaint in _judge_url(url))
    yield from (f"headers: {complaint}" for complaint in inputs.judge_headers(stream.headers))
    yield from (f"ffmpeg_options: {complaint}" for complaint in inputs.judge_options(stream.ffmpeg_options))
    if any(sign in stream.user_agent for sign in "\r\n\0"):
        yield "user_agent: must be one line"
    if stream.track and not inputs.TRACK.fullmatch(stream.track):
        yield f'track: must be an index ("1"), a language of three letters ("deu") or an id ("0x101"), not {stream.track!r}'


def _judge_url(url: str) -> Iterator[str]:
    # A scheme that is not listened to costs its own stream only, when it is opened: it must not hold up a reload.
    if not inputs.is_network(url):
        file = Path(unquote(url[len("file://") :]) if "://" in url else url)
        if not _is_file(file):
            yield f"no such file: {file}"


def _judge_mqtt(mqtt: MqttSettings) -> Iterator[str]:
    if not mqtt.host:
        yield "[mqtt] host: is empty"
    for text in mqtt.standby:
        try:
            read_address(text, default_port=mqtt.port)
        except ValueError as error:
            yield f"[mqtt] standby: {error}"
    discovery = mqtt.home_assistant
    if discovery and not _is_topic(discovery):
        yield "[mqtt] home_assistant: must not hold '#' or '+', begin or end with '/', or begin with '$'"
    if not mqtt.client_id:
        yield "[mqtt] client_id: is empty; must be unique on the broker"
    for name in ("prefix", "status_topic"):
        if not _is_topic(getattr(mqtt, name)):
            yield f"[mqtt] {name}: must not be empty, hold '#' or '+', begin or end with '/', or begin with '$'"
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(mqtt, name)
        if file and not mqtt.tls:
            yield f"[mqtt] {name}: has no effect without tls = true"
        elif file and not _is_file(Path(file)):
            yield f"[mqtt] {name}: no such file: {file}"
    if bool(mqtt.cert_file) != bool(mqtt.key_file):
        yield "[mqtt] cert_file, key_file: one needs the other"


def _is_topic(text: str) -> bool:
    """Say whether topics may begin so; what begins with '$' is the broker's own."""
    return bool(text) and text.strip("/") == text and not text.startswith("$") and not set("#+") & set(text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file() or path.is_fifo()
    except (OSError, ValueError):  # a name that is too long, or a folder that may not be looked into
        return False
