"""The training loop: batches in, weights out, to be stopped and taken up again at any moment.

Knows the schedule and the log; each of its other parts stands in a module of its own. The learning rate follows the time spent, or
the steps (warm-up, then a cosine to nothing); a resumed run goes on where its clock stood.
"""

from __future__ import annotations

import ctypes
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from monitor.core.recipe import Recipe
from monitor.encoder import networks
from monitor.encoder.engine import multiplies_bfloat16, pick_device
from monitor.encoder.features import LogMel
from monitor.errors import ConfigError, Transient
from monitor.train import checkpoint, codecs, rooms
from monitor.train.ahead import ahead
from monitor.train.aim import Aim, Encoder
from monitor.train.bank import Bank
from monitor.train.beginning import JOINED_ON, Beginning, join
from monitor.train.checkpoint import NotSaved, Progress
from monitor.train.data import Clips, open_split
from monitor.train.degrade import Degrader, mask_features
from monitor.train.lamb import Lamb
from monitor.train.recipe import TrainingRecipe
from monitor.train.sampler import Sampler, Sounds
from monitor.train.validate import Retrieval

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""mallopt(3) parameters."""
LOG_EVERY = 25
TRAINED_ON = 1
"""Sets the rooms of training apart from those of validation and evaluation, whatever the seeds."""


class Stopped(Transient):
    """The run was asked to stop and has been saved; run the same command again to go on."""


class Run:
    """One training run in one folder."""

    def __init__(self, recipe: TrainingRecipe, cache: Path, out: Path, device: str, start_from: Sequence[str] = ()) -> None:
        """Take up the run in `out`, or begin it: with random weights, or with those of encoders (`Beginning`; names or files).

        Weights, optimizer and schedule go on where they were, and each batch is drawn by its number: a run of so many steps comes
        to what it would have come to, however often it was stopped. With the loss `catalogue` the encoder it begins with stays as
        it is, and what learns is its network for the air.

        Raises:
            EncoderError: `start_from` is no encoder, or too many or none, or does not fit; or what lies in `out` is no checkpoint.
            ConfigError: The run in `out` is one of another recipe, or began with other weights; or what the recipe holds is not in
                the network, or all of it, or has no weights to begin with; or what learns to hear the air would hear other sound.
        """
        self._recipe, self._out, self._device = recipe, out, pick_device(device)
        self._sound: Recipe = recipe.encoder_recipe()
        torch.manual_seed(recipe.seed)
        self._features = LogMel(self._sound).to(self._device)
        self._network = networks.build(self._sound).to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._held = [self._part(name).requires_grad_(False) for name in recipe.training.held]
        learning = [one for one in self._network.parameters() if one.requires_grad]
        if not learning:
            raise ConfigError("held: all of the network is held, and nothing left to learn")
        optimizer = {"adamw": torch.optim.AdamW, "lamb": Lamb}[recipe.training.optimizer]
        self._optimizer: torch.optim.Optimizer = optimizer(learning, lr=0.0, weight_decay=recipe.training.weight_decay)
        self.progress = Progress()
        self._stopping = False
        out.mkdir(parents=True, exist_ok=True)
        begun, unjoined = Beginning(start_from, air=recipe.for_the_air), None
        if progress := checkpoint.load(out, recipe, self._network, self._optimizer, self._device):
            self.progress = progress
            if start_from and begun.hashes != self.progress.started_from:
                raise ConfigError(
                    f"{out} holds a run that began with other weights than {' '.join(start_from)}: name those, or another --out"
                )
        elif self._held and not start_from:
            raise ConfigError("the recipe holds parts of the network, which would be held at random weights: say --start-from")
        elif start_from:
            unjoined = begun.fill(self._network)
            self.progress.started_from = begun.hashes
        self._random = torch.Generator()
        length = self._sound.window_samples
        bank = rooms.bank((recipe.seed, TRAINED_ON), recipe.training.rooms, self._sound.sample_rate_hz, length)
        devices = responses(checked(cache, "train", "ir"), length)
        self._degrade = Degrader(recipe.chain, bank, devices, self._sound.sample_rate_hz, self._device, recipe.seed)
        music, voices, noises = (checked(cache, "train", kind) for kind in ("music", "speech", "noise"))
        coded = codecs.open_banks(cache, music) if recipe.positives.coded_share else []
        self.progress.banks = len(coded)
        self._aim: Aim = (
            Bank(recipe, self._sound, begun, music, cache, self._device)
            if recipe.for_the_air
            else Encoder(recipe, self._sound, self._encode)
        )
        if (machine := _machine(self._device)) not in self.progress.machines:
            self.progress.machines.append(machine)
        self._sampler = Sampler(
            music,
            voices,
            noises,
            recipe.positives,
            batch=recipe.training.batch,
            window=length,
            seed=recipe.seed,
            hop=self._sound.hop_samples,
            on_grid=not self._aim.shows_anchors,
            coded=coded,
            device=self._device,
        )
        if unjoined is not None:
            join(unjoined, (self._shown(self._sampler.draw(number), number) for number in range(JOINED_ON)))
        self._retrieval = Retrieval(
            checked(cache, "validation", "music"),
            checked(cache, "validation", "speech"),
            checked(cache, "validation", "noise"),
            rooms.bank(recipe.seed + 1, 60, self._sound.sample_rate_hz, length),
            window=length,
            hop=self._sound.hop_samples,
        )

    def stop(self) -> None:
        """Have `train` save and leave after the batch it is at; may be called from a signal handler."""
        self._stopping = True

    def train(self, say: Callable[[str], None]) -> Path:
        """Train until the recipe's minutes are spent or its steps are done; return the weights file.

        Args:
            say: Told a line of progress now and then.

        Raises:
            Stopped: `stop` was called; all is saved.
            NotSaved: The disk is full, or cannot be written.
            EncoderError: The encoder that what was trained is for is another one now.
        """
        _keep_memory()
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        validated_s = saved_s = self.progress.spent_s
        with ahead(self._sampler.draw, self.progress.step) as batches:
            last_s = time.monotonic()
            for sounds in batches:
                share = self._share()
                if share >= 1:
                    break
                loss = self._step(sounds, share)
                now_s = time.monotonic()
                self.progress.spent_s += now_s - last_s
                last_s = now_s
                if self.progress.step % LOG_EVERY == 0:
                    self._note(say, {"loss": round(float(loss), 4)})
                if self.progress.spent_s - validated_s >= 60 * self._recipe.training.validate_minutes:
                    validated_s = self.progress.spent_s
                    self._note(say, {"validation": self._retrieval.score(self._encode, self._aim.stored)})
                    last_s = time.monotonic()
                if self._stopping or self.progress.spent_s - saved_s >= 120:
                    saved_s = self.progress.spent_s
                    self._save()
                if self._stopping:
                    raise Stopped(f"stopped at step {self.progress.step}: run the same command again to go on")
        self._note(say, {"validation": self._retrieval.score(self._encode, self._aim.stored)})
        self._save()
        try:
            return self._aim.save(self._out, dict(self._network.state_dict()))
        except (OSError, SafetensorError) as error:
            raise NotSaved(
                f"{self._out}: the weights are not written ({error}), but the run is saved; make room, then run the same again"
            ) from error

    def _share(self) -> float:
        """Return the part of the run that is done."""
        training = self._recipe.training
        return self.progress.step / training.steps if training.steps else self.progress.spent_s / (60 * training.minutes)

    def _step(self, sounds: Sounds, share: float) -> torch.Tensor:
        """Learn from one batch; `share` is the part of the run that is done. The loss is not waited for: a GPU runs ahead."""
        training = self._recipe.training
        warm = min(1.0, share / training.warm_up) if training.warm_up else 1.0
        rate = training.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * share))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        for part in self._held:
            part.eval()
        masks, chain = np.random.SeedSequence((self._recipe.seed, self.progress.step)).generate_state(2, np.uint64).tolist()
        self._random.manual_seed(masks)
        features = self._shown(sounds, chain)
        if float(torch.rand((), generator=self._random)) < training.mask:
            features = mask_features(features, self._random)
        with self._half():
            vectors = self._network(features.contiguous(memory_format=torch.channels_last))
        loss = self._aim.loss(vectors.float(), sounds, self.progress.step)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.progress.step += 1
        self.progress.windows += len(vectors)
        return loss.detach()

    @torch.no_grad()
    def _shown(self, sounds: Sounds, seed: int) -> torch.Tensor:
        """Return the features of what the network is shown of a batch: its anchors if the aim has it so, then what is heard."""
        self._degrade.seed(seed)
        heard = self._features(
            self._degrade(sounds.positives, sounds.voices, sounds.noises, sounds.others, self._sound.window_samples)
        )
        return torch.cat([self._features(sounds.anchors), heard]) if self._aim.shows_anchors else heard

    def _half(self) -> torch.autocast:
        """Half precision where the device multiplies it faster; its range needs no loss scaling (bfloat16 everywhere)."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=multiplies_bfloat16(self._device))

    @torch.inference_mode()
    def _encode(self, windows: torch.Tensor) -> torch.Tensor:
        self._network.eval()
        parts = []
        for part in torch.split(windows, 512):
            features = self._features(part.to(self._device)).contiguous(memory_format=torch.channels_last)
            with self._half():
                parts.append(self._network(features).float().cpu())
        return torch.cat(parts)

    def _note(self, say: Callable[[str], None], what: dict[str, Any]) -> None:
        progress = self.progress
        entry = {"step": progress.step, "minutes": round(progress.spent_s / 60, 2), "windows": progress.windows, **what}
        progress.log.append(entry)
        try:
            with (self._out / "log.jsonl").open("a") as log:
                log.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise NotSaved(f"{self._out / 'log.jsonl'} cannot be written ({error}): run the same command again") from error
        say(json.dumps(entry))

    def _save(self) -> None:
        checkpoint.save(self._out, self._recipe, self._network, self._optimizer, self.progress)

    def _part(self, name: str) -> nn.Module:
        parts: dict[str, nn.Module] = dict(self._network.named_modules())
        if not name or name not in parts:
            raise ConfigError(f"held: the network {self._recipe.network!r} has no part {name!r}")
        return parts[name]


def _machine(device: torch.device) -> str:
    """Say what a run runs on, for the card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU ({torch.get_num_threads()} threads)"


def _keep_memory() -> None:
    """Let the C library keep freed tensors: giving each back to the system means faulting it in again."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(TRIM_THRESHOLD, -1)


def checked(cache: Path, split: str, kind: str) -> Clips:
    """Map packed clips that are as they were packed.

    Raises:
        DataMissing: They are not there, or damaged.
    """
    clips = open_split(cache, split, kind)
    clips.check(f"{split} {kind}")
    return clips


def responses(clips: Clips, length: int) -> NDArray[np.float32]:
    """Cut impulse responses of loudspeakers and microphones to [count, length], unit energy."""
    rows = np.zeros((len(clips.start), length), np.float32)
    for row, at, size in zip(rows, clips.start, clips.length, strict=True):
        kept = min(int(size), length)
        row[:kept] = clips.pcm[at : at + kept].astype(np.float32)
    energy = np.sqrt(np.square(rows).sum(1, keepdims=True))
    unit: NDArray[np.float32] = rows / np.maximum(energy, 1e-9)
    return unit
