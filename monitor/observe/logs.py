"""How a log line looks: readable on a terminal, JSON elsewhere, secrets masked.

Sets structlog and the standard library's logging up, once a process. Knows nothing of what is logged.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from monitor.core.masking import mask_url
from monitor.settings import LogFormat, LogSettings

SECRET_KEYS = frozenset({"password", "passwd", "token", "secret", "authorization"})
MASK = "***"
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog(3); journald reads it from the line's beginning, so that `journalctl -p warning` works."""

Event = MutableMapping[str, Any]


def setup(settings: LogSettings, *, environ: Mapping[str, str], secrets: Iterable[str] = (), out: TextIO | None = None) -> Masker:
    """Set logging up, to `out` (default: standard error); return what masks secrets, to be told of more.

    Args:
        settings: Level and format.
        environ: JOURNAL_STREAM in it tells that the output goes to the journal.
        secrets: Texts that are replaced by *** wherever they appear.
        out: Where to.
    """
    out = out or sys.stderr
    journal = _is_journal(out, environ)
    console = settings.format is LogFormat.CONSOLE or (settings.format is LogFormat.AUTO and out.isatty() and not journal)
    masker = Masker(secrets)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not console),
        *([] if console else [structlog.processors.ExceptionRenderer()]),
        masker,
    ]
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if console:
        last.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    else:
        write = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        last.append(_with_priority(write) if journal else write)
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return masker


class Masker:
    """Takes secrets out of every text of a line, by value, by key and by their place in an address."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the texts that must not appear."""
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take more such texts, those of a configuration that was read again."""
        # The longest first, since one may hold another; a new list, since other threads log.
        self._secrets = sorted({*self._secrets, *(secret for secret in secrets if secret)}, key=len, reverse=True)

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        """Mask a line."""
        for key, value in event.items():
            if key in SECRET_KEYS:
                event[key] = MASK
            elif key not in {"level", "timestamp"} and not key.startswith("_"):
                event[key] = self._clean(value)
        return event

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                for secret in self._secrets:
                    value = value.replace(secret, MASK)
                return mask_url(value)
            case list() | tuple():
                return [self._clean(item) for item in value]
            case dict():
                return {key: MASK if key in SECRET_KEYS else self._clean(item) for key, item in value.items()}
            case BaseException():
                return self._clean(str(value))
            case _:
                return value


def for_journal(text: str, level: str, *, out: TextIO, environ: Mapping[str, str]) -> str:
    """Return a text that goes to `out` past the log; if that is the journal, each line with its priority."""
    if not _is_journal(out, environ):
        return text
    return "\n".join(f"<{PRIORITIES[level]}>{line}" for line in text.splitlines())


def _is_journal(out: TextIO, environ: Mapping[str, str]) -> bool:
    """JOURNAL_STREAM holds device and inode of the journal's socket; it is inherited, so they are compared."""
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _with_priority(write: structlog.processors.JSONRenderer) -> structlog.typing.Processor:
    def render(logger: Any, method: str, event: Event) -> str:
        return f"<{PRIORITIES.get(event.get('level', 'info'), 6)}>{write(logger, method, event)!s}"

    return render
