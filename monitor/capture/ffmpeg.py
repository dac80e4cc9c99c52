"""Files and URLs decoded as fast as they go, and what is known of them beforehand.

Knows the ffmpeg and ffprobe programs, run in the calling thread. Live streams are `stream.py`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from monitor.capture.arguments import decode_arguments, file_of, probe_arguments
from monitor.capture.child import FORBIDDEN, MISSING
from monitor.capture.complaints import explain
from monitor.capture.samples import to_samples
from monitor.core.inputs import is_network
from monitor.core.masking import mask_url
from monitor.core.recipe import Recipe
from monitor.errors import NotAudio, Permanent
from monitor.settings import StreamSettings

PIECE_S = 10.0
"""Length of the pieces `decode` yields; the last is shorter."""
LEAST_S = 1.0
"""Less sound than this is no recording: a fingerprint sees one second."""
TIMEOUT_S = 15.0
"""A server may be quiet for so long; a description may take twice as long."""
_BYTES = 4
_DURATION = re.compile(r"\bDuration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_LEVEL = re.compile(r"\[(error|fatal|panic)\] ")
_ESTIMATED = ("Estimating duration from bitrate", "using bitrate for duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One of several audio tracks."""

    id: str
    """As the container counts (a PID of MPEG-TS, "0x101"); empty where it does not."""
    programme: int
    """Programme number; 0: the container knows no programmes."""
    language: str
    codec: str
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What ffprobe says of a file or URL, without decoding it."""

    duration_s: float | None
    """None when it has no end or does not tell."""
    has_audio: bool
    codec: str
    sample_rate_hz: int
    channels: int
    tracks: tuple[Track, ...] = ()
    """All audio tracks, in ffmpeg's order."""
    programmes: Mapping[int, str] = field(default_factory=dict)
    """Number and name of each programme."""


