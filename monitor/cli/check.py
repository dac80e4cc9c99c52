"""`monitor check`: whether the daemon would work as configured, one line each with what to do."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import CatalogError, MonitorError, Permanent

if TYPE_CHECKING:
    from monitor.capture.ffmpeg import Probe, Track
    from monitor.core.brokers import Address
    from monitor.core.recipe import Recipe
    from monitor.encoder.engine import Engine
    from monitor.settings import Settings, StreamSettings

PROBES_AT_ONCE = 8
"""Each may wait half a minute for a station that does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was found. Words: ok, WARN (works, but look at it), FAIL (somebody must change something)."""

    word: str
    name: str
    detail: str

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.word:<4}  {self.name}: {self.detail}"


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("check", help="say whether the monitor would work as configured", description=__doc__)
    parser.add_argument("-c", "--config", type=Path, default=Path("config.toml"), help="configuration (default: %(default)s)")
    parser.add_argument("--catalog", type=Path, help="catalogue folder, instead of the configured one")
    parser.add_argument("--offline", action="store_true", help="ask no station and no broker")
    parser.add_argument("--show", action="store_true", help="print the configuration as it is understood, secrets masked")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check everything; 0 when all can work, 78 when a person must change something."""
    from monitor import config

    try:
        settings = config.load(arguments.config)
    except MonitorError as error:
        for complaint in str(error).splitlines():
            print(Line(word="FAIL", name="config", detail=complaint))
        return Permanent.exit_code
    if arguments.catalog:
        settings = replace(settings, catalog=replace(settings.catalog, path=arguments.catalog.absolute()))
    if arguments.show:
        print(config.describe(settings))
    failed = False
    for line in _lines(arguments.config, settings, offline=arguments.offline):
        print(line)
        sys.stdout.flush()
        failed |= line.word == "FAIL"
    return Permanent.exit_code if failed else 0


def _lines(path: Path, settings: Settings, *, offline: bool) -> Iterator[Line]:
    yield Line(word="ok", name="config", detail=f"{path}, {len(settings.stream)} streams")
    yield _programs()
    engine, line = _encoder(settings)
    yield line
    yield _attempt("catalog", lambda: _catalog(settings, engine))
    yield _attempt("outbox", lambda: _outbox(settings))
    yield _attempt("ledger", lambda: _ledger(settings))
    if not settings.stream:
        yield Line(word="WARN", name="streams", detail="none configured; add [[stream]] to the configuration")
    elif offline:
        yield Line(word="WARN", name="streams", detail="not asked (--offline)")
    else:
        with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
            yield from pool.map(_stream, settings.stream)
    if offline:
        yield Line(word="WARN", name="broker", detail="not asked (--offline)")
    else:
        yield from _brokers(settings)


def _attempt(name: str, look: Callable[[], str | Line]) -> Line:
    try:
        found = look()
    except MonitorError as error:
        return Line(word="FAIL", name=name, detail=str(error))
    return found if isinstance(found, Line) else Line(word="ok", name=name, detail=found)


def _programs() -> Line:
    missing = [name for name in ("ffmpeg", "ffprobe") if not shutil.which(name)]
    if missing:
        return Line(
            word="FAIL", name="ffmpeg", detail=f"{', '.join(missing)} not found on the PATH; install it (apt install ffmpeg)"
        )
    return Line(word="ok", name="ffmpeg", detail=str(shutil.which("ffmpeg")))


def _encoder(settings: Settings) -> tuple[Engine | None, Line]:
    from monitor.catalog.store import recipe_at
    from monitor.encoder.engine import choose, load_encoder
    from monitor.encoder.weights import load_evidence

    unread = False

    def made_with() -> Recipe | None:
        nonlocal unread
        try:
            return recipe_at(settings.catalog.path)
        except CatalogError:  # that it is damaged is said of the catalogue
            unread = True
            return None

    try:
        name = choose(settings.encoder.name, settings.encoder.device, made_with)
        engine = load_encoder(name, settings.encoder.device, music=True)
        load_evidence(name, engine.recipe, engine.query)
    except MonitorError as error:
        return None, Line(word="FAIL", name="encoder", detail=str(error))
    which = f"{engine.recipe.name}{', as for a new catalogue' if unread else ''}, recipe {engine.recipe.hash}"
    where = f"on {engine.device}" + (f" through {engine.runtime}, no GPU in use" if engine.device.type == "cpu" else "")
    return engine, Line(word="ok", name="encoder", detail=f"{which}, {where}")


def _catalog(settings: Settings, engine: Engine | None) -> str | Line:
    from monitor.catalog.store import Store

    numbers = Store(settings.catalog.path, engine.recipe if engine else None).numbers()
    detail = f"{settings.catalog.path}, generation {numbers.generation}, {numbers.references} recordings"
    if not numbers.references:
        return Line(word="WARN", name="catalog", detail=f"{detail}; add some with monitor catalog add")
    return detail


def _outbox(settings: Settings) -> str:
    from monitor.publish.probe import look_at_outbox

    return look_at_outbox(settings.outbox.path)


def _ledger(settings: Settings) -> str:
    from monitor.ledger.reading import look_at

    return look_at(settings.ledger.path)


def _stream(stream: StreamSettings) -> Line:
    return _attempt(f"stream {stream.name}", lambda: _describe_stream(stream))


def _describe_stream(stream: StreamSettings) -> str:
    from monitor.capture.ffmpeg import probe
    from monitor.capture.soundcard import try_soundcard
    from monitor.errors import NotAudio
    from monitor.settings import SourceKind

    if stream.kind is SourceKind.SOUNDCARD:
        return try_soundcard(stream.device)
    found = probe(stream.url, stream)
    if not found.has_audio:
        raise NotAudio("it holds no audio; change its url")
    spares = f"; {len(stream.spares)} spares, not asked" if stream.spares else ""
    if len(found.tracks) < 2:
        return f"{found.codec}, {found.sample_rate_hz} Hz, {found.channels} channels{spares}"
    return f"{len(found.tracks)} audio tracks: " + "; ".join(_describe_track(one, found) for one in found.tracks) + spares


def _describe_track(track: Track, found: Probe) -> str:
    name = found.programmes.get(track.programme, "")
    parts = [f"programme {track.programme}{f' ({name})' if name else ''}"] if track.programme else []
    parts += [f"track {part}" for part in (track.id, track.language) if part]
    return " ".join([*parts, f"{track.codec} {track.sample_rate_hz} Hz {track.channels} channels"])


def _brokers(settings: Settings) -> Iterator[Line]:
    """Try them all; one that is away does not matter while another answers."""
    from monitor.publish.mqtt import brokers

    lines = [_attempt("broker", partial(_broker, settings, address)) for address in brokers(settings.mqtt)]
    answered = any(line.word == "ok" for line in lines)
    yield from (replace(line, word="WARN") if answered and line.word == "FAIL" else line for line in lines)


def _broker(settings: Settings, address: Address) -> str:
    from monitor.publish.probe import try_broker

    asyncio.run(try_broker(settings.mqtt, address))
    return f"{address} answers"
