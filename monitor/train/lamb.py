"""LAMB: Adam whose step is scaled to each tensor's own size, for batches of many hundreds.

You et al., Large Batch Optimization for Deep Learning, ICLR 2020, algorithm 2, with bias correction; torch has none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch


class Lamb(torch.optim.Optimizer):
    """r = m / (sqrt v + eps) + decay w, then w -= rate |w| / |r| r; the ratio is 1 where either length is 0."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            first, second = group["betas"]
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state.update(step=0, mean=torch.zeros_like(weights), square=torch.zeros_like(weights))
                state["step"] += 1
                state["mean"].lerp_(weights.grad, 1.0 - first)
                state["square"].lerp_(weights.grad.square(), 1.0 - second)
                mean = state["mean"] / (1.0 - first ** state["step"])
                root = (state["square"] / (1.0 - second ** state["step"])).sqrt()
                update = mean / (root + group["eps"]) + group["weight_decay"] * weights
                ratio = weights.norm() / update.norm()
                weights.sub_(group["lr"] * torch.where(torch.isfinite(ratio) & (ratio > 0.0), ratio, 1.0) * update)
