"""Good files are read, bad ones are refused with every complaint at once."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from monitor import config, judging
from monitor.errors import ConfigError
from monitor.settings import Settings, SourceKind, StreamSettings

SHIPPED = Path(__file__).parents[2] / "config.toml"
STREAM = '[[stream]]\nname = "a"\nurl = "http://h/a"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pw").write_text("from-file\nnot this\n")
    (tmp_path / "song.mp3").write_bytes(b"")
    return tmp_path


def load(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "config.toml").write_text(text)
    return config.load(folder / "config.toml", environ)


def complaints(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, text, **environ)
    head = f"{folder / 'config.toml'}: "
    lines = str(raised.value).splitlines()
    assert all(line.startswith(head) for line in lines)
    return [line.removeprefix(head) for line in lines]


def test_the_shipped_file_holds_every_key_with_its_default() -> None:
    text = SHIPPED.read_text()
    assert config.load(SHIPPED, {}) == Settings()
    tables = tomllib.loads(text)
    for section in fields(Settings):
        if section.name != "stream":
            kind = type(getattr(Settings(), section.name))
            assert list(tables[section.name]) == [f.name for f in fields(kind)], section.name
    commented = [line[2:] for line in text.splitlines() if re.match(r"# (\[\[stream\]\]|\w+ = )", line)]
    (stream,) = tomllib.loads("\n".join(commented))["stream"]
    assert list(stream) == [f.name for f in fields(StreamSettings)]
    for f in fields(StreamSettings):
        if f.name not in {"name", "url"}:
            assert (tuple(stream[f.name]) if isinstance(f.default, tuple) else stream[f.name]) == f.default, f.name


def test_every_key_of_the_shipped_file_is_explained() -> None:
    for line in SHIPPED.read_text().splitlines():
        if re.match(r"(# )?\w+ = ", line):
            assert re.search(r"# \S.{4,}$", line), line


def test_every_number_has_a_range() -> None:
    numbers = set()
    for section, kind in [("stream", StreamSettings), *((f.name, type(getattr(Settings(), f.name))) for f in fields(Settings)[1:])]:
        hints = get_type_hints(kind)
        numbers |= {f"{section}.{f.name}" for f in fields(kind) if hints[f.name] in {int, float}}
    assert numbers == set(judging.RANGES)


def test_defaults_are_within_their_ranges(folder: Path) -> None:
    assert load(folder, STREAM).stream == (StreamSettings(name="a", url="http://h/a"),)


def test_all_complaints_come_at_once(folder: Path) -> None:
    text = """