def probe(path_or_url: str | Path, settings: StreamSettings | None = None) -> Probe:
    """Describe the audio tracks of a file or URL; `has_audio` is False when it has none. `settings`: ask as that stream would.

    Raises:
        NotAudio: It cannot be opened or is nothing ffmpeg knows; the message says what to do.
    """
    target = str(path_or_url)
    arguments = probe_arguments(target, timeout_s=TIMEOUT_S, settings=settings)
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise Permanent(MISSING) from error
    except PermissionError as error:
        raise Permanent(FORBIDDEN) from error
    except subprocess.TimeoutExpired as error:
        raise NotAudio(f"{mask_url(target)}: sends nothing that can be described within {2 * TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise NotAudio(f"{mask_url(target)}: {_meaning(target, done.stderr.decode(errors='replace').splitlines())}")
    found = json.loads(done.stdout)
    tracks = tuple(_tracks(found))
    audio: dict[str, str] = next((stream for stream in found.get("streams", []) if stream.get("codec_type") == "audio"), {})
    duration = found.get("format", {}).get("duration") or audio.get("duration")
    return Probe(
        duration_s=float(duration) if duration else None,
        has_audio=bool(audio),
        codec=audio.get("codec_name", ""),
        sample_rate_hz=int(audio.get("sample_rate", 0)),
        channels=int(audio.get("channels", 0)),
        tracks=tracks,
        programmes={one["program_num"]: one.get("tags", {}).get("service_name", "") for one in found.get("programs", [])},
    )


def _tracks(found: dict[str, Any]) -> Iterator[Track]:
    programmes = {stream["index"]: one["program_num"] for one in found.get("programs", []) for stream in one.get("streams", [])}
    for stream in found.get("streams", []):
        if stream.get("codec_type") == "audio":
            yield Track(
                id=stream.get("id", ""),
                programme=programmes.get(stream["index"], 0),
                language=stream.get("tags", {}).get("language", ""),
                codec=stream.get("codec_name", ""),
                sample_rate_hz=int(stream.get("sample_rate", 0)),
                channels=int(stream.get("channels", 0)),
            )


def decode(path_or_url: str | Path, recipe: Recipe) -> Decoded:
    """Decode a file or URL into the recipe's sound, piece by piece.

    Raises:
        Permanent: The URL's scheme is not one that is listened to, or ffmpeg is not installed.
    """
    return Decoded(str(path_or_url), recipe)


class Decoded(Iterator[NDArray[np.float32]]):
    """The sound of a file, pieces of shape [n], in order; to be gone through once. The first holds at least a second.

    What breaks in the middle is kept up to there: after the last piece `truncated` and `complaint` tell. Iterating raises
    NotAudio only when less than a second of sound came. Use it as a context manager, or go to the end, to leave no process.
    """

    def __init__(self, target: str, recipe: Recipe) -> None:
        self.seconds = 0.0
        """Sound that came so far."""
        self.truncated = False
        """After the end: less came than the file declares, or ffmpeg gave up."""
        self.complaint = ""
        """After the end: the last error ffmpeg reported, secrets masked; empty when there was none."""
        self._target = target
        self._name = mask_url(target)
        self._rate_hz = recipe.sample_rate_hz
        self._words = _Words()
        self._process = _start(decode_arguments(target, recipe, timeout_s=TIMEOUT_S))
        self._pieces = self._read()

    def __next__(self) -> NDArray[np.float32]:
        """Return the next piece."""
        return next(self._pieces)

    def __enter__(self) -> Decoded:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop decoding."""
        self.close()

    def __repr__(self) -> str:
        return f"Decoded({self._name}, {self.seconds:.1f} s)"

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()

    def close(self) -> None:
        """Stop decoding and leave no process behind; harmless when it is over."""
        self._pieces.close()
        _stop(self._process)

    def _read(self) -> Generator[NDArray[np.float32], None, None]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        listener = threading.Thread(target=self._words.listen, args=(self._process.stderr,), daemon=True)
        listener.start()
        piece_bytes = round(PIECE_S * self._rate_hz) * _BYTES
        try:
            while len(data := self._process.stdout.read(piece_bytes)) >= _BYTES:
                samples, _ = to_samples(data)
                self.seconds += samples.size / self._rate_hz
                if self.seconds < LEAST_S:  # reads are full but for the last: no more will come
                    break
                yield samples
            status = self._process.wait()
        finally:
            _stop(self._process)
            listener.join()
            self._process.stderr.close()
            self._process.stdout.close()
        self._judge(status)

    def _judge(self, status: int) -> None:
        """Say how it ended."""
        words = self._words
        if self.seconds < LEAST_S:
            raise NotAudio(
                f"{self._name}: {_meaning(self._target, words.errors)}"
                if words.errors and (status or not self.seconds)
                else f"{self._name}: holds only {self.seconds:.1f} s of sound; at least {LEAST_S:.0f} s is needed"
            )
        declared_s = words.declared_s
        short = declared_s is not None and self.seconds < declared_s - max(1.0, 0.02 * declared_s)
        self.truncated = status != 0 or short
        self.complaint = mask_url(words.errors[-1]) if words.errors else ""


class _Words:
    """What ffmpeg says on standard error: the declared duration, and the last errors (older ones are lost, uncounted)."""

    def __init__(self) -> None:
        self.declared_s: float | None = None
        self.errors: deque[str] = deque(maxlen=12)
        self._estimated = False

    def listen(self, pipe: IO[bytes]) -> None:
        """Read to the end."""
        for raw in pipe:
            line = raw.decode(errors="replace").strip()
            if _LEVEL.search(line):
                self.errors.append(_LEVEL.sub("", line)[:400])
            elif any(sign in line for sign in _ESTIMATED):
                self._estimated = True
            elif self.declared_s is None and not self._estimated and (found := _DURATION.search(line)):
                hours, minutes, seconds = found.groups()
                self.declared_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _meaning(target: str, errors: Sequence[str]) -> str:
    path = file_of(target)
    if not is_network(target) and path.is_file() and path.stat().st_size == 0:
        return "the file is empty (0 bytes); copy it again"
    return explain(errors)


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, process_group=0)
    except FileNotFoundError as error:
        raise Permanent(MISSING) from error
    except PermissionError as error:
        raise Permanent(FORBIDDEN) from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
