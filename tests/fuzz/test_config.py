"""Whatever stands in config.toml or in the environment: settings that can be used, or complaints, one a line. Never a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor import config, judging
from monitor.errors import ConfigError
from monitor.settings import Settings
from tests.fuzz.mutations import TABLES, VALUES, spoiled, tables, written

FOLDER = Path(tempfile.gettempdir())
LONGEST = 400
"""Characters of a complaint: a line that a person reads."""


def judged(content: bytes, environ: dict[str, str] | None = None) -> Settings | list[str]:
    """Return the settings, or the complaints."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        path = Path(file.name)
        path.write_bytes(content)
        try:
            found = config.load(path, environ or {})
        except ConfigError as error:
            lines = str(error).split("\n")
            for line in lines:
                assert line.startswith(f"{path}: "), line
                assert len(line) <= LONGEST + len(str(path)), line
                assert line.isprintable(), line
            return lines
        # What was accepted can be shown (monitor check does) and looked through for secrets, and is within its ranges.
        config.describe(found).encode()
        config.secrets(found)
        for name, (low, high) in judging.RANGES.items():
            section, _, key = name.partition(".")
            for one in found.stream if section == "stream" else (getattr(found, section),):
                assert low <= getattr(one, key) <= high
        return found


@settings(deadline=None, max_examples=100)
@given(tables())
def test_values_keys_and_sections_of_any_kind(text: str) -> None:
    judged(text.encode("utf-8", "surrogatepass"))


@settings(deadline=None, max_examples=100)
@given(spoiled())
def test_a_file_that_was_edited_badly(content: bytes) -> None:
    judged(content)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf[mqtt]\n")  # the mark that Windows' editors put first
@example(b"x = " + b"[" * 50_000)  # deeper than Python's parsers go
@example(b"[mqtt]\nport = " + b"9" * 5_000)  # more digits than Python reads
@example(b"[mqtt]\nport = 0x" + b"f" * 5_000)  # read, but more digits than Python writes
@example(b"[mqtt]\nport = 1e999\n")
@example(b'[[stream]]\nname = 3\n[[stream]]\nname = "a"\nurl = "' + b"x" * 300 + b'"\n')  # a file name too long to be asked for
@example(b'[mqtt]\npassword_file = "\\u0000"\n')
@example(b'[catalog]\npath = "' + b"x/" * 5_000 + b'"\n')
def test_any_bytes(content: bytes) -> None:
    judged(content)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from([f"MONITOR_{section}_{key}".upper() for section, content in TABLES.items() for key in content])
        | st.text(max_size=8).map(lambda end: f"MONITOR_MQTT_{end}"),
        # As os.environ gives them: any bytes but zero, those that are no UTF-8 as lone surrogates.
        st.binary(max_size=30).map(lambda value: value.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
        | VALUES.filter(lambda value: isinstance(value, int | float | bool)).map(written),
        max_size=4,
    )
)
@example({"MONITOR_MQTT_PORT": "9" * 5_000})
@example({"MONITOR_MQTT_PORT": "٣"})
@example({"MONITOR_OUTBOX_PATH": "\udcff"})
def test_any_environment(environ: dict[str, str]) -> None:
    judged(b"", environ)
