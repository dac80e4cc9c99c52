"""config.toml and the environment in, Settings out, or every complaint at once.

Knows the file's syntax, what values make sense, and where secrets come from. Precedence: file, then environment
(MONITOR_<SECTION>_<KEY>). What each key means stands in `settings.py`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError

from monitor.core import inputs
from monitor.core.brokers import read_address
from monitor.core.masking import mask_url
from monitor.errors import ConfigError
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
LONGEST_COMPLAINT = 300
"""Characters of a complaint that are shown; a longer one loses its middle."""
SECRETS = frozenset({"password"})
MAY_HOLD_SECRETS = SECRETS | {"headers", "ffmpeg_options"}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ADAPTER = TypeAdapter(Settings)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and judge the configuration. Relative paths in it are relative to its folder.

    Raises:
        ConfigError: With one line for each complaint.
    """
    tables = _read(path)
    complaints = list(_apply_environment(tables, environ))
    settings, found = _build(tables)
    complaints += found
    settings = _resolve(settings, path.absolute().parent)
    complaints += _judge(settings)
    settings, found = _with_password(settings, given="MONITOR_MQTT_PASSWORD" in environ)
    complaints += found
    if complaints:
        raise ConfigError("\n".join(f"{path}: {_line(complaint)}" for complaint in complaints))
    return _apart(settings)


def describe(settings: Settings) -> str:
    """Write settings as TOML, secrets masked."""
    parts = [_describe_table("[[stream]]", stream) for stream in settings.stream]
    parts += [_describe_table(f"[{f.name}]", getattr(settings, f.name)) for f in fields(settings) if f.name != "stream"]
    return "\n".join(parts)


def secrets(settings: Settings) -> list[str]:
    """Return the texts that must not be printed: passwords, and those within stream addresses."""
    streams = [
        secret
        for one in settings.stream
        for secret in inputs.secrets_of(urls=(one.url, *one.spares), headers=one.headers, options=one.ffmpeg_options)
    ]
    return [text for text in (settings.mqtt.password, *streams) if text]


def _read(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows put a mark first
        json.dumps(tables, default=str)  # a hexadecimal number may be read longer than it can be written
        return tables
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: holds a number that is too long, or tables or lists too deep within each other") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; start from the config.toml that comes with monitor") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _line(complaint: str) -> str:
    """Make it one line that any terminal can show, whatever the file held."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in complaint)
    keep = LONGEST_COMPLAINT // 2
    return text if len(text) <= LONGEST_COMPLAINT else f"{text[:keep]} … {text[-keep:]}"


def _sections() -> dict[str, type[Any]]:
    hints = get_type_hints(Settings)
    return {f.name: hints[f.name] for f in fields(Settings) if is_dataclass(hints[f.name])}


def _keys(section: str) -> list[str]:
    kind = StreamSettings if section == "stream" else _sections().get(section, Settings)
    return [f.name for f in fields(kind)]


def _apply_environment(tables: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Put MONITOR_<SECTION>_<KEY> into the tables; yield what cannot be."""
    for section, kind in _sections().items():
        prefix = f"MONITOR_{section.upper()}_"
        hints = get_type_hints(kind)
        for variable in sorted(name for name in environ if name.startswith(prefix)):
            key = variable.removeprefix(prefix).lower()
            if key not in hints:
                yield f"environment {variable}: no such key{_guess(key, list(hints), upper=prefix)}"
                continue
            if not _is_unicode(environ[variable]):
                yield f"environment {variable}: is not UTF-8 text"
                continue
            table = tables.setdefault(section, {})
            if isinstance(table, dict):
                table[key] = _from_text(environ[variable], hints[key])


