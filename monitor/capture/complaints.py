"""What ffmpeg's last words mean for a person: what is wrong and what to do, in one line.

Knows ffmpeg's messages (5.1 to 7). Knows nothing of processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.core.masking import mask_url

_NOT_SOUND = "holds no sound that ffmpeg can decode (a text, a web page or a damaged file?); open it in a player to see what it is"
_CLOSED = "the server closed the connection; if it never plays, the address is no stream (a web page?): open it in a browser"
_404 = "the server answers 404 Not Found; check the address"
_401 = "the server answers 401 Unauthorized; put user and password into the URL"
_403 = "the server answers 403 Forbidden; check credentials, token and whether this address may listen"
_REFUSES = "the server refuses; check the address in a player"
_MEANINGS = (
    ("not on whitelist", "it leads to a protocol that is not allowed from there (a playlist that names local files, say)"),
    (
        "is not in allowed_segment_extensions",
        "its playlist names something that is no sound by its name; if you trust it: ffmpeg_options = ['-extension_picky', '0']",
    ),
    ("Error when loading first segment", "its playlist names something that cannot be read, or may not from there"),
    ("Server returned 404", _404),
    ("Server returned 401 Unauthorized", _401),
    ("Server returned 403 Forbidden", _403),
    ("Server returned", _REFUSES),
    ("HTTP error 404", _404),
    ("HTTP error 401", _401),
    ("HTTP error 403", _403),
    ("HTTP error", _REFUSES),
    ("Connection refused", "nothing listens at that address; check host and port, and whether the server runs"),
    ("Failed to resolve hostname", "the host name is not known; check the address and DNS"),
    ("Connection timed out", "the server does not answer in time; check network and firewall"),
    ("No route to host", "there is no route to the host; check the network"),
    ("Network is unreachable", "the network is unreachable; check the network"),
    ("No such file or directory", "there is no such file; check the path"),
    ("Permission denied", "it may not be read; check its permissions"),
    ("Is a directory", "it is a folder; name a file"),
    ("does not contain any stream", "it has no audio track"),
    ("matches no streams", "it has no such programme or audio track; `monitor check` lists what it has"),
    ("Error parsing options for input", "ffmpeg does not take one of its ffmpeg_options; leave it out or check its value"),
    ("Option not found", "ffmpeg knows none of its ffmpeg_options for this kind of source by that name; leave it out"),
    ("Circular buffer overrun", "more comes over UDP than can be read; raise fifo_size in ffmpeg_options, or look at who sends"),
    ("Too many redirects", "it leads round in circles (redirects); check the address"),
    ("moov atom not found", "the file is incomplete (its index is missing); copy it again"),
    ("Failed to read frame size", _NOT_SOUND),
    ("Invalid data found", _NOT_SOUND),
    ("Stream ends prematurely", _CLOSED),  # an answer without a length that does not announce its end, as Icecast's
    ("Input/output error", _CLOSED),
    ("Connection reset by peer", _CLOSED),
    ("Invalid argument", _NOT_SOUND),  # what a demuxer answers that was chosen by the file's name alone
    ("End of file", "it is empty or ends before any sound"),
)


def explain(last_words: Sequence[str]) -> str:
    """Return one line, secrets masked, for the last lines ffmpeg wrote to standard error."""
    text = "\n".join(last_words)
    for sign, meaning in _MEANINGS:
        if sign in text:
            return meaning
    return f"ffmpeg says: {mask_url(last_words[-1])}" if last_words else "it ended without a word"
