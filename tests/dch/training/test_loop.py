import pytest
import torch
from torch import nn

from dch.config import DchConfig
from dch.training.loop import EarlyStopping, run_steps, torch_threads


class Slope:
    """A loss that increases its one parameter at every step."""

    def __init__(self, net):
        self.net = net

    def slow_parameters(self):
        return []

    def loss(self):
        return -self.net.weight.sum()


def _nets():
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    return net, nn.ModuleList([net])


def _quiet(done, planned, loss):
    pass


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_early_stopping_restores_the_best_weights(optimizer):
    net, nets = _nets()
    config = DchConfig(checks=10, patience=3, learning_rate=0.1, optimizer=optimizer)
    seen = []

    def measure():
        seen.append(net.weight.item())
        return -abs(len(seen) - 2)  # best at the second check, worse at every later one

    early_stopping = EarlyStopping(nets, measure)
    done = run_steps(nets, Slope(net), config, 100, early_stopping, _quiet)
    assert done == 50
    assert len(seen) == 5
    assert net.weight.item() == seen[1] < seen[-1]


def test_without_early_stopping_all_steps_are_taken_and_reported():
    net, nets = _nets()
    reported = []
    done = run_steps(nets, Slope(net), DchConfig(), 7, None, lambda *step: reported.append(step))
    assert done == 7
    assert [step[:2] for step in reported] == [(i, 7) for i in range(1, 8)]
    assert all(loss == loss for *_, loss in reported)  # no NaN
    assert net.weight.item() > 0


def test_slow_parameters_move_at_a_tenth_of_the_rate():
    net, nets = _nets()
    slow = nn.Parameter(torch.zeros(()))
    objective = Slope(net)
    objective.slow_parameters = lambda: [slow]
    objective.loss = lambda: -net.weight.sum() - slow
    run_steps(nets, objective, DchConfig(learning_rate=0.1), 20, None, _quiet)
    assert slow.item() == pytest.approx(net.weight.item() / 10, rel=1e-3)


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
