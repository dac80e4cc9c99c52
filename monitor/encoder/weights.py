"""Encoders as files: safetensors with the recipe in their header.

Knows the files and their checks. A damaged or foreign file is refused; nothing in it is ever run. An encoder may have a second
network, of the same kind, that hears the air (`QUERY_SUFFIX`): it was trained to say of what is on air what the first says of the
recording. Only the first makes what is stored, so a better one for the air leaves every catalogue as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file as save_numpy

from monitor.core.evidence import Evidence
from monitor.core.recipe import Recipe
from monitor.encoder import files
from monitor.errors import EncoderError

AUTO = "auto"
"""No encoder's name: in the settings, whichever fits (`engine.choose`)."""
EVIDENCE_SUFFIX = ".evidence"
"""A safetensors file too, under a name that is not an encoder's."""
QUERY_SUFFIX = ".query"
"""Likewise: the weights of the network for the air, and for which encoder it was trained."""
QUERY_CARD_SUFFIX = ".query.md"
EVIDENCE_NUMBERS = (
    "shared",
    "tail_offset",
    "tail_slope",
    "sure_offset",
    "sure_nats",
    "sure_log",
    "sure_similarity",
    "sure_most",
    "usual",
    "per_similarity",
    "foreground",
    "per_speed",
)
INSTALLED = Path(__file__).with_name("weights")


def find(name: str) -> Path:
    """Return the file of an encoder: an installed one by name, or any file by path.

    Raises:
        EncoderError: There is none.
    """
    path = Path(name) if name.endswith(".safetensors") else INSTALLED / f"{name}.safetensors"
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a name is too long
        known = ", ".join(found.stem for found in installed()) or "none"
        raise EncoderError(f"no encoder {name!r}: installed are {known}; or name a .safetensors file")
    return path


def installed() -> list[Path]:
    """Return the files of the installed encoders, by name."""
    return sorted(INSTALLED.glob("*.safetensors"))


def install(path: Path, name: str, *, replace: bool = False, folder: Path = INSTALLED) -> list[Path]:
    """Copy an encoder, with what lies beside it (network for the air, evidence, cards), to where it is found by name.

    Whoever calls has seen that the encoder loads. Each file appears whole or not at all, the weights last. What hears the air for
    an encoder that is replaced goes. One that has evidence is replaced only by another that has: a daemon may need it. What is
    damaged there is another encoder, if its header is; where only its weights are, the same one mends it.

    Returns:
        The files written.

    Raises:
        EncoderError: Another encoder, or one with another network for the air, has that name and is not to be replaced, or none may
            have it, or the new one has no evidence; or the folder cannot be written; or the new one is none.
    """
    if name == AUTO:
        raise EncoderError(f"no encoder can be called {AUTO!r}, as the settings mean by it whichever fits: name it otherwise")
    target = folder / f"{name}.safetensors"
    another = _standing(target, _identity(path))
    if another and not replace:
        raise EncoderError(f"{another}: name this one otherwise, or say --replace")
    if another and target.with_suffix(EVIDENCE_SUFFIX).is_file() and not path.with_suffix(EVIDENCE_SUFFIX).is_file():
        raise EncoderError(
            f"{path} has no evidence beside it, and {name!r} could tell no plays any more: "
            f"first run `monitor evaluate fit --encoder {path}`"
        )
    written = []
    try:
        for suffix in (QUERY_SUFFIX, QUERY_CARD_SUFFIX) if another and not path.with_suffix(QUERY_SUFFIX).is_file() else ():
            target.with_suffix(suffix).unlink(missing_ok=True)
        for suffix in (QUERY_SUFFIX, QUERY_CARD_SUFFIX, EVIDENCE_SUFFIX, ".md", ".safetensors"):
            if copied := files.copy(path.with_suffix(suffix), target.with_suffix(suffix)):
                written.append(copied)
    except OSError as error:
        raise EncoderError(
            f"{folder} cannot be written ({error.strerror}); run this as the user who installed the monitor"
        ) from error
    return written


def _standing(target: Path, wanted: tuple[str, str]) -> str:
    """Say what else than the encoder that is wanted stands in its place; empty: nothing, or that one."""
    if not target.exists():
        return ""
    try:
        return "" if _identity(target) == wanted else f"another encoder is installed as {target.stem!r}"
    except EncoderError:
        return f"what is installed as {target.stem!r} is damaged beyond telling which encoder it was"


def _identity(path: Path) -> tuple[str, str]:
    """Return what makes an encoder this one and no other: its recipe, and what hears the air for it."""
    recipe = read_recipe(path)
    return recipe.hash, query_sha256(str(path), recipe)


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 over the tensors' names, types, shapes and bytes, in order of their names."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        sha.update(tensor.numpy().tobytes())
    return sha.hexdigest()


def save(path: Path, recipe: Recipe, tensors: dict[str, torch.Tensor]) -> Recipe:
    """Write tensors and recipe to a file; return the recipe with the weights' hash filled in."""
    sealed = replace(recipe, weights_sha256=digest(tensors))
    files.write(path, tensors, {"recipe": sealed.to_json()})
    return sealed


