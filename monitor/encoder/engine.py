"""Windows in, unit vectors out, on the device at hand.

Hides torch. Batches are padded to one of a few sizes, so that the device sees the same shapes again and again and nothing is
compiled or allocated for the first time in production.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.recipe import Recipe
from monitor.encoder import networks, openvino_cpu, sounds, weights
from monitor.encoder.features import LogMel
from monitor.encoder.sounds import Both, SoundNetwork
from monitor.errors import EncoderError

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256)
"""The shapes the device sees; a batch is padded up to the next, a longer one is cut. On a CPU padding costs as much as sound does,
so the steps are short: with 1, 4, 16, 64, 256 a live batch of 70 took three times as long as it needed."""

Runtime = Literal["auto", "torch", "openvino"]
"""What runs the network on a CPU; `auto` takes OpenVINO where it is installed."""

CACHED = 16
"""Windows whose spectra stay in a CPU core's cache: all at once, 64 took a fifth longer each, and 256 more than twice as long."""


class Engine:
    """An encoder on its device. `encode` is called from one worker thread at a time.

    On a CPU the network runs through OpenVINO where it is installed (the extra `openvino`), else through torch. On CUDA features
    and network are captured once for every batch size, in half precision, and replayed.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: torch.nn.Module,
        device: torch.device,
        *,
        query: str = "",
        music: SoundNetwork | None = None,
        runtime: Runtime = "auto",
        threads: int = 0,
    ) -> None:
        """Take one of the encoder's networks, and the one that tells music from other sound if `listen` will be asked.

        `query` is the SHA-256 of the network's weights where it is one for the air alone, not that which the recipe means.
        """
        self.recipe, self.query = recipe, query
        self.device = device
        self._features = LogMel(recipe).to(device)
        self._cached = _one_call(self._features, recipe) if device.type == "cpu" else self._features
        self.tells_music = music is not None
        both = Both(network, music, recipe.mel_bins) if music is not None else network
        self._network = both.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]] = {}
        self._half = device.type == "cpu" and multiplies_bfloat16(device)
        if device.type == "cuda":
            self._network.half()
        self._compiled = None
        if device.type == "cpu" and runtime != "torch":
            self._compiled = openvino_cpu.compiled(self._network, recipe, self._features.frames, half=self._half, threads=threads)
        if runtime == "openvino" and self._compiled is None:
            raise EncoderError("OpenVINO is not installed, or the device is no CPU: pip install 'broadcast-monitor[openvino]'")
        self.runtime = "torch" if self._compiled is None else "openvino"

    def __repr__(self) -> str:
        """Say which encoder runs where."""
        air = f", for the air {self.query[:16]}" if self.query else ""
        return f"Engine({self.recipe.name}, recipe {self.recipe.hash}{air}, {self.device}, {self.runtime})"

    @property
    def air(self) -> str:
        """SHA-256 of the weights that hear the air."""
        return self.query or self.recipe.weights_sha256

    @property
    def device_memory_bytes(self) -> int:
        """Memory held on a device of its own; 0 on a CPU, where it is the process's."""
        return torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0

    def warm_up(self) -> None:
        """Run every batch size once, so that the first real batch is not the slow one."""
        for size in BATCH_SIZES:
            self.encode(np.zeros((size, self.recipe.window_samples), np.float32))

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the fingerprints [n, dim] of windows [n, window_samples], full scale 1.0: unit length, or zero for silence."""
        return np.ascontiguousarray(self._in_batches(windows)[:, : self.recipe.dim])

    def listen(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the fingerprints [n, dim] of windows, and the probability [n] that each is music rather than speech or noise.

        Raises:
            EncoderError: There is no network that could tell.
        """
        if not self.tells_music:
            raise EncoderError(f"encoder {self.recipe.name!r} was not loaded to tell music from speech")
        told = self._in_batches(windows)
        return np.ascontiguousarray(told[:, : self.recipe.dim]), told[:, self.recipe.dim]

    def features(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the features [n, 1, bins, frames] of windows on the engine's device."""
        if self.device.type != "cpu":
            return cast(torch.Tensor, self._features(windows))
        return torch.cat([self._cached(some) for some in torch.split(windows, CACHED)])

    def _in_batches(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors, and beside them what the network of sounds says if there is one: [n, dim] or [n, dim + 1]."""
        parts = [self._encode(windows[at : at + BATCH_SIZES[-1]]) for at in range(0, len(windows), BATCH_SIZES[-1])]
        return np.concatenate(parts) if parts else np.zeros((0, self.recipe.dim + self.tells_music), np.float32)

    @torch.inference_mode()
    def _encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        size = next(size for size in BATCH_SIZES if size >= len(windows))
        padded = np.zeros((size, self.recipe.window_samples), np.float32)
        padded[: len(windows)] = windows
        vectors = (self._on_cpu if self.device.type == "cpu" else self._replayed)(torch.from_numpy(padded))
        result: NDArray[np.float32] = vectors[: len(windows)].float().cpu().numpy()
        level = np.einsum("ns,ns->n", windows, windows) / self.recipe.window_samples
        result[level < 10.0 ** (self.recipe.silence_db / 10.0), : self.recipe.dim] = 0.0
        return result

    def _on_cpu(self, windows: torch.Tensor) -> torch.Tensor:
        features = self.features(windows)
        if self._compiled is not None:
            return self._compiled(features)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            return cast(torch.Tensor, self._network(features.contiguous(memory_format=torch.channels_last)))

    def _replayed(self, windows: torch.Tensor) -> torch.Tensor:
        """Run on CUDA: copy the windows in, replay the graph of their number, return what it wrote."""
        if len(windows) not in self._graphs:
            self._graphs[len(windows)] = self._capture(len(windows))
        graph, sound, vectors = self._graphs[len(windows)]
        sound.copy_(windows)
        graph.replay()
        return vectors

    def _capture(self, size: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]:
        """Record features and network for a batch size; a few runs before let the libraries choose and allocate."""
        sound = torch.zeros(size, self.recipe.window_samples, device=self.device)
        aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(3):
                self._on_cuda(sound)
        torch.cuda.current_stream(self.device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph):
            vectors = self._on_cuda(sound)
        return graph, sound, vectors

    def _on_cuda(self, sound: torch.Tensor) -> torch.Tensor:
        features = self.features(sound).half().contiguous(memory_format=torch.channels_last)
        return cast(torch.Tensor, self._network(features))


def _one_call(features: LogMel, recipe: Recipe) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the features as one computation that needs Python's lock once, not again after each of its steps.

    Beside busy threads a batch of 200 windows waited for the lock longer than it computed.
    """
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that tracing will go
        traced = torch.jit.trace(features, torch.zeros(CACHED, recipe.window_samples), check_trace=False)  # type: ignore[no-untyped-call]
    return cast("Callable[[torch.Tensor], torch.Tensor]", traced)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Say whether a device multiplies bfloat16 faster than float32; a CPU that cannot at all takes eleven times as long."""
    return device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def pick_device(wanted: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device that is there.

    Raises:
        EncoderError: The device asked for is not on this machine.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise EncoderError(f"device {wanted!r} is no device: use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EncoderError(
            f"device {wanted!r} asked for, but this machine has {torch.cuda.device_count()} CUDA devices: use auto or cpu"
        )
    return device


def choose(name: str, device: str, made_with: Callable[[], Recipe | None], *, anew: bool = False) -> str:
    """Return which encoder to load where the settings say `name`.

    Of `auto` it is the installed one that made the catalogue's fingerprints; where there is no catalogue yet, `large` on a GPU and
    `compact` on a CPU.

    Args:
        name: What the settings say.
        device: `auto`, or a device.
        made_with: Looks what the catalogue's fingerprints were made with; called for `auto` only.
        anew: All fingerprints are made anew: where their encoder is not installed, the device's will do.

    Raises:
        EncoderError: No installed encoder made them, or the device is not on this machine.
    """
    if name != weights.AUTO:
        return name
    recipe = made_with()
    if recipe is not None:
        for path in weights.installed():
            with suppress(EncoderError):  # a damaged one is not the catalogue's
                if weights.read_recipe(path).hash == recipe.hash:
                    return path.stem
    if recipe is None or anew:
        return "large" if pick_device(device).type == "cuda" else "compact"
    raise EncoderError(
        f"no installed encoder made the fingerprints of this catalogue (it says {recipe.name!r}, recipe {recipe.hash}): name the "
        ".safetensors file that did in [encoder] name, or make them anew: `monitor catalog rebuild --fingerprint`, with the same "
        "-c or --catalog"
    )


def load_encoder(
    name: str = "compact",
    device: str = "auto",
    threads: int = 0,
    runtime: Runtime = "auto",
    *,
    music: bool = False,
    stored: bool = False,
) -> Engine:
    """Load an installed encoder (by name) or a weights file (by path), ready to run.

    Args:
        name: Which.
        device: Where it runs.
        threads: Of a CPU; 0: as many as torch takes.
        runtime: Of a CPU.
        music: It will be asked to `listen`.
        stored: It makes what is stored of recordings; else it hears the air, with a network of its own where the encoder has one.

    Raises:
        EncoderError: No such encoder, a damaged file, no such device, or the runtime asked for is not installed.
    """
    if threads:
        torch.set_num_threads(threads)
    recipe, tensors = weights.load(weights.find(name))
    query, for_the_air = ("", {}) if stored else weights.load_query(name, recipe)
    network = networks.build(recipe)
    try:
        network.load_state_dict(for_the_air or tensors)
    except RuntimeError as error:
        which = "the network for the air of " if for_the_air else ""
        raise EncoderError(f"{which}encoder {name!r} does not fit network {recipe.network!r}; install it again") from error
    told = sounds.find(name, recipe) if music else None
    return Engine(recipe, network, pick_device(device), query=query, music=told, runtime=runtime, threads=threads)
