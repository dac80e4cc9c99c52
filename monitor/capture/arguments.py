"""What ffmpeg is told: the command lines, built in one place.

Knows ffmpeg's options and which protocols an input may use. Starts nothing.

The sound a fingerprint is made of comes from `_sound` alone, whether it is live, a file or a sound card: the downmix is the
mean of the channels (`rematrix_maxval=1`; without it ffmpeg scales a stereo pair by 1/sqrt(2) or by 1/2, depending on the
sample format of the decoder), the resampler is ffmpeg's own (swr, 32 taps, cut-off 0.97), the output float32.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import ffmpeg

from monitor.core.inputs import is_network, protocols_of, refuse_scheme, scheme_of
from monitor.core.recipe import Recipe
from monitor.errors import NotAudio, Permanent
from monitor.settings import Channel, StreamSettings

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
_PATIENCE = 1.5
"""ffmpeg's own time-out on a dead connection, in units of ours: it only matters when the daemon is gone and nobody else ends it."""
_TEE = r"[select=\'a:0\':f=framecrc:flush_packets=1]pipe:1|[select=\'a:0\':f=f32le:flush_packets=1]pipe:1"
_TEE_DATA = "|[select=d:f=framemd5:flush_packets=1:onfail=ignore]pipe:1|[select=d:f=data:flush_packets=1:onfail=ignore]pipe:1"
"""One pipe for sound and its times: each packet is a line (track, times, size, checksum), then its bytes. Each muxer of the tee has
one track, or it would hold its packets back to sort them; so the kind of checksum tells sound (CRC) from data (MD5)."""
_WEB = frozenset({"http", "https"})


def file_of(target: str) -> Path:
    """Return the path a file target names: a path as it is, or a file:// URL."""
    return Path(unquote(target[len("file://") :])) if target.lower().startswith("file://") else Path(target)


def live_arguments(url: str, settings: StreamSettings, recipe: Recipe, *, live: bool) -> list[str]:
    """Build the command that plays a URL or file to its standard output as `stamped.py` reads it, in pieces of `CHUNK_S`.

    What is `live`, a network stream or a named pipe, comes at its own pace and is read with haste.

    Raises:
        Permanent: The URL's scheme is not one that is listened to.
    """
    options = _input_options(url, timeout_s=settings.no_data_timeout_s * _PATIENCE)
    if live:
        options |= _HASTE
    if scheme_of(url) in _WEB:
        options |= {"icy": 1, **_request(settings)}
    if not live:
        options |= ({"re": None} if settings.realtime else {}) | ({"stream_loop": -1} if settings.loop else {})
    frames = f",asetnsamples=n={chunk_samples(recipe)}:p=0"
    source = ffmpeg.input(_opened(url), threads=1, copyts=None, **options | _own(settings))
    has_data = ".m3u8" in url.lower()  # HLS, whose timed metadata is a track of its own
    tracks = [source[track_of(settings)], *([source["d?"]] if has_data else [])]
    chain = {"c:a": "pcm_f32le", "c:d": "copy", "af": _sound(recipe, settings.channel) + frames, "max_interleave_delta": 1}
    output = ffmpeg.output(*tracks, _TEE + (_TEE_DATA if has_data else ""), format="tee", **chain)
    return _compiled(output, level="level+verbose")


def track_of(settings: StreamSettings) -> str:
    """Return ffmpeg's stream specifier for the wished programme and track."""
    programme = f"p:{settings.programme}:" if settings.programme else ""
    if not settings.track:
        return f"{programme}a:0"
    if settings.track.isdigit():
        return f"{programme}a:{settings.track}"
    if settings.track.startswith("0x"):
        return f"{programme}i:{settings.track}"
    return f"{programme}a:m:language:{settings.track.lower()}"


def decode_arguments(target: str, recipe: Recipe, *, timeout_s: float) -> list[str]:
    """Build the command that decodes a target to its standard output as fast as it goes, with its duration on standard error.

    Raises:
        Permanent: The target's scheme is not one that is listened to.
        NotAudio: Its name is not text.
    """
    source = ffmpeg.input(_opened(target), threads=1, **_input_options(target, timeout_s=timeout_s))
    return _compiled(_plain(source, _sound(recipe)), level="level+info")


def raw_arguments(recipe: Recipe, *, rate_hz: int, channels: int, channel: Channel = Channel.MIX) -> list[str]:
    """Build the command that turns raw float32 of a sound card on standard input into the recipe's sound."""
    source = ffmpeg.input("pipe:0", format="f32le", ar=rate_hz, ac=channels, protocol_whitelist="pipe", probesize=32, threads=1)
    chain = f"{_sound(recipe, channel)},asetnsamples=n={chunk_samples(recipe)}:p=0"
    return _compiled(_plain(source, chain), level="error")


def probe_arguments(target: str, *, timeout_s: float, settings: StreamSettings | None = None) -> list[str]:
    """Build the ffprobe command that describes a target as JSON; `settings`: ask as that stream would.

    Raises:
        Permanent: The target's scheme is not one that is listened to.
        NotAudio: Its name is not text.
    """
    asked = _input_options(target, timeout_s=timeout_s)
    if settings is not None:
        asked |= (_request(settings) if scheme_of(target) in _WEB else {}) | _own(settings)
    options = [part for name, value in asked.items() for part in (f"-{name}", str(value))]
    entries = (
        "format=duration,format_name:stream=index,id,codec_type,codec_name,sample_rate,channels,channel_layout,duration"
        ":stream_tags=language:program=program_num:program_tags=service_name:program_stream=index"
    )
    return [FFPROBE, "-v", "error", "-show_entries", entries, "-of", "json", *options, "-i", _opened(target)]


