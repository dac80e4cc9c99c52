"""The network on a CPU through OpenVINO, where that is installed: the same answers in half the time (see ARCHITECTURE, Decisions).

Knows how a torch network becomes an OpenVINO one, and that OpenVINO, as soon as it is imported, tells its makers so over the
internet (from a forked child that the exit then waits for), unless its package for that is not there.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import torch

from monitor.core.recipe import Recipe


def compiled(
    network: torch.nn.Module, recipe: Recipe, frames: int, *, half: bool, threads: int
) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return the network as a function of features [n, 1, bins, frames], for one caller at a time; None without OpenVINO.

    Args:
        network: In evaluation mode, on the CPU.
        recipe: Of the encoder.
        frames: Frames of a window.
        half: Multiply in bfloat16; the CPU has to be able to.
        threads: 0 leaves it to OpenVINO.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # "not there": OpenVINO then has a stub of its own
    try:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    except ImportError:
        return None
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that tracing will go; OpenVINO's other way in needs torch.export of today
        traced = torch.jit.trace(network, torch.zeros(2, 1, recipe.bins, frames), check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)  # held while it is read: the front end keeps no reference of its own
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
    model.reshape([-1, 1, recipe.bins, frames])
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # the cores are shared with decoders and Faiss
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def run(features: torch.Tensor) -> torch.Tensor:
        request.infer([features.contiguous().numpy()], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data.copy())

    return run
