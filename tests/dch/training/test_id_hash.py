import numpy as np

from dch.training.id_hash import drawn_by, drawn_by_pair

IDS = [f"id{n}" for n in range(4000)]


def test_an_id_draws_the_same_number_wherever_it_stands():
    assert np.array_equal(drawn_by(IDS, 5)[::-1], drawn_by(IDS[::-1], 5))


def test_a_pair_draws_the_same_number_whatever_the_rows():
    users, items = ["ann", "bob"], ["dune", "alien"]
    rows = np.array([0, 1, 1]), np.array([0, 0, 1])
    turned = np.array([1, 0, 0]), np.array([1, 1, 0])
    once = drawn_by_pair((users, items), rows, 5)
    again = drawn_by_pair((users[::-1], items[::-1]), turned, 5)
    assert np.array_equal(once, again)
    assert len(set(once)) == 3


def test_numbers_are_even_and_unlike_for_each_seed_and_side():
    rows = np.arange(len(IDS)), np.zeros(len(IDS), np.int64)
    several = [drawn_by(IDS, 0), drawn_by(IDS, 1), drawn_by(IDS, 2**63 + 1)]
    several += [drawn_by_pair((IDS, ["x"]), rows, 0), drawn_by_pair((IDS, ["y"]), rows, 0)]
    for drawn in several:
        counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
        assert counts.min() > 320  # 400 +- 19 each, by chance
        assert counts.max() < 480
    correlations = np.corrcoef(several)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 0.06
