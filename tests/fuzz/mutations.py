"""Ways to spoil a configuration file: what people, editors and templates do to one, and what nobody would."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SHIPPED = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")
TABLES: dict[str, dict[str, Any]] = tomllib.loads(SHIPPED)
STREAM_KEYS = {
    found.partition(" = ")[0]: tomllib.loads(found)[found.partition(" = ")[0]]
    for line in SHIPPED.splitlines()
    if line.startswith("# ") and (found := line[2:]).partition(" = ")[1] and found.partition(" = ")[0].isidentifier()
}
"""Keys of a [[stream]] table, which the shipped file holds as comments."""

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", " ", "\x00", "..", "a/../b", "é\u0301", "\u202e", "💥" * 20, "x" * 5000, "%s%n{0}", "http://u:p@h/", "http://[", "file://"]
)
_NUMBERS = (
    st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63), 10**400])
    | st.floats()
    | st.sampled_from([0.0, -0.0, 1e308, 5e-324])
)
_KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True) | _TEXT
VALUES = st.recursive(
    st.booleans() | _NUMBERS | _TEXT | st.datetimes().map(lambda at: at.replace(microsecond=0)) | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=6,
)


def written(value: Any) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # JSON's text is TOML's, but for DEL, which TOML wants escaped, and the pairs JSON makes of what lies beyond 16 bits.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            return "{" + ", ".join(f"{written(key)} = {written(inner)}" for key, inner in value.items()) + "}"
        case int() | float():
            return repr(value)
        case _:
            return str(value.isoformat())


def table(head: str, content: dict[str, Any]) -> str:
    """Write a table."""
    return f"{head}\n" + "".join(f"{written(key)} = {written(value)}\n" for key, value in content.items())


@st.composite
def tables(draw: st.DrawFn) -> str:
    """A file of valid TOML: the shipped one with values, keys and sections changed."""
    parts = []
    for name, content in TABLES.items():
        changed = dict(content)
        for key in draw(st.lists(st.sampled_from(sorted(content)), max_size=2, unique=True)):
            changed[key] = draw(VALUES)
        if draw(st.integers(0, 9)) == 0:
            changed[draw(_KEYS)] = draw(VALUES)
        parts.append(table(f"[{name}]", changed))
    for _ in range(draw(st.integers(0, 3))):
        keys = draw(st.lists(st.sampled_from(sorted(STREAM_KEYS)), max_size=4, unique=True))
        stream = {"name": "a", "url": "http://h/a"} | {key: draw(st.just(STREAM_KEYS[key]) | VALUES) for key in keys}
        parts.append(table("[[stream]]", stream))
    if draw(st.integers(0, 4)) == 0:
        parts.insert(0, f"{written(draw(_KEYS))} = {written(draw(VALUES))}\n")
    if draw(st.integers(0, 4)) == 0:
        parts.append(table(f"[{written(draw(_KEYS))}]", {draw(_KEYS): draw(VALUES)}))
    return "\n".join(parts)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """The shipped file with lines lost, doubled, swapped, cut in the middle, or bytes put in: mostly no TOML any more."""
    lines = SHIPPED.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["lose", "double", "move", "cut", "uncomment", "insert"])):
            case "lose":
                del lines[at]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "uncomment":
                lines[at] = lines[at].removeprefix("# ")
            case "insert":
                lines.insert(at, draw(_TEXT))
    whole = "".join(lines).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(whole)))
        whole = whole[:at] + draw(st.binary(max_size=4)) + whole[at:]
    return whole
