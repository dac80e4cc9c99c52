"""What a live ffmpeg says on its standard error: errors for a person, the kind of stream, Icecast's titles, HLS's segments.

Knows the lines of `-loglevel level+verbose` (ffmpeg 5.1 to 7). ffmpeg is told to ask for Icecast's metadata (`-icy 1`), cuts it out
of the sound and says each change in a line: what a reader of our own would find, at the same place. Errors are kept in a ring of a
few lines: the oldest are lost, uncounted.
"""

from __future__ import annotations

import re
from collections import deque

LONGEST_TITLE = 256
_WORDS = 12
"""Errors that are kept; ffmpeg says what matters last."""
_ERROR = re.compile(
    r"^(?!\[(?:tee|data|framemd5) @)((?:\[[^\]]*\] )?)(?:\[(?:error|fatal|panic)\] (.*)|\[warning\] (HTTP error .*))"
)
"""Lines of errors, without those of the muxers for timed metadata where a stream has none."""
_INPUT = re.compile(r"^\[info\] Input #0, (.+?), from ")
_TITLE = re.compile(r"^\[https? @ [^\]]*\] \[verbose\] Metadata update for StreamTitle: ?(.*)")
_SEGMENT = re.compile(r"^\[hls @ [^\]]*\] \[verbose\] HLS request for url '(.+)', offset (\d+)")
_MOST_SEGMENTS = 64


class Remarks:
    """Takes standard error line by line."""

    def __init__(self) -> None:
        self.format = ""
        """ffmpeg's name of the container, once it is known."""
        self.segments: list[str] = []
        """The first segments of HLS that were asked for, oldest first: URL and offset."""
        self._errors: deque[str] = deque(maxlen=_WORDS)
        self._title: str | None = None
        self._new = False

    def hear(self, line: str) -> None:
        """Take a line."""
        if found := _ERROR.match(line):
            self._errors.append(found.group(1) + (found.group(2) or found.group(3)))
        elif found := _TITLE.match(line):
            title = one_line(found.group(1))
            self._new, self._title = self._new or title != self._title, title
        elif found := _SEGMENT.match(line):
            if len(self.segments) < _MOST_SEGMENTS:
                self.segments.append(f"{found.group(1)} {found.group(2)}")
        elif not self.format and (found := _INPUT.match(line)):
            self.format = found.group(1)

    @property
    def errors(self) -> list[str]:
        """The last errors, oldest first."""
        return list(self._errors)

    def new_title(self) -> str | None:
        """Return the station's title if it changed since the last call, otherwise None."""
        if not self._new:
            return None
        self._new = False
        return self._title


def one_line(text: str) -> str:
    """Return a text from outside as one printable line of limited length."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()[:LONGEST_TITLE].rstrip()
