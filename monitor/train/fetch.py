"""Which packages hold the real audio, and how their files come onto this disk.

Knows the manifest (`packages.tsv`), three package managers by name only (apt-get, npm, pip) and the wrappings that audio
is found in. Knows nothing of what the files sound like, of clips or of splits beyond the manifest's own column.
"""

import csv
import errno
import io
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from monitor.errors import Transient
from monitor.train.disk import FULL, DiskFull

log = logging.getLogger(__name__)

MANIFEST: Final = Path(__file__).with_name("packages.tsv")
TRACKER_SUFFIXES: Final = frozenset({".mod", ".xm", ".it", ".s3m"})
AUDIO_SUFFIXES: Final = TRACKER_SUFFIXES | {
    *(".ogg", ".oga", ".opus", ".mkv", ".spx", ".mp3", ".mp2", ".m4a", ".flac"),
    *(".wav", ".wave", ".au", ".aif", ".aiff", ".voc", ".snd", ".g722", ".gsm"),
}
_ARCHIVE_SUFFIXES: Final = frozenset({".pk3", ".zip"})
_QUEEN_NAME: Final = "queen.1c"
"""The resource file of Flight of the Amazon Queen; its `.SB` entries are plain MP3."""

_SOURCE_ONLY: Final = frozenset({"pypi:conch-sounds", "pypi:pocketsphinx", "pypi:silero-vad"})
"""Python packages whose recordings are in the source archive, not in the wheel."""

_FETCH_LIMIT_S: Final = 1800.0


class FetchError(Transient):
    """The package could not be fetched or unpacked; check the network, then run the same command again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One row of the manifest: what one package holds of one kind.

    Attributes:
        name: a Debian package, or one from another registry when it begins with `npm:` or `pypi:`.
        kind: `music`, `tracker`, `speech`, `noise`, `ir`, `midi` or `sfx`.
        split: `train`, `validation` or `public-test`; a package is in one split only.
        tracks: how many files of the kind were counted in it.
        hours: how long they were together.
        license: what the package says of them, shortened.
    """

    name: str
    kind: str
    split: str
    tracks: int
    hours: float
    license: str


