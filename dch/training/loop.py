"""The training loop: optimizer, one-cycle learning rate, early stopping and torch's thread count."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from dch.config import DchConfig, Objective, Optimizer
from dch.training.fit_progress import FitProgress

OPTIMIZERS: Mapping[Objective, Optimizer] = {"ranking": "adam", "rating": "sgd"}
"""Default optimizer by objective; SGD is that of the paper."""

LEARNING_RATES = {
    ("ranking", "adam"): 1e-2,
    ("ranking", "sgd"): 0.1,
    ("rating", "adam"): 3e-3,
    ("rating", "sgd"): 3.0,
}
"""Default peak learning rates by objective and optimizer."""

WARM_UP = 0.15
"""Share of the steps during which the learning rate rises."""


class ObjectiveSteps(Protocol):
    """Computes the loss of one batch at a time."""

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are learned at a tenth of the learning rate."""
        ...

    def loss(self) -> Tensor:
        """Draw one batch and return its loss."""
        ...


class EarlyStopping:
    """Scores the weights on held-out ratings and remembers the best ones."""

    def __init__(self, nets: nn.ModuleList, measure: Callable[[], float]) -> None:
        self._nets, self._measure = nets, measure
        self.best_score, self.checks_since_best = -1.0, 0
        self._best_weights = deepcopy(nets.state_dict())

    def check(self) -> None:
        """Score the current weights, and remember them if they are the best so far."""
        score = self._measure()
        self.checks_since_best += 1
        if score > self.best_score:
            self.best_score, self.checks_since_best = score, 0
            self._best_weights = deepcopy(self._nets.state_dict())

    def restore(self) -> None:
        """Load the best weights into the nets."""
        self._nets.load_state_dict(self._best_weights)


def run_steps(
    nets: nn.ModuleList,
    objective: ObjectiveSteps,
    config: DchConfig,
    steps: int,
    early_stopping: EarlyStopping | None,
    progress: FitProgress,
) -> int:
    """Minimise the objective; with early stopping, leave the best weights in the nets.

    Returns:
        The number of steps taken: fewer than planned when early stopping ended the fit.
    """
    optimizer = _optimizer(nets, objective, config)
    schedule = _one_cycle(optimizer, steps)
    check_every = max(1, steps // config.checks)
    done = 0
    for done in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=True)
        loss = objective.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress(done, steps, float(loss.detach()))
        if early_stopping and (done % check_every == 0 or done == steps):
            early_stopping.check()
            if early_stopping.checks_since_best >= config.patience:
                break
    if early_stopping:
        early_stopping.restore()
    return done


def peak_rate(config: DchConfig) -> float:
    """Return the peak learning rate: the configured one, or the default of objective and optimizer."""
    return config.learning_rate or LEARNING_RATES[config.objective, optimizer_of(config)]


def optimizer_of(config: DchConfig) -> Optimizer:
    """Return the optimizer: the configured one, or the default of the objective."""
    return config.optimizer or OPTIMIZERS[config.objective]


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use this many threads, and restore the previous number on exit."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _optimizer(nets: nn.ModuleList, objective: ObjectiveSteps, config: DchConfig) -> torch.optim.Optimizer:
    rate = peak_rate(config)
    groups = [{"params": list(nets.parameters()), "lr": rate}]
    if slow := objective.slow_parameters():
        groups.append({"params": slow, "lr": rate / 10})
    if optimizer_of(config) == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, weight_decay=0.0, fused=True)


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peaks, total_steps=steps + 1, pct_start=WARM_UP, cycle_momentum=False
    )
