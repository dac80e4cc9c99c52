"""Tensors as files, and how a file takes the place of another: whole or not at all.

Knows safetensors. Knows nothing of what the tensors are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Give a file to write, which then takes the place of `path`, readable to all: a daemon runs as somebody else."""
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    partial.chmod(0o644)  # safetensors makes files that only their owner can read
    partial.replace(path)


def copy(source: Path, target: Path) -> Path | None:
    """Copy a file; return the copy, or None where there is no such file or it is that one.

    Raises:
        OSError: It cannot be read or written.
    """
    if not source.is_file() or source.resolve() == target.resolve():
        return None
    with placed(target) as partial:
        shutil.copyfile(source, partial)
    return target


def write(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors with what is to be known of them.

    Raises:
        OSError, SafetensorError: The file cannot be written.
    """
    with placed(path) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata=metadata)


def read(path: Path, *, tensors: bool = True) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return what is to be known of the tensors, and these if they are asked for.

    Raises:
        OSError, SafetensorError: It is no such file.
    """
    with safe_open(path, framework="pt") as opened:
        return opened.metadata() or {}, {name: opened.get_tensor(name) for name in opened.keys() if tensors}  # noqa: SIM118 - not a dict
