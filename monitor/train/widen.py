"""A narrow network as part of a wider one of the same kind, which answers as the narrow one did and learns on from there.

After Chen, Goodfellow and Shlens, Net2Net, ICLR 2016, section 2.2. They copy channels; here the new ones begin at random and
nothing listens to them yet, so that no two have to be told apart by noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from monitor.encoder.networks import Compact


def widened(narrow: Mapping[str, torch.Tensor], wide: Compact) -> dict[str, torch.Tensor]:
    """Return weights for `wide` with those of a narrower network inside; what those do not fill is as `wide` has it.

    Args:
        narrow: Weights of a `Compact` by name, with as many channels or fewer in every layer.
        wide: The network they are for; it is left as it is.

    Raises:
        ValueError: They are not those of such a network.
    """
    found = {name: tensor.detach().clone() for name, tensor in wide.state_dict().items()}
    if found.keys() != narrow.keys() or not all(_fits(narrow[name], into) for name, into in found.items()):
        raise ValueError("not a narrower network of the same kind")
    last, slices = f"blocks.{len(wide.blocks) - 1}", wide.head.slices
    filled, room = (len(tensors[f"{last}.shortcut.1.weight"]) for tensors in (narrow, found))
    taken, width = (tensors["head.spread"].shape[1] for tensors in (narrow, found))
    places = slices * width // room
    if len(narrow["head.spread"]) != slices or slices * taken != filled * places:
        raise ValueError("its maps or its fingerprints are of another size")
    if taken != width and (taken % places or width % places):
        raise ValueError("the slices of its head share channels")
    for name, into in found.items():
        tensor = narrow[name].to(into)
        if name.startswith("head."):
            into.zero_()
            into[tuple(slice(size) for size in tensor.shape)] = tensor
        elif tensor.ndim == 0:
            into.copy_(tensor)
        else:
            channels = torch.arange(len(tensor))
            if name.startswith((f"{last}.body.3.", f"{last}.body.4.", f"{last}.shortcut.")):
                first = channels * places  # of the channel's numbers, as the head has them in a row, slice after slice
                channels = (first // taken * width + first % taken) // places
            if tensor.ndim == 1:
                into[channels] = tensor
            else:
                into[channels] = 0.0
                into[channels, : tensor.shape[1]] = tensor
    return found


def _fits(tensor: torch.Tensor, into: torch.Tensor) -> bool:
    """Say whether only the number of channels differs: the first axis, and the second of more than one."""
    return (
        tensor.ndim == into.ndim
        and all(have <= room for have, room in zip(tensor.shape[:2], into.shape[:2], strict=True))
        and tensor.shape[2:] == into.shape[2:]
    )
