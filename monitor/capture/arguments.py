"""What ffmpeg is told: the command lines, built in one place.

Knows ffmpeg's options and which protocols an input may use. Starts nothing.

The sound a fingerprint is made of comes from `_sound` alone, whether it is live, a file or a sound card: the downmix is the
mean of the channels (`rematrix_maxval=1`; without it ffmpeg scales a stereo pair by 1/sqrt(2) or by 1/2, depending on the
sample format of the decoder), the resampler is ffmpeg's own (swr, 32 taps, cut-off 0.97), the output float32.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import ffmpeg

from monitor.core.recipe import Recipe
from monitor.errors import Permanent

FFMPEG = "ffmpeg"
FFPROBE = "ffprobe"
CHUNK_S = 0.25
"""Live sound is handed on in pieces of this length: four wake-ups per second and stream, and half a hop, so that a window is
complete at the end of a piece and waits for nothing."""
_HASTE: dict[str, str | int | None] = {
    # An MP3 joined in the middle is only certain to ffmpeg after 128 kB, eight seconds of it; 16 kB are certain enough.
    "formatprobesize": 16_384,
    # Enough for a transport stream with video; MP3 and AAC need a few frames.
    "probesize": 500_000,
    "analyzeduration": 2_000_000,
}
"""How little of a network stream is read before its sound is handed on."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_WEB = "http,https,httpproxy,tcp,tls,crypto,data"
_PROTOCOLS = {
    "http": _WEB,
    "https": _WEB,
    "mmsh": "mmsh,http,tcp",
    "mmst": "mmst,tcp",
    "rtmp": "rtmp,tcp",
    "rtmpt": "rtmpt,ffrtmphttp,http,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtp,udp,tls,tcp",
    "rtp": "rtp,udp",
    "udp": "udp",
    "tcp": "tcp",
    "tls": "tls,tcp",
    "srt": "srt",
    "rist": "rist",
    "ftp": "ftp,tcp",
    "sftp": "sftp",
}
"""What each scheme may open on the way. A playlist or a redirect from the network cannot make ffmpeg read a local file, and a
local file cannot make it call out."""
_FILE_PROTOCOLS = "file,crypto,data"
_SDP_PROTOCOLS = "file,rtp,udp"


def is_network(target: str) -> bool:
    """Say whether the target is a URL of something other than a file."""
    scheme = _SCHEME.match(target)
    return scheme is not None and scheme.group(1).lower() != "file"


def file_of(target: str) -> Path:
    """Return the path a file target names: a path as it is, or a file:// URL."""
    return Path(unquote(target[len("file://") :])) if target.lower().startswith("file://") else Path(target)


def live_arguments(target: str, recipe: Recipe, *, timeout_s: float, realtime: bool, loop: bool) -> list[str]:
    """Build the command that plays a target to its standard output, in pieces of `CHUNK_S`.

    Raises:
        Permanent: The target's scheme is not one that is listened to.
    """
    options = _input_options(target, timeout_s=timeout_s)
    if is_network(target):
        options |= _HASTE
    else:
        options |= ({"re": None} if realtime else {}) | ({"stream_loop": -1} if loop else {})
    frames = f",asetnsamples=n={chunk_samples(recipe)}:p=0"
    return _command(ffmpeg.input(_opened(target), threads=1, **options), recipe, more=frames, level="error")


def decode_arguments(target: str, recipe: Recipe, *, timeout_s: float) -> list[str]:
    """Build the command that decodes a target to its standard output as fast as it goes, with its duration on standard error.

    Raises:
        Permanent: The target's scheme is not one that is listened to.
    """
    source = ffmpeg.input(_opened(target), threads=1, **_input_options(target, timeout_s=timeout_s))
    return _command(source, recipe, level="level+info")


def raw_arguments(recipe: Recipe, *, rate_hz: int, channels: int) -> list[str]:
    """Build the command that turns raw float32 of a sound card on standard input into the recipe's sound."""
    source = ffmpeg.input("pipe:0", format="f32le", ar=rate_hz, ac=channels, protocol_whitelist="pipe", probesize=32, threads=1)
    return _command(source, recipe, more=f",asetnsamples=n={chunk_samples(recipe)}:p=0", level="error")


def probe_arguments(target: str, *, timeout_s: float) -> list[str]:
    """Build the ffprobe command that describes a target as JSON.

    Raises:
        Permanent: The target's scheme is not one that is listened to.
    """
    options = [part for name, value in _input_options(target, timeout_s=timeout_s).items() for part in (f"-{name}", str(value))]
    entries = "format=duration:stream=codec_type,codec_name,sample_rate,channels,duration"
    return [FFPROBE, "-v", "error", "-show_entries", entries, "-of", "json", *options, "-i", _opened(target)]


def chunk_samples(recipe: Recipe) -> int:
    """Return the length of a piece of live sound in samples."""
    return round(CHUNK_S * recipe.sample_rate_hz)


def _sound(recipe: Recipe) -> str:
    """The one filter chain between any decoder and any fingerprint."""
    return f"aresample={recipe.sample_rate_hz}:rematrix_maxval=1,aformat=sample_fmts=flt:channel_layouts=mono"


def _command(source: ffmpeg.nodes.FilterableStream, recipe: Recipe, *, level: str, more: str = "") -> list[str]:
    output = source.output("pipe:1", format="f32le", af=_sound(recipe) + more, vn=None, sn=None, dn=None, flush_packets=1)
    # One filter thread: ffmpeg would otherwise start one per core for every stream, for a chain that needs a thousandth of one.
    quiet = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", level, "-filter_threads", "1")
    return [str(part) for part in output.global_args(*quiet).compile(cmd=FFMPEG)]


def _input_options(target: str, *, timeout_s: float) -> dict[str, str | int | None]:
    scheme = _SCHEME.match(target)
    name = scheme.group(1).lower() if scheme else "file"
    if name == "file":
        return {"protocol_whitelist": _SDP_PROTOCOLS if target.lower().endswith(".sdp") else _FILE_PROTOCOLS}
    if name not in _PROTOCOLS:
        raise Permanent(f"{name}:// is not listened to; use a file or one of {', '.join(_PROTOCOLS)}")
    options: dict[str, str | int | None] = {"protocol_whitelist": _PROTOCOLS[name]}
    if name in {"http", "https"}:
        options |= {"rw_timeout": round(timeout_s * 1e6), "icy": 0}  # microseconds
    if name in {"rtsp", "rtsps"}:
        options |= {"rtsp_transport": "tcp"}  # UDP loses packets that no fingerprint gets back
    return options


def _opened(target: str) -> str:
    """What stands behind -i: a file keeps its name even when it looks like an option or a protocol ("03: live.mp3")."""
    return target if is_network(target) else f"file:{file_of(target)}"