def save_query(path: Path, recipe: Recipe, tensors: dict[str, torch.Tensor]) -> str:
    """Write the network for the air of the encoder that has this recipe; return the SHA-256 of its weights."""
    sha256 = digest(tensors)
    files.write(path, tensors, {"recipe": recipe.hash, "sha256": sha256})
    return sha256


def read_recipe(path: Path) -> Recipe:
    """Read the recipe alone of what `save` wrote; whether the tensors are those it names is for `load` to see.

    Raises:
        EncoderError: The file is not an encoder.
    """
    return _encoder(path, tensors=False)[0]


def load(path: Path) -> tuple[Recipe, dict[str, torch.Tensor]]:
    """Read what `save` wrote.

    Raises:
        EncoderError: The file is not an encoder, or its tensors are not those its recipe names.
    """
    recipe, tensors = _encoder(path, tensors=True)
    _see_whole(path, tensors, recipe.weights_sha256)
    return recipe, tensors


def query_sha256(name: str, recipe: Recipe) -> str:
    """Return what the weights of an encoder's network for the air should hash to; empty: it has none, the first hears the air too.

    Raises:
        EncoderError: The file beside the encoder is no such network, or was trained for another encoder.
    """
    return _query(name, recipe, tensors=False)[0]


def load_query(name: str, recipe: Recipe) -> tuple[str, dict[str, torch.Tensor]]:
    """Read an encoder's network for the air: the SHA-256 of its weights, and these; empty and none where it has none.

    Raises:
        EncoderError: As `query_sha256`, or the file is damaged.
    """
    sha256, tensors = _query(name, recipe, tensors=True)
    if sha256:
        _see_whole(find(name).with_suffix(QUERY_SUFFIX), tensors, sha256)
    return sha256, tensors


def _encoder(path: Path, *, tensors: bool) -> tuple[Recipe, dict[str, torch.Tensor]]:
    try:
        metadata, found = files.read(path, tensors=tensors)
        return Recipe.from_json(metadata.get("recipe", "{}")), found
    except (SafetensorError, OSError, ValueError) as error:
        raise EncoderError(f"{path} is not an encoder of this product ({error}); install the encoder again") from error


def _query(name: str, recipe: Recipe, *, tensors: bool) -> tuple[str, dict[str, torch.Tensor]]:
    path = find(name).with_suffix(QUERY_SUFFIX)
    if not path.is_file():
        return "", {}
    try:
        metadata, found = files.read(path, tensors=tensors)
        trained_for, sha256 = metadata["recipe"], metadata["sha256"]
    except (SafetensorError, OSError, KeyError) as error:
        raise EncoderError(f"{path} is no network for the air of an encoder ({error}); install the encoder again") from error
    if trained_for != recipe.hash:
        raise EncoderError(f"{path} was trained for another encoder ({trained_for}, not {recipe.hash}); install the encoder again")
    return sha256, found


def _see_whole(path: Path, tensors: dict[str, torch.Tensor], sha256: str) -> None:
    if digest(tensors) != sha256:
        raise EncoderError(f"{path} is damaged: its weights do not have the hash that stands in it; install the encoder again")


def save_evidence(path: Path, evidence: Evidence) -> None:
    """Write an evidence file."""
    numbers = {name: getattr(evidence, name) for name in EVIDENCE_NUMBERS}
    metadata = {"recipe": evidence.recipe, "query": evidence.query, "numbers": json.dumps(numbers)}
    tensors = {
        "knots": evidence.knots,
        "nats": evidence.nats,
        "followed": evidence.followed,
        "cohort": evidence.cohort.astype(np.float16),
    }
    with files.placed(path) as partial:
        save_numpy({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, partial, metadata=metadata)


def load_evidence(name: str, recipe: Recipe, query: str = "") -> Evidence:
    """Read what similarities of an encoder's fingerprints say; the file lies beside the weights.

    Args:
        name: The encoder.
        recipe: Its recipe.
        query: SHA-256 of its network for the air; empty: it has none.

    Raises:
        EncoderError: There is no such file, or it was fitted to other weights.
    """
    path = find(name).with_suffix(EVIDENCE_SUFFIX)
    try:
        with safe_open(path, framework="np") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key).astype(np.float32) for key in ("knots", "nats", "followed", "cohort")}
        evidence = Evidence(
            **tensors, **json.loads(metadata["numbers"]), recipe=metadata["recipe"], query=metadata.get("query", "")
        )
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise EncoderError(f"{path} cannot be used ({error}); install the encoder again, or run `monitor evaluate fit`") from error
    if evidence.recipe != recipe.hash:
        raise EncoderError(f"{path} was fitted to other weights ({evidence.recipe}, not {recipe.hash}); run `monitor evaluate fit`")
    if evidence.query != query:
        raise EncoderError(f"{path} was fitted to another network for the air than lies beside it; run `monitor evaluate fit`")
    return evidence
