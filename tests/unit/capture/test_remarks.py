"""Lines of ffmpeg's standard error: which are kept, which mean something."""

from __future__ import annotations

from monitor.capture.remarks import LONGEST_TITLE, Remarks, one_line


def test_errors_are_kept_and_chatter_is_not() -> None:
    remarks = Remarks()
    for line in (
        "[verbose] Total: 5 packets",
        "[http @ 0x1] [warning] HTTP error 404 Not Found",
        "[warning] something odd",
        "[tee @ 0x3] [error] Slave muxer #2 failed: Invalid argument, continuing with 2/3 slaves.",  # no timed metadata there
        "[data @ 0x4] [error] No streams to mux were specified",
        "[error] http://a.example/x: Server returned 404 Not Found",
        "[tls @ 0x2] [fatal] no",
    ):
        remarks.hear(line)
    assert remarks.errors == [
        "[http @ 0x1] HTTP error 404 Not Found",
        "http://a.example/x: Server returned 404 Not Found",
        "[tls @ 0x2] no",
    ]


def test_errors_are_a_ring() -> None:
    remarks = Remarks()
    for number in range(1000):
        remarks.hear(f"[error] {number}")
    assert len(remarks.errors) == 12
    assert remarks.errors[-1] == "999"


def test_the_format_is_that_of_the_first_input() -> None:
    remarks = Remarks()
    assert remarks.format == ""
    for line in ("[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'x':", "[info] Input #0, hls, from 'y':"):
        remarks.hear(line)
    assert remarks.format == "mov,mp4,m4a,3gp,3g2,mj2"


def test_a_title_is_new_once() -> None:
    remarks = Remarks()
    assert remarks.new_title() is None
    for title, new in (("Ann - One", "Ann - One"), ("Ann - One", None), ("", ""), ("\x1b[31mred\x00", "[31mred")):
        remarks.hear(f"[http @ 0x55] [verbose] Metadata update for StreamTitle: {title}")
        assert remarks.new_title() == new
        assert remarks.new_title() is None


def test_a_text_from_outside_is_one_short_printable_line() -> None:
    assert one_line("  a\nb\u202ec\t") == "a b c"
    assert len(one_line("x" * 10_000)) == LONGEST_TITLE
