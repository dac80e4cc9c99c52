"""What may be listened to, and which of ffmpeg's input options an operator may set: the safety rules of sources.

Knows schemes, protocols and the names of options. Starts nothing and opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_WEB = "http,https,httpproxy,tcp,tls,crypto,data"
PROTOCOLS = {
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
FILE_PROTOCOLS = "file,crypto,data"
SDP_PROTOCOLS = "file,rtp,udp"

_OPTIONS_BY_TOPIC = {
    "how much is read before the sound is handed on": (
        "analyzeduration fflags formatprobesize merge_pmt_versions probesize resync_size scan_all_pmts"
    ),
    "what is coming, where the stream does not say": "ac ar channels err_detect f sample_rate",
    "waiting, reordering, buffering": (
        "buffer_size fifo_size max_delay overrun_nonfatal pkt_size reorder_queue_size rw_timeout timeout"
    ),
    "HTTP and HLS": (
        "allowed_extensions allowed_segment_extensions "
        "cookies extension_picky http_persistent http_seekable icy live_start_index m3u8_hold_counters "
        "max_reload multiple_requests reconnect reconnect_at_eof reconnect_delay_max reconnect_on_http_error "
        "reconnect_on_network_error reconnect_streamed referer seekable"
    ),
    "TLS": "ca_file cert_file key_file tls_verify verifyhost",
    "multicast": "block localaddr localport sources",
    "RTSP, RTMP, SRT": (
        "latency mode passphrase pbkeylen peerlatency rcvlatency rtmp_app rtmp_buffer rtmp_live rtmp_pageurl rtmp_playpath "
        "rtmp_swfurl rtmp_tcurl rtsp_flags rtsp_transport streamid tlpktdrop transtype"
    ),
}
OPTIONS = frozenset(name for names in _OPTIONS_BY_TOPIC.values() for name in names.split())
"""Input options an operator may set. None of them can open another address or start anything; what is not here is refused."""
_FORMATS = (
    "aac ac3 alaw asf dts eac3 f32be f32le flac flv hls loas matroska mov mp3 mpegts mulaw ogg rtsp s16be s16le s24be s24le s32be "
    "s32le sdp wav"
)
FORMATS = frozenset(_FORMATS.split())
"""What `f` may name: containers and raw sound. Not ffmpeg's devices, filter graphs (lavfi) or lists of files (concat)."""
SECRET_OPTIONS = frozenset({"cookies", "passphrase", "streamid"})
TRACK = re.compile(r"\d{1,4}|0x[0-9A-Fa-f]{1,8}|[A-Za-z]{3}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\r\n\0]*")


def scheme_of(target: str) -> str:
    """Return the scheme of a URL in small letters, `file` for a path."""
    found = _SCHEME.match(target)
    return found.group(1).lower() if found else "file"


def is_network(target: str) -> bool:
    """Say whether the target is a URL of something other than a file."""
    return scheme_of(target) != "file"


def protocols_of(target: str) -> str | None:
    """Return what ffmpeg may open for a target, as its protocol_whitelist; None when its scheme is not listened to."""
    scheme = scheme_of(target)
    if scheme == "file":
        return SDP_PROTOCOLS if target.lower().endswith(".sdp") else FILE_PROTOCOLS
    return PROTOCOLS.get(scheme)


def may_lead_to(playlist: str, entry: str) -> bool:
    """Say whether an entry of a playlist may be opened: from the web only what is there too, from a file only files."""
    web = ("http", "https")
    here, there = scheme_of(playlist), scheme_of(entry)
    return there in web if here in web else there == here


def refuse_scheme(target: str) -> str:
    """Say in one line that a target's scheme is not listened to."""
    return f"{scheme_of(target)}:// is not listened to; use a file or one of {', '.join(PROTOCOLS)}"


def judge_options(options: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a list of ffmpeg input options: pairs of "-name" and value, of `OPTIONS` only."""
    if len(options) % 2:
        yield f'must be pairs, ["-name", "value", ...], not {len(options)} texts'
    for name, value in zip(options[::2], options[1::2], strict=False):
        bare = name.removeprefix("-").partition(":")[0]
        if not name.startswith("-"):
            yield f"{name!r} is no option: a name begins with '-', and each takes one value"
        elif bare not in OPTIONS:
            yield f"{name} may not be set here; allowed are {', '.join(sorted(OPTIONS))}"
        elif bare == "f" and value not in FORMATS:
            yield f"-f {value} is not allowed; it may be one of {', '.join(sorted(FORMATS))}"
        elif any(sign in value for sign in "\r\n\0"):
            yield f"{name}: its value must be one line"


def judge_headers(headers: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a list of HTTP request headers; values are not repeated, they may be secret."""
    for number, header in enumerate(headers, 1):
        if not _HEADER.fullmatch(header):
            yield f'number {number} is no header; write "Name: value" in one line'


def secrets_of(*, urls: Sequence[str], headers: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the texts in a stream's settings that must not be printed."""
    users = [found.group(1) for url in urls if (found := re.search(r"://([^/?#\s]*)@", url))]
    values = [header.partition(":")[2].strip() for header in headers]
    # "Bearer abc": the second word alone is as secret as both.
    words = [value.rpartition(" ")[2] for value in values]
    chosen = [v for n, v in zip(options[::2], options[1::2], strict=False) if n.removeprefix("-") in SECRET_OPTIONS]
    return [text for text in (*(user.partition(":")[2] for user in users), *values, *words, *chosen) if text]


def masked(options: Sequence[str]) -> list[str]:
    """Return ffmpeg options for printing, the values of secret ones as ***."""
    before = ["", *options]
    return ["***" if name.removeprefix("-") in SECRET_OPTIONS else value for name, value in zip(before, options, strict=False)]