[[stream]]
name = "a"
url = "http://h/a"
silence_dB = -50
[[stream]]
name = "a"
[[stream]]
url = "http://h/b"
kind = "tape"
[[stream]]
name = "ü/"
url = "nowhere.mp3"
[mqtt]
prot = 8883
port = "8883"
keepalive_s = 1
[htttp]
[log]
level = "loud"
"""
    assert complaints(folder, text, MONITOR_MQTT_HOTS="x") == [
        "environment MONITOR_MQTT_HOTS: no such key; did you mean MONITOR_MQTT_HOST?",
        "[[stream]] number 1 ('a') silence_dB: no such key; did you mean silence_db?",
        "[[stream]] number 3 name: is missing",
        "[[stream]] number 3 kind: must be 'url' or 'soundcard', not 'tape'",
        "[mqtt] port: must be a whole number, without quotes, not '8883'",
        "[mqtt] prot: no such key; did you mean port?",
        "htttp: no such section; did you mean http?",
        "[mqtt] keepalive_s: must be from 5 to 65535, not 1",
        "[[stream]] number 2 ('a') url: is missing",
        "[[stream]] number 2 ('a') name: a stream before it has the same; each needs its own",
        "[[stream]] number 4 ('ü/') name: must be 1 to 64 letters, digits, '.', '_' or '-'",
        f"[[stream]] number 4 ('ü/') url: no such file: {folder}/nowhere.mp3",
        "[log] level: must be one of debug, info, warning, error, not 'loud'",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[stream]\nname = "a"', "stream: write [[stream]] with double brackets, one for each station"),
        ('[mqtt]\ntls = "yes"', "[mqtt] tls: must be a boolean, without quotes, not 'yes'"),
        ("[mqtt]\nport = true", "[mqtt] port: must be a whole number, not True"),
        ("[mqtt]\nport = 1.5", "[mqtt] port: must be a whole number, not 1.5"),
        ("[mqtt]\nport = 70000", "[mqtt] port: must be from 1 to 65535, not 70000"),
        ("mqtt = 3", "[mqtt]: must be a table, not 3"),
        ("[catalog]\npoll_s = nan", "[catalog] poll_s: must be from 0.1 to 3600, not nan"),
        ("[catalog]\npoll_s = inf", "[catalog] poll_s: must be from 0.1 to 3600, not inf"),
        ("[mqtt]\npassword = 3", "[mqtt] password: must be a string, not ***"),
        ('[mqtt]\npassword = "x"', "[mqtt] username: is missing, but there is a password"),
        ('[mqtt]\npassword_file = "none"', "[mqtt] password_file: cannot be read: No such file or directory"),
        ('[mqtt]\nprefix = "a/#"', "[mqtt] prefix: must not be empty, hold '#' or '+', begin or end with '/', or begin with '$'"),
        ('[mqtt]\nca_file = "pw"', "[mqtt] ca_file: has no effect without tls = true"),
        ('[mqtt]\ntls = true\nca_file = "ca.pem"', "[mqtt] ca_file: no such file: FOLDER/ca.pem"),
        ('[mqtt]\ntls = true\ncert_file = "pw"', "[mqtt] cert_file, key_file: one needs the other"),
        ('[mqtt]\nhost = ""\n', "[mqtt] host: is empty"),
        ('[mqtt]\nclient_id = ""\n', "[mqtt] client_id: is empty; must be unique on the broker"),
        ('[mqtt]\nstandby = ["a b"]\n', "[mqtt] standby: 'a b' is no broker; write host, host:port or [address]:port"),
        ("[mqtt]\nversion = 5\n", "[mqtt] version: must be '5' or '3.1.1', not 5"),
        (
            '[mqtt]\nhome_assistant = "/ha"\n',
            "[mqtt] home_assistant: must not hold '#' or '+', begin or end with '/', or begin with '$'",
        ),
        ('[http]\nbind = ""\n', "[http] bind: is empty; use 127.0.0.1 for this machine only, 0.0.0.0 for all"),
        (
            '[[stream]]\nname = ".."\nurl="http://h/"',
            "[[stream]] number 1 ('..') name: must be 1 to 64 letters, digits, '.', '_' or '-'",
        ),
        (STREAM + 'kind = "soundcard"', "[[stream]] number 1 ('a') url: a sound card has none; use device, or leave kind out"),
        (
            STREAM + 'device = "x"',
            "[[stream]] number 1 ('a') device: only sound cards have one; add kind = \"soundcard\", or use url",
        ),
        (STREAM + 'spares = ["http://h/\\u0007"]', "[[stream]] number 1 ('a') spares: must not hold control characters"),
        (STREAM + "spares = [3]", "[[stream]] number 1 ('a') spares 0: must be a string, not 3"),
        (STREAM + "headers = [3]", "[[stream]] number 1 ('a') headers 0: must be a string, not ***"),
        (
            STREAM + 'headers = ["Token"]',
            "[[stream]] number 1 ('a') headers: number 1 is no header; write \"Name: value\" in one line",
        ),
        (STREAM + "programme = 70000", "[[stream]] number 1 ('a') programme: must be from 0 to 65535, not 70000"),
        (
            STREAM + 'track = "german"',
            '[[stream]] number 1 (\'a\') track: must be an index ("1"), a language of three letters ("deu") or an id ("0x101"), '
            "not 'german'",
        ),
        (
            STREAM + 'channel = "both"',
            "[[stream]] number 1 ('a') channel: must be 'mix', 'left', 'right' or 'phase-safe', not 'both'",
        ),
        ('[[stream]]\nname = "a"\nkind = "soundcard"\ntrack = "1"', "[[stream]] number 1 ('a') track: a sound card has none"),
        ('[[stream]]\nname = "a"\nurl = "file:///no%20where"', "[[stream]] number 1 ('a') url: no such file: /no where"),
        ("[[stream]]\nname = 4", "[[stream]] number 1 name: must be a string, not 4"),  # once a traceback, found by fuzzing
        ("[mqtt]\nstandby = [1, true]", "[mqtt] standby 0: must be a string, not 1"),  # once a traceback, for there are two
        ('[mqtt]\nprefix = "a\\u0000b"', "[mqtt] prefix: must not hold control characters"),
        (f'[mqtt]\nhost = "{"h" * 5000}"', "[mqtt] host: must have at most 4096 characters, not 5000"),
        ("[mqtt]\nport = " + "9" * 5000, "holds a number that is too long, or tables or lists too deep within each other"),
        ("x = " + "[" * 50_000, "holds a number that is too long, or tables or lists too deep within each other"),
        ('[mqtt]\nport = "8\\u0007"', "[mqtt] port: must be a whole number, without quotes, not '8\\x07'"),
        (
            '"\\u001b[2J" = 1',
            "\\x1b[2J: no such section; known are stream, catalog, encoder, matcher, mqtt, outbox, ledger, http, shard, log",
        ),
        ("stream = [4]", "[[stream]] number 1: must be a table, not 4"),
        ("zzz = 1", "zzz: no such section; known are stream, catalog, encoder, matcher, mqtt, outbox, ledger, http, shard, log"),
        ("[log]\nformat = 1979-05-27", "[log] format: must be 'auto', 'console' or 'json', not '1979-05-27'"),
    ],
)
def test_each_complaint(folder: Path, text: str, complaint: str) -> None:
    assert complaint.replace("FOLDER", str(folder)) in complaints(folder, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('ffmpeg_options = ["-i", "/etc/passwd"]', "ffmpeg_options: -i may not be set here; allowed are ac, allowed_extensions,"),
        ('ffmpeg_options = ["-f", "lavfi"]', "ffmpeg_options: -f lavfi is not allowed; it may be one of aac,"),
    ],
)
def test_a_complaint_lists_what_is_allowed(folder: Path, text: str, complaint: str) -> None:
    (found,) = complaints(folder, STREAM + text)
    assert complaint in found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[mqtt\nhost = 1", "at line 1, column"), ('[mqtt]\nhost = "a"\nhost = "b"\n[x]', "not valid TOML: Cannot overwrite a value")],
)
def test_syntax_is_complained_of_with_its_place(folder: Path, text: str, complaint: str) -> None:
    (line,) = complaints(folder, text)
    assert complaint in line


def test_files_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; start from"):
        config.load(folder / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(folder, {})
    (folder / "latin.toml").write_bytes(b'[mqtt]\nhost = "\xfc"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        config.load(folder / "latin.toml", {})


def test_relative_paths_are_relative_to_the_file(folder: Path) -> None:
    settings = load(folder, '[[stream]]\nname = "a"\nurl = "song.mp3"\n[catalog]\npath = "cat"\n[outbox]\npath = "/x/o.db"')
    assert settings.stream[0].url == str(folder / "song.mp3")
    assert settings.catalog.path == folder / "cat"
    assert settings.outbox.path == Path("/x/o.db")


def test_the_environment_wins_and_has_types(folder: Path) -> None:
    environ = {
        "MONITOR_MQTT_PORT": "8883",
        "MONITOR_MQTT_TLS": "true",
        "MONITOR_CATALOG_PATH": "here",
        "MONITOR_CATALOG_POLL_S": "3",
        "MONITOR_MQTT_STANDBY": "b, c:8884",
    }
    settings = load(folder, "[mqtt]\nport = 1884", MONITOR_HOME="unrelated", MONITOR_LOG_FORMAT="json", **environ)
    assert (settings.mqtt.port, settings.mqtt.tls, settings.catalog.poll_s) == (8883, True, 3.0)
    assert settings.mqtt.standby == ("b", "c:8884")
    assert settings.catalog.path == folder / "here"
    assert complaints(folder, "", MONITOR_MQTT_PORT="many") == ["[mqtt] port: must be a whole number, without quotes, not 'many'"]


def test_where_the_password_comes_from(folder: Path) -> None:
    text = '[mqtt]\nusername = "u"\npassword = "from-config"\n'
    assert load(folder, text).mqtt.password == "from-config"
    assert load(folder, text + 'password_file = "pw"').mqtt.password == "from-file"
    assert load(folder, text + 'password_file = "pw"', MONITOR_MQTT_PASSWORD="from-env").mqtt.password == "from-env"
    (folder / "pw").write_text("")
    assert load(folder, text + 'password_file = "pw"').mqtt.password == "from-config", "an empty credential is none"


def test_secrets_are_masked_and_listed(folder: Path) -> None:
    text = '[[stream]]\nname = "a"\nurl = "http://u:hunter2@h/a?token=abc"\n[mqtt]\nusername = "u"\npassword = "hunter3"\n'
    settings = load(folder, text)
    described = config.describe(settings)
    assert "hunter" not in described
    assert "abc" not in described
    assert 'url = "http://***@h/a?token=***"' in described
    assert config.secrets(settings) == ["hunter3", "hunter2"]


def test_secrets_of_a_streams_wishes_are_masked_and_listed(folder: Path) -> None:
    wishes = 'spares = ["http://u:hunter4@h/"]\nheaders = ["X-Key: hunter5"]\nffmpeg_options = ["-passphrase", "hunter6"]\n'
    settings = load(folder, STREAM + wishes)
    described = config.describe(settings)
    assert "hunter" not in described
    assert 'headers = ["X-Key: ***"]' in described
    assert config.secrets(settings) == ["hunter4", "hunter5", "hunter5", "hunter6"]


def test_what_describe_writes_can_be_read(folder: Path) -> None:
    settings = load(folder, STREAM + '[[stream]]\nname = "card"\nkind = "soundcard"\n[mqtt]\nstandby = ["b", "c:1"]\n')
    assert load(folder, config.describe(settings)) == settings
    assert settings.stream[1].kind is SourceKind.SOUNDCARD


def test_secrets_in_a_refused_value_are_masked(folder: Path) -> None:
    found: list[Any] = complaints(folder, 'catalog = "http://u:hunter2@h/"')
    assert found == ["[catalog]: must be a table, not 'http://***@h/'"]


def test_monitors_that_share_a_configuration_have_names_of_their_own(folder: Path) -> None:
    settings = load(folder, STREAM, MONITOR_SHARD_INDEX="1", MONITOR_SHARD_COUNT="3", MONITOR_MQTT_CLIENT_ID="m")
    assert (settings.mqtt.client_id, settings.mqtt.status_topic) == ("m-1", "status/1")
    assert [stream.name for stream in settings.stream] == ["a"], "which stations are whose is not decided here"
    alone = load(folder, STREAM, MONITOR_SHARD_COUNT="1")
    assert (alone.mqtt.client_id, alone.mqtt.status_topic) == ("monitor", "status")


def test_a_shard_that_is_none_is_refused(folder: Path) -> None:
    assert complaints(folder, STREAM, MONITOR_SHARD_INDEX="3", MONITOR_SHARD_COUNT="3") == [
        "[shard] index: must be below count (3), not 3"
    ]
