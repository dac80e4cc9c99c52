"""The safety rules of sources: which schemes, which options, and what must not be printed."""

from __future__ import annotations

import pytest

from monitor.core.inputs import FORMATS, OPTIONS, judge_headers, judge_options, masked, may_lead_to, protocols_of, secrets_of

UNKNOWN = (
    "concat:a concat://a|b gopher://a lavfi://x subfile://x pipe://0 unix://x cache://http://a async://x crypto://x data://x "
    "sctp://a amqp://a zmq://a ipfs://a bluray://x smb://a FILES://x tee://x hls+file://x"
)


@pytest.mark.parametrize("url", UNKNOWN.split())
def test_only_known_schemes_are_opened(url: str) -> None:
    # "concat:a" has no //, so that it is the name of a file, and is opened as `file:concat:a`.
    assert protocols_of(url) is None or ("//" not in url and protocols_of(url) == "file,crypto,data")


def test_no_network_source_may_read_files_and_no_file_may_call_out() -> None:
    for scheme in ("http", "https", "rtmp", "rtsp", "udp", "rtp", "srt", "ftp"):
        allowed = (protocols_of(f"{scheme}://a.example/x.m3u8") or "").split(",")
        assert not {"file", "pipe", "concat", "subfile", "unix", "gopher"}.intersection(allowed)
    assert not {"http", "tcp", "udp"}.intersection((protocols_of("/music/list.m3u8") or "").split(","))


@pytest.mark.parametrize(
    "options",
    [
        ["-i", "/etc/passwd"],
        ["-protocol_whitelist", "file,http"],
        ["-f", "lavfi"],
        ["-f", "concat"],
        ["-safe", "0"],
        ["-headers", "A: b"],
        ["-init_hw_device", "x"],
        ["-dump_attachment:t", "/tmp/x"],
        ["-filter_complex", "amovie=/etc/passwd"],
        ["-http_proxy", "http://evil"],
        ["-report", "1"],
        ["-y", "/tmp/x"],
        ["reconnect", "1"],
        ["-reconnect"],
        ["-cookies", "a=b\r\nX: y"],
    ],
)
def test_options_that_could_do_harm_are_refused(options: list[str]) -> None:
    assert list(judge_options(options))


def test_every_option_that_is_named_is_taken() -> None:
    for name in OPTIONS:
        assert not list(judge_options([f"-{name}", "mpegts" if name == "f" else "1"]))
    assert not {"lavfi", "concat", "tee", "alsa", "pulse", "v4l2", "x11grab", "data"} & FORMATS


def test_headers_are_one_line_each() -> None:
    assert not list(judge_headers(["Authorization: Bearer abc", "X-Key:1"]))
    for bad in ("nothing", "A: b\r\nC: d", ": x", "A b: c"):
        (complaint,) = judge_headers([bad])
        assert bad not in complaint


def test_what_must_not_be_printed() -> None:
    found = secrets_of(
        urls=["http://me:secret@a.example/x", "http://b.example"],
        headers=["Authorization: Bearer abc"],
        options=["-passphrase", "open", "-latency", "200"],
    )
    assert found == ["secret", "Bearer abc", "abc", "open"]
    assert masked(["-passphrase", "open", "-latency", "200"]) == ["-passphrase", "***", "-latency", "200"]


@pytest.mark.parametrize(
    "entry", ["file:///etc/passwd", "/etc/passwd", "data:text/plain,x", "tcp://10.0.0.1:22", "udp://239.0.0.1:1"]
)
def test_a_playlist_of_the_web_leads_nowhere_but_to_the_web(entry: str) -> None:
    # The first variant of a master playlist was fetched under its own rules, and not under those of the station's URL: a station
    # could have the monitor open a local file or knock at a port of the network it stands in.
    assert not may_lead_to("https://radio.example/live.m3u8", entry)
    assert may_lead_to("https://radio.example/live.m3u8", "http://cdn.example/low.m3u8")
    assert may_lead_to("/srv/list.m3u8", "/srv/low.m3u8")
    assert not may_lead_to("/srv/list.m3u8", "http://cdn.example/low.m3u8")