def fetch_arguments(url: str, settings: StreamSettings) -> list[str]:
    """Build the command that writes what lies at a URL to its standard output, under the rules of the stream.

    Raises:
        Permanent: The URL's scheme is not one that is listened to.
    """
    options = _input_options(url, timeout_s=settings.no_data_timeout_s) | (_request(settings) if scheme_of(url) in _WEB else {})
    output = ffmpeg.input(_opened(url), format="data", **options).output("pipe:1", format="data", c="copy", map="0")
    return _compiled(output, level="error")


def first_packet_arguments(playlist: str, *, like: str, settings: StreamSettings) -> list[str]:
    """Build the ffprobe command that tells the time of the first packet of sound in an HLS playlist (a data: URL), as JSON.

    Raises:
        Permanent: `like`, the URL whose rules hold, is of a scheme that is not listened to.
    """
    options = _input_options(like, timeout_s=settings.no_data_timeout_s) | (_request(settings) if scheme_of(like) in _WEB else {})
    told = [part for name, value in options.items() if name != "icy" for part in (f"-{name}", str(value))]
    asked = ["-v", "error", "-select_streams", "a:0", "-show_entries", "packet=pts_time", "-read_intervals", "%+#1", "-of", "json"]
    return [FFPROBE, *asked, *told, "-f", "hls", "-i", playlist]


def chunk_samples(recipe: Recipe) -> int:
    """Return the length of a piece of live sound in samples."""
    return round(CHUNK_S * recipe.sample_rate_hz)


def _sound(recipe: Recipe, channel: Channel = Channel.MIX) -> str:
    """The one filter chain between any decoder and any fingerprint.

    `phase-safe` mixes the sides in quadrature: a pair of all-pass filters keeps their phases 90 degrees apart, so that equal and
    opposite sides alike have the level sqrt((l^2 + r^2) / 2), where the mean of opposite ones is nothing.
    """
    rate = f"aresample={recipe.sample_rate_hz}:rematrix_maxval=1"
    mono = "aformat=sample_fmts=flt:channel_layouts=mono"
    if channel is Channel.MIX:
        return f"{rate},{mono}"
    pair = f"{rate}:ochl=stereo,aformat=sample_fmts=fltp:channel_layouts=stereo"
    match channel:
        case Channel.LEFT:
            one = "pan=mono|c0=c0"
        case Channel.RIGHT:
            one = "pan=mono|c0=c1"
        case Channel.PHASE_SAFE:
            turned = (
                "channelsplit[l][r];[l]aphaseshift=shift=0:order=4[a];[r]aphaseshift=shift=0.5:order=4[b];[a][b]amerge=inputs=2"
            )
            one = f"{turned},pan=mono|c0=0.70711*c0+0.70711*c1"
    return f"{pair},{one},{mono}"


def _plain(source: ffmpeg.nodes.FilterableStream, chain: str) -> ffmpeg.nodes.OutputStream:
    return source.output("pipe:1", format="f32le", af=chain, vn=None, sn=None, dn=None, flush_packets=1)


def _compiled(output: ffmpeg.nodes.OutputStream, *, level: str) -> list[str]:
    # One filter thread: ffmpeg would otherwise start one per core for every stream, for a chain that needs a thousandth of one.
    quiet = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", level, "-filter_threads", "1")
    return [str(part) for part in output.global_args(*quiet).compile(cmd=FFMPEG)]


def _input_options(target: str, *, timeout_s: float) -> dict[str, str | int | None]:
    allowed = protocols_of(target)
    if allowed is None:
        raise Permanent(refuse_scheme(target))
    options: dict[str, str | int | None] = {"protocol_whitelist": allowed}
    scheme = scheme_of(target)
    if scheme in _WEB:
        options |= {"rw_timeout": round(timeout_s * 1e6), "icy": 0}  # microseconds
    if scheme in {"rtsp", "rtsps"}:
        options |= {"rtsp_transport": "tcp"}  # UDP loses packets that no fingerprint gets back
    return options


def _own(settings: StreamSettings) -> dict[str, str]:
    """The operator's own options."""
    return {name.removeprefix("-"): value for name, value in zip(*[iter(settings.ffmpeg_options)] * 2, strict=True)}


def _request(settings: StreamSettings) -> dict[str, str]:
    """What an HTTP request carries on the operator's wish."""
    agent = {"user_agent": settings.user_agent} if settings.user_agent else {}
    return agent | ({"headers": "".join(f"{header}\r\n" for header in settings.headers)} if settings.headers else {})


def _opened(target: str) -> str:
    """What stands behind -i: a file keeps its name even when it looks like an option or a protocol ("03: live.mp3")."""
    try:
        target.encode()
    except UnicodeEncodeError as error:
        raise NotAudio(f"{target}: its name is not UTF-8; rename it") from error
    return target if is_network(target) else f"file:{file_of(target)}"
