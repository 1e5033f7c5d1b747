"""The training loop: step, look at held-out NDCG@20 now and then, keep the best weights."""

from collections.abc import Callable
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from dch.config import DchConfig

LEARNING_RATES = {
    ("ranking", "adam"): 1e-2,
    ("ranking", "sgd"): 0.1,
    ("rating", "adam"): 3e-3,
    ("rating", "sgd"): 0.3,
}
"""Peaks of the one-cycle schedule."""

WARM_UP = 0.15
"""Share of the steps in which the learning rate climbs."""

Progress = Callable[[int, int, float], None]
"""Called after each step with the steps done, the steps planned and the loss."""


class Objective(Protocol):
    """What is minimised, one batch at a time."""

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return what is learned at a tenth of the rate."""
        ...

    def loss(self) -> Tensor:
        """Draw one batch and return its loss."""
        ...


class Best:
    """The best weights so far by a measure on held-out data, and how long ago that was."""

    def __init__(self, nets: nn.ModuleList, measure: Callable[[], float]) -> None:
        self._nets, self._measure = nets, measure
        self.value, self.age, self._state = -1.0, 0, deepcopy(nets.state_dict())

    def check(self) -> None:
        """Measure now; remember the weights when they are the best."""
        value = self._measure()
        self.age += 1
        if value > self.value:
            self.value, self.age, self._state = value, 0, deepcopy(self._nets.state_dict())

    def restore(self) -> None:
        """Put the best weights back."""
        self._nets.load_state_dict(self._state)


def run_steps(
    nets: nn.ModuleList,
    objective: Objective,
    config: DchConfig,
    steps: int,
    best: Best | None,
    progress: Progress,
) -> int:
    """Minimise the objective; leave the best weights in the nets when there is a measure.

    Returns:
        The number of steps taken, fewer than planned when the measure stopped rising.
    """
    optimizer = _optimizer(nets, objective, config)
    schedule = _one_cycle(optimizer, steps)
    every = max(1, steps // config.checks)
    done = 0
    for done in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=True)
        loss = objective.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress(done, steps, float(loss.detach()))
        if best and (done % every == 0 or done == steps):
            best.check()
            if best.age >= config.patience:
                break
    if best:
        best.restore()
    return done


def _optimizer(nets: nn.ModuleList, objective: Objective, config: DchConfig) -> torch.optim.Optimizer:
    rate = peak_rate(config)
    groups = [{"params": list(nets.parameters()), "lr": rate}]
    if slow := objective.slow_parameters():
        groups.append({"params": slow, "lr": rate / 10})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, weight_decay=0.0, fused=True)


def peak_rate(config: DchConfig) -> float:
    """Return the peak of the schedule: what is set, or the tried value."""
    return config.learning_rate or LEARNING_RATES[config.objective, config.optimizer]


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peaks, total_steps=steps + 1, pct_start=WARM_UP, cycle_momentum=False
    )
