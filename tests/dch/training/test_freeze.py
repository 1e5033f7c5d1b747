"""Scaling the towers changes no product of ranking vectors."""

import numpy as np
from random_models import random_tower

from dch.models.codes import LARGEST, quantize
from dch.training.freeze import balance_towers, quantize_towers


def towers():
    rng = np.random.default_rng(0)
    return random_tower(rng, 5, 16, 8, 6, 0.1), random_tower(rng, 5, 16, 8, 6, 7.0)


def vectors(tower, seed):
    hidden = np.tanh(np.random.default_rng(seed).normal(size=(20, 16)))
    return (hidden @ tower.vector_output + tower.vector_bias).astype(np.float32)


def products(user, item):
    return vectors(user, 1) @ vectors(item, 2).T


def test_products_stay_equal_and_the_largest_value_of_an_item_fills_an_int8():
    user, item = towers()
    scaled = quantize_towers(user, item, vectors(item, 2))
    np.testing.assert_allclose(products(*scaled), products(user, item), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.abs(vectors(scaled[1], 2)).max(axis=0), LARGEST, rtol=1e-5)


def test_products_with_int8_vectors_are_close_to_exact_products():
    user, item = quantize_towers(*towers(), vectors(towers()[1], 2))
    exact, rounded = products(user, item), vectors(user, 1) @ quantize(vectors(item, 2)).T.astype(float)
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.9999


def test_balanced_towers_have_output_weights_of_equal_norm_and_the_same_products():
    user, item = towers()
    balanced = balance_towers(user, item)
    norms = [np.linalg.norm(tower.vector_output, axis=0) for tower in balanced]
    np.testing.assert_allclose(*norms, rtol=1e-4)
    np.testing.assert_allclose(products(*balanced), products(user, item), rtol=1e-3, atol=1e-3)


def test_values_too_large_for_an_int8_are_clipped():
    assert quantize(np.array([[-500.0, 126.6, 0.4]], np.float32)).tolist() == [[-LARGEST, 127, 0]]
