"""A certificate authority for tests, made with openssl: it signs what is right, what has expired, what is for another host."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


class Authority:
    """Signs what it is asked to."""

    def __init__(self, openssl: Path, folder: Path, name: str) -> None:
        self._openssl, self._folder, self._name = openssl, folder, name
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        self._run("req", "-x509", *_KEY, "-days", 2, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate)

    def issue(self, name: str, *, alternative: str = "IP:127.0.0.1", days: int = 1) -> Certificate:
        """Make a key and sign its certificate; a negative number of days makes one that has expired."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extension = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}\n")
        self._run("req", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        signed = ("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial")
        self._run(*signed, "-days", days, "-extfile", extension, "-out", made.certificate)
        return made

    def _run(self, *arguments: object) -> None:
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True)