def read_manifest(path: Path = MANIFEST) -> list[Package]:
    """Reads the manifest, in its own order.

    Raises:
        ValueError: a count or a duration is no number.
        KeyError: a column is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Package(
                name=row["package"],
                kind=row["kind"],
                split=row["split"],
                tracks=int(row["tracks"]),
                hours=float(row["hours"]),
                license=row["license"],
            )
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def find_download(packages: Path, name: str) -> Path | None:
    """Finds the archive of the package `name` in the folder `packages`, whatever its version, or None."""
    if not packages.is_dir():
        return None
    pattern = _file_pattern(name)
    found = sorted(path for path in packages.iterdir() if pattern.fullmatch(path.name))
    return found[-1] if found else None


def fetch(packages: Path, name: str) -> Path:
    """Downloads the package `name` into the folder `packages` unless it is there already.

    Raises:
        FetchError: the package manager is missing, failed, or brought nothing.
        DiskFull: there is no room for it.
    """
    if (present := find_download(packages, name)) is not None:
        return present
    packages.mkdir(parents=True, exist_ok=True)
    command = _fetch_command(name)
    try:
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=_FETCH_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{name}: {' '.join(command)}: {error}") from error
    arrived = find_download(packages, name)
    if FULL in done.stderr:
        raise DiskFull(packages)
    if done.returncode != 0 or arrived is None:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise FetchError(f"{name}: {' '.join(command)}: {last}")
    return arrived


def unpack(archive: Path, target: Path, suffixes: Collection[str] = AUDIO_SUFFIXES) -> None:
    """Unpacks the audio and the copyright files of `archive` into the folder `target`, unless that folder is there.

    What counts as audio is told by `suffixes`, in lower case.

    The folder appears whole or not at all. Links are not followed: their target is in the package itself or elsewhere. A damaged
    archive is thrown away, so that the next call fetches it anew.

    Raises:
        FetchError: the archive is damaged or of no known format.
        DiskFull: there is no room for what is in it.
    """
    if target.is_dir():
        return
    growing = target.with_name(f".growing-{target.name}")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(parents=True)
    try:
        _unpack_outer(archive, growing, suffixes)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, subprocess.CalledProcessError) as error:
        shutil.rmtree(growing, ignore_errors=True)
        archive.unlink(missing_ok=True)
        raise FetchError(f"{archive.name}: damaged, fetch it again: {error}") from error
    except OSError as error:
        shutil.rmtree(growing, ignore_errors=True)
        if error.errno == errno.ENOSPC:
            raise DiskFull(target.parent) from error
        raise FetchError(f"{archive.name}: cannot unpack: {error}") from error
    growing.rename(target)


def read_queen_bundle(bundle: bytes) -> Iterable[tuple[str, bytes]]:
    """Yields name and content of each MP3 in the game's resource file.

    From byte 15 stands a table of 21-byte entries: a 12-byte name, one byte saying which bundle, then offset and size,
    both big-endian. The table ends at the first entry with content, for its bytes are no names any more.
    """
    position, first_content = 15, len(bundle)
    while position + 21 <= first_content:
        entry = bundle[position : position + 21]
        offset, size = int.from_bytes(entry[13:17], "big"), int.from_bytes(entry[17:21], "big")
        if offset < first_content and size > 0:
            first_content = max(offset, position + 21)
        name = entry[:12].split(b"\0")[0].strip().decode("ascii", "replace")
        if name.upper().endswith(".SB") and offset + size <= len(bundle):
            yield name, bundle[offset : offset + size]
        position += 21


def _file_pattern(name: str) -> re.Pattern[str]:
    if name.startswith("npm:"):
        return re.compile(re.escape(name.removeprefix("npm:")) + r"-\d.*\.tgz")
    if name.startswith("pypi:"):
        words = re.split(r"[-_.]+", name.removeprefix("pypi:"))
        endings = r"\.tar\.gz" if name in _SOURCE_ONLY else r"\.(whl|zip|tar\.gz)"
        return re.compile("[-_.]+".join(map(re.escape, words)) + r"-\d.*" + endings, re.IGNORECASE)
    return re.compile(re.escape(name) + r"_.*\.deb")


def _fetch_command(name: str) -> Sequence[str]:
    if name.startswith("npm:"):
        return ["npm", "pack", name.removeprefix("npm:")]
    if name.startswith("pypi:"):
        package = name.removeprefix("pypi:")
        # Its source only: with `:all:` pip would also build what the package is built with, Cython for one, from source.
        form = ["--no-binary", package] if name in _SOURCE_ONLY else []
        return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *form, package]
    return ["apt-get", "download", name]


def _unpack_outer(archive: Path, target: Path, suffixes: Collection[str]) -> None:
    if archive.suffix == ".deb":
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            with tarfile.open(fileobj=child.stdout, mode="r|") as tar:
                _unpack_tar(tar, target, suffixes)
            child.stdout.read()  # the padding after the last member: dpkg-deb must not die of a closed pipe
        if child.returncode != 0:
            raise subprocess.CalledProcessError(child.returncode, "dpkg-deb")
    elif archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as zipped:
            _unpack_zip(zipped, target, suffixes)
    else:
        with tarfile.open(archive, mode="r|*") as tar:
            _unpack_tar(tar, target, suffixes)


def _unpack_tar(tar: tarfile.TarFile, target: Path, suffixes: Collection[str]) -> None:
    for member in tar:
        if member.isfile() and _wanted(member.name, suffixes) and (content := tar.extractfile(member)) is not None:
            _write(content, target, member.name, suffixes)


def _unpack_zip(zipped: zipfile.ZipFile, target: Path, suffixes: Collection[str]) -> None:
    for info in zipped.infolist():
        if not info.is_dir() and _wanted(info.filename, suffixes):
            with zipped.open(info) as content:
                _write(content, target, info.filename, suffixes)


def _wanted(name: str, suffixes: Collection[str]) -> bool:
    path = PurePosixPath(name)
    if path.name == "copyright" or path.name.upper().startswith(("LICENSE", "COPYING")):
        return True
    return path.name == _QUEEN_NAME or path.suffix.lower() in suffixes or path.suffix.lower() in _ARCHIVE_SUFFIXES


def _write(content: IO[bytes], target: Path, name: str, suffixes: Collection[str]) -> None:
    """Writes one member below `target`; an archive or the game's bundle becomes a folder of its own name."""
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", "..", "."}]
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in _ARCHIVE_SUFFIXES:
        try:
            with zipfile.ZipFile(io.BytesIO(content.read())) as zipped:
                _unpack_zip(zipped, path, suffixes)
        except zipfile.BadZipFile:
            log.info("%s is no zip archive: left out", name)
    elif path.name == _QUEEN_NAME:
        path.mkdir(exist_ok=True)
        for entry, voice in read_queen_bundle(content.read()):
            (path / f"{entry}.mp3").write_bytes(voice)
    else:
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
