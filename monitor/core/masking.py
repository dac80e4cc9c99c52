"""Keeps secrets out of what is printed.

Knows where URLs carry them: before the host and in the query. Cannot know of a secret that is part of a path.
"""

from __future__ import annotations

import re

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"<>]+")
_USERINFO = re.compile(r"://[^/?#\s]*@")
_PARAMETER = re.compile(r"([?&;#])([^=&;#\s]+)=([^&;#\s]+)")
_SECRET_NAME = re.compile(
    r"token|key|auth|sig|pass|pwd|secret|session|jwt|cred|policy|ticket|^sid$|^hd(nea|nts|ntl)$|^user|^login|^streamid$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"(?=[^\s]*\d)[A-Za-z0-9_\-+/=.%~]{20,}")
"""Long and without words: more likely a token than anything an operator needs to read."""


def mask_url(text: str) -> str:
    """Return `text`, a URL or a line that holds some, with credentials and token-like query values as ***.

    Whatever is not a URL, a file path say, is left as it is.
    """
    return _URL.sub(lambda found: _mask(found.group()), text)


def _mask(url: str) -> str:
    return _PARAMETER.sub(_mask_parameter, _USERINFO.sub("://***@", url, count=1))


def _mask_parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    secret = _SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value)
    return f"{mark}{name}={'***' if secret else value}"
