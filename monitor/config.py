"""config.toml and the environment in, Settings out, or every complaint at once.

Knows the file's syntax and where secrets come from. Precedence: file, then environment (MONITOR_<SECTION>_<KEY>). What each key
means stands in `settings.py`, what makes sense in `judging.py`.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from monitor.core import inputs
from monitor.core.masking import mask_url
from monitor.errors import ConfigError
from monitor.judging import judge, sections
from monitor.settings import Settings, StreamSettings

LONGEST_COMPLAINT = 300
"""Characters of a complaint that are shown; a longer one loses its middle."""
SECRETS = frozenset({"password"})
MAY_HOLD_SECRETS = SECRETS | {"headers", "ffmpeg_options"}
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
    complaints += judge(settings)
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


def _keys(section: str) -> list[str]:
    kind = StreamSettings if section == "stream" else sections().get(section, Settings)
    return [f.name for f in fields(kind)]


def _apply_environment(tables: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Put MONITOR_<SECTION>_<KEY> into the tables; yield what cannot be."""
    for section, kind in sections().items():
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
