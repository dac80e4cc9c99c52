"""ffmpeg's words become one line that says what to do."""

from __future__ import annotations

import pytest

from monitor.capture.complaints import explain


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (["http://a/x: Server returned 404 Not Found"], "404 Not Found; check the address"),
        (["x: Server returned 401 Unauthorized (authorization failed)"], "put user and password"),
        (["x: Server returned 5XX Server Error reply"], "the server refuses"),
        (["[tcp @ 0x1] Connection to tcp://127.0.0.1:1 failed: Connection refused", "x: Connection refused"], "nothing listens"),
        (
            ["[mp3 @ 0x1] Failed to read frame size: Could not seek to 1404.", "x: Invalid argument"],
            "no sound that ffmpeg can decode",
        ),
        (["Output file #0 does not contain any stream"], "no audio track"),
        ([], "without a word"),
    ],
)
def test_explains(words: list[str], meaning: str) -> None:
    line = explain(words)
    assert meaning in line
    assert "\n" not in line


def test_unknown_words_are_quoted_without_secrets() -> None:
    assert explain(["first", "http://me:mine@a.example/x: Odd thing"]) == "ffmpeg says: http://***@a.example/x: Odd thing"
