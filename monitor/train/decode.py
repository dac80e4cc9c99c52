"""Audio files of any format as 8 kHz mono samples, many small ones at a time.

Knows ffmpeg's command line and that starting it is dear. Knows nothing of packages, kinds or what becomes of the samples.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.train.disk import refuse_full

SAMPLE_RATE_HZ: Final = 8000

_LONGEST_S: Final = 1800.0
"""Longer files are cut here: nothing in the manifest is, but a file that never ends must not fill the disk."""

_BATCH_FILES: Final = 48
_BATCH_BYTES: Final = 4_000_000
"""Starting ffmpeg costs more than decoding a word, so small files share a process."""


def decode(paths: Sequence[Path]) -> Iterator[tuple[Path, NDArray[np.int16]]]:
    """Decodes audio files to 8 kHz mono int16 [samples], in order; a file that ffmpeg refuses gives no samples.

    Raises:
        DiskFull: there is no room for what is decoded.
    """
    batch: list[Path] = []
    batch_bytes = 0
    for path in paths:
        size = path.stat().st_size
        if batch and (len(batch) == _BATCH_FILES or batch_bytes + size > _BATCH_BYTES):
            yield from _decode_batch(batch)
            batch, batch_bytes = [], 0
        batch.append(path)
        batch_bytes += size
    if batch:
        yield from _decode_batch(batch)


def _decode_batch(paths: Sequence[Path]) -> Iterator[tuple[Path, NDArray[np.int16]]]:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    for path in paths:
        command += [*(("-f", "g722") if path.suffix.lower() == ".g722" else ()), "-threads", "1", "-i", str(path)]
    with tempfile.TemporaryDirectory(prefix="monitor-decode-") as folder:
        outputs = [Path(folder, f"{number}.i16") for number in range(len(paths))]
        for number, output in enumerate(outputs):
            command += ["-map", f"{number}:a:0", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-t", str(_LONGEST_S), "-f", "s16le"]
            command.append(str(output))
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        refuse_full(folder, done.stderr)
        if done.returncode != 0 and len(paths) > 1:
            for path in paths:
                yield from _decode_batch([path])
            return
        for path, output in zip(paths, outputs, strict=True):
            yield path, np.fromfile(output, np.dtype("<i2")) if output.exists() else np.zeros(0, np.int16)
