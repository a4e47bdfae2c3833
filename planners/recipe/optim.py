"""How are the weights stepped?

It does not know the model: Muon for matrices, AdamW for the rest, one schedule for both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def _orthogonal(gradient: Tensor) -> Tensor:
    """Five Newton-Schulz steps towards the nearest semi-orthogonal matrix, in bfloat16, batched."""
    x = gradient.bfloat16()
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.mT if tall else x).float()


class Muon:
    """Momentum whose steps are made orthogonal; matrices of one shape are stepped together."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rate: float,
        momentum: float = 0.95,
        decay: float = 0.01,
    ) -> None:
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for parameter in parameters:
            self.groups.setdefault(tuple(parameter.shape), []).append(parameter)
        self.moments = {
            shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()
        }
        self.rate, self.momentum, self.decay = rate, momentum, decay

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for shape, group in self.groups.items():
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            moment = self.moments[shape]
            moment.lerp_(gradient, 1 - self.momentum)
            update = _orthogonal(gradient.lerp(moment, self.momentum))
            rate = self.rate * scale * max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - rate * self.decay).add_(change, alpha=-rate)


def schedule(done: float, steps: int, decay: float, warmup: int = 40) -> float:
    """The factor of the learning rate: a warm-up by steps, then flat, then linear to 0 over the last `decay` of the time."""
    flat = 1.0 if done < 1 - decay else max(0.02, (1 - done) / decay)
    return min(1.0, (steps + 1) / warmup) * flat