def _is_unicode(text: str) -> bool:
    """Say whether it can be written; Python puts lone surrogates for bytes that it could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_text(text: str, kind: type[Any]) -> Any:
    """Read a number, a truth value or a list (with commas) as TOML would; what is neither is left for the judge to refuse."""
    if kind is bool:
        return {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower(), text)
    if kind in {int, float}:
        try:
            return kind(text)
        except ValueError:
            return text
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _build(tables: dict[str, Any]) -> tuple[Settings, list[str]]:
    """Return the settings and what was wrong; what was wrong is left at its default, so that the rest can be judged too."""
    text = json.dumps(tables, default=str)
    try:
        return _ADAPTER.validate_json(text, strict=True, extra="forbid"), []
    except ValidationError as error:
        errors: list[dict[str, Any]] = [dict(found) for found in error.errors(include_url=False)]
    rest = json.loads(text)
    for found in errors:
        _mend(rest, *found["loc"])
    return _ADAPTER.validate_json(json.dumps(rest), strict=True, extra="forbid"), [_complain(tables, found) for found in errors]


def _mend(rest: Any, *location: str | int) -> None:
    *path, last = location
    if isinstance(last, int) and path != ["stream"]:  # one text of a list
        *path, last = path
    for step in path:
        rest = rest[step]
    if path[:1] == ["stream"] and last == "name":  # the one key without a default
        rest[last] = f"unnamed-{path[-1]}"
    elif isinstance(last, int):  # a stream's place is kept, so that the others keep their numbers
        rest[last] = {"name": f"unnamed-{last}"}
    else:
        rest.pop(last, None)  # a list with several that are wrong is gone with the first


def _complain(tables: dict[str, Any], found: dict[str, Any]) -> str:
    location: tuple[str | int, ...] = found["loc"]
    where = _where(tables, location)
    key = str(location[-1])
    shown = "***" if MAY_HOLD_SECRETS.intersection(map(str, location)) else mask_url(repr(found["input"]))
    match found["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden" if len(location) == 1:
            return f"{key}: no such section{_guess(key, [f.name for f in fields(Settings)])}"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{where}: no such key{_guess(key, _keys(str(location[0])))}"
        case "missing":
            return f"{where}: is missing"
        case "tuple_type" if key == "stream":
            return "stream: write [[stream]] with double brackets, one for each station"
        case "dataclass_type":
            return f"{where}: must be a table, not {shown}"
        case kind:
            text = (
                str(found["msg"])
                .replace("Input should be", "must be")
                .replace("a valid integer", "a whole number")
                .replace("a valid", "a")
            )
            hint = ", without quotes" if isinstance(found["input"], str) and kind in {"int_type", "float_type", "bool_type"} else ""
            return f"{where}: {text}{hint}, not {shown}"


def _where(tables: dict[str, Any], location: tuple[str | int, ...]) -> str:
    if len(location) < 2 or location[0] != "stream":
        return " ".join([f"[{location[0]}]", *(str(part) for part in location[1:])])
    streams = tables["stream"]
    stream = streams[location[1]] if isinstance(location[1], int) else None
    name = stream.get("name") if isinstance(stream, dict) else None
    number = f"{location[1] + 1}" if isinstance(location[1], int) else str(location[1])
    label = f"[[stream]] number {number}" + (f" ({name!r})" if isinstance(name, str) and name else "")
    return " ".join([label, *(str(part) for part in location[2:])])


def _guess(wrong: str, known: list[str], *, upper: str = "") -> str:
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if not close:
        return f"; known are {', '.join(known)}"
    return f"; did you mean {upper + close[0].upper() if upper else close[0]}?"


def _resolve(settings: Settings, folder: Path) -> Settings:
    mqtt = settings.mqtt
    names = ("password_file", "ca_file", "cert_file", "key_file")
    files: dict[str, Any] = {name: str(folder / getattr(mqtt, name)) for name in names if getattr(mqtt, name)}
    return replace(
        settings,
        stream=tuple(
            replace(s, url=_in(folder, s.url), spares=tuple(_in(folder, spare) for spare in s.spares)) for s in settings.stream
        ),
        catalog=replace(settings.catalog, path=folder / settings.catalog.path),
        outbox=replace(settings.outbox, path=folder / settings.outbox.path),
        ledger=replace(settings.ledger, path=folder / settings.ledger.path),
        mqtt=replace(mqtt, **files),
    )


def _in(folder: Path, url: str) -> str:
    return url if not url or "://" in url else str(folder / url)


def _judge(settings: Settings) -> Iterator[str]:
    """Yield what is wrong though it has the right type."""
    for section in _sections():
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


def _apart(settings: Settings) -> Settings:
    """Give each of several monitors that share a configuration its own name at the broker."""
    shard, mqtt = settings.shard, settings.mqtt
    if shard.count == 1:
        return settings
    own = replace(mqtt, client_id=f"{mqtt.client_id}-{shard.index}", status_topic=f"{mqtt.status_topic}/{shard.index}")
    return replace(settings, mqtt=own)


def _with_password(settings: Settings, *, given: bool) -> tuple[Settings, list[str]]:
    """Put the first line of password_file in place of the password, unless the environment gave one or the file is empty."""
    mqtt = settings.mqtt
    complaints = []
    if mqtt.password_file and not given:
        try:
            first = Path(mqtt.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name with a zero byte
            return settings, [f"[mqtt] password_file: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}"]
        mqtt = replace(mqtt, password=first or mqtt.password)
    if mqtt.password and not mqtt.username:
        complaints.append("[mqtt] username: is missing, but there is a password")
    return replace(settings, mqtt=mqtt), complaints


def _describe_table(head: str, table: Any) -> str:
    lines = [head]
    for f in fields(table):
        value = getattr(table, f.name)
        if f.name in SECRETS and value:
            value = "***"
        elif f.name == "headers":
            value = [f"{header.partition(':')[0]}: ***" for header in value]
        elif f.name == "ffmpeg_options":
            value = inputs.masked(value)
        elif isinstance(value, tuple):
            value = [mask_url(str(item)) for item in value]
        text = json.dumps(value if isinstance(value, bool | int | float | list) else mask_url(str(value)), ensure_ascii=False)
        lines.append(f"{f.name} = {text}")
    return "\n".join(lines) + "\n"
