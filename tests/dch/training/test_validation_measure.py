"""The measure of a fit, against the same lists made by hand."""

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.net import TowerNet
from dch.training.start import random_start
from dch.training.training_data import prepare
from dch.training.validation_measure import make_measure
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=32, teacher_factors=8, early_stopping=True)


@pytest.mark.parametrize("vector_size", [0, 8])
def test_it_is_the_mean_over_lists_by_codes_and_by_vectors_where_there_are_any(vector_size):
    config = replace(CONFIG, vector_size=vector_size)
    material = prepare(clusters(n_users=200), config, None)
    rng = np.random.default_rng(0)
    nets = tuple(TowerNet(random_start(side, config, rng)) for side in material.sides)
    every = [whole_bags(side, np.arange(len(side)), 1.0) for side in material.sides]
    with torch.no_grad():
        (codes, vectors), (item_codes, item_vectors) = (
            net.codes_and_vectors(bags) for net, bags in zip(nets, every, strict=True)
        )
    validation = material.validation
    scores = [(torch.sign(codes) @ torch.sign(item_codes).T).numpy(), (vectors @ item_vectors.T).numpy()]
    found = [validation.ndcg(lambda block, of=of[validation.users]: of[block]) for of in scores]
    expected = fmean(found) if vector_size else found[0]
    assert make_measure(nets, material.sides, validation, config)() == pytest.approx(expected)


def test_towers_that_diverged_earn_nothing_not_even_by_popularity():
    material = prepare(clusters(n_users=200), CONFIG, None)
    nets = tuple(TowerNet(random_start(side, CONFIG, np.random.default_rng(0))) for side in material.sides)
    measure = make_measure(nets, material.sides, material.validation, CONFIG)
    assert measure() > 0
    with torch.no_grad():
        nets[0].output.fill_(torch.nan)
    assert measure() == 0
