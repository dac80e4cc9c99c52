"""Command lines: safe whatever the target is called, and one filter chain for all."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from monitor.capture.arguments import chunk_samples, decode_arguments, live_arguments, probe_arguments, raw_arguments
from monitor.core.inputs import is_network
from monitor.core.recipe import Recipe
from monitor.errors import NotAudio, Permanent
from monitor.settings import Channel, StreamSettings

RECIPE = Recipe(name="any")


def live(target: str, **wishes: object) -> list[str]:
    settings = StreamSettings(name="a", url=target, **{"no_data_timeout_s": 10.0} | wishes)
    return live_arguments(target, settings, RECIPE, live=is_network(target))


def after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def test_live_file_and_card_go_through_the_same_filters() -> None:
    chain = after(decode_arguments("a.mp3", RECIPE, timeout_s=1.0), "-af")
    assert "aresample=8000:rematrix_maxval=1" in chain
    for arguments in (live("http://a.example/x"), live("a.mp3"), raw_arguments(RECIPE, rate_hz=48000, channels=2)):
        assert after(arguments, "-af") == f"{chain},asetnsamples=n=2000:p=0"


def test_a_piece_of_live_sound_divides_the_hop() -> None:
    assert RECIPE.hop_samples % chunk_samples(RECIPE) == 0


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("https://a.example/x.m3u8", "http,https,httpproxy,tcp,tls,crypto,data"),
        ("HTTP://a.example/x", "http,https,httpproxy,tcp,tls,crypto,data"),
        ("udp://239.0.0.1:5004", "udp"),
        ("a.mp3", "file,crypto,data"),
        ("file:///music/a.mp3", "file,crypto,data"),
        ("studio.sdp", "file,rtp,udp"),
    ],
)
def test_protocols_follow_the_scheme(target: str, allowed: str) -> None:
    for arguments in (live(target), decode_arguments(target, RECIPE, timeout_s=1.0), probe_arguments(target, timeout_s=1.0)):
        assert after(arguments, "-protocol_whitelist") == allowed
        assert arguments.index("-protocol_whitelist") < arguments.index("-i")


@pytest.mark.parametrize("target", ["concat://a|b", "gopher://a.example/", "lavfi://x", "subfile://x", "pipe://0"])
def test_other_schemes_are_refused(target: str) -> None:
    with pytest.raises(Permanent, match="is not listened to; use a file or one of http"):
        live(target)


@pytest.mark.parametrize("name", ["-version", "03: live.mp3", "http:evil.mp3", "concat:a|b", "%03d.mp3"])
def test_a_file_keeps_its_name(name: str) -> None:
    assert not is_network(name)
    assert after(live(name), "-i") == f"file:{name}"


def test_file_url_is_unquoted() -> None:
    assert after(live("file:///music/a%20b.mp3"), "-i") == "file:/music/a b.mp3"


def test_pace_and_loop_are_for_files_only() -> None:
    assert "-re" in live("a.mp3")
    assert "-re" not in live("a.mp3", realtime=False)
    assert after(live("a.mp3", loop=True), "-stream_loop") == "-1"
    assert "-re" not in live("http://a.example/x", loop=True)
    assert "-stream_loop" not in live("http://a.example/x", loop=True)


def test_timeout_is_told_in_microseconds_and_to_http_only() -> None:
    assert after(live("http://a.example/x"), "-rw_timeout") == "15000000"
    assert "-rw_timeout" not in live("rtsp://a.example/x")


@pytest.mark.parametrize(
    ("wishes", "track"),
    [
        ({}, "0:a:0"),
        ({"programme": 202}, "0:p:202:a:0"),
        ({"track": "1"}, "0:a:1"),
        ({"programme": 202, "track": "DEU"}, "0:p:202:a:m:language:deu"),
        ({"programme": 202, "track": "0x101"}, "0:p:202:i:0x101"),
    ],
)
def test_a_track_is_named_as_ffmpeg_names_it(wishes: dict[str, object], track: str) -> None:
    assert after(live("udp://239.0.0.1:5004", **wishes), "-map") == track


def test_http_carries_the_operators_headers_and_other_kinds_do_not() -> None:
    wishes = {"user_agent": "radio", "headers": ("A: b", "C: d"), "ffmpeg_options": ("-reconnect", "1")}
    arguments = live("http://a.example/x", **wishes)
    assert (after(arguments, "-user_agent"), after(arguments, "-headers")) == ("radio", "A: b\r\nC: d\r\n")
    assert arguments.index("-reconnect") < arguments.index("-i")
    assert "-headers" not in live("udp://239.0.0.1:5004", **wishes)


def test_timed_metadata_is_asked_of_hls_only() -> None:
    assert "0:d?" in live("https://a.example/x.m3u8")
    assert "0:d?" not in live("https://a.example/x")


@pytest.mark.parametrize("channel", list(Channel))
def test_every_choice_of_channel_ends_in_the_recipes_format(channel: Channel) -> None:
    chain = after(live("a.mp3", channel=channel), "-af")
    assert chain.endswith("aformat=sample_fmts=flt:channel_layouts=mono,asetnsamples=n=2000:p=0")


# Found by fuzzing: one such file in a folder ended the whole of `monitor catalog add` with a traceback.
@pytest.mark.parametrize("build", [decode_arguments, probe_arguments])
def test_a_name_that_is_not_utf8_is_refused_by_name(build: Callable[..., list[str]]) -> None:
    name = os.fsdecode(b"/music/Bj\xf6rk.mp3")
    with pytest.raises(NotAudio, match="its name is not UTF-8; rename it"):
        build(name, RECIPE, timeout_s=1.0) if build is decode_arguments else build(name, timeout_s=1.0)
