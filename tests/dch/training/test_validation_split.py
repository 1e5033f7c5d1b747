import numpy as np

from dch.training.validation_split import hash_ids, hash_pairs, split_validation
from tests.dch.training.data import clusters, four_ratings

IDS = [f"id{n}" for n in range(4000)]


def test_the_hash_of_an_id_does_not_depend_on_its_position():
    assert np.array_equal(hash_ids(IDS, 5)[::-1], hash_ids(IDS[::-1], 5))


def test_the_hash_of_a_pair_does_not_depend_on_the_rows():
    users, items = ["ann", "bob"], ["dune", "alien"]
    rows = np.array([0, 1, 1]), np.array([0, 0, 1])
    swapped = np.array([1, 0, 0]), np.array([1, 1, 0])
    once = hash_pairs((users, items), rows, 5)
    again = hash_pairs((users[::-1], items[::-1]), swapped, 5)
    assert np.array_equal(once, again)
    assert len(set(once)) == 3


def test_hashes_are_uniform_and_uncorrelated_between_seeds_and_sides():
    rows = np.arange(len(IDS)), np.zeros(len(IDS), np.int64)
    several = [hash_ids(IDS, 0), hash_ids(IDS, 1), hash_ids(IDS, 2**63 + 1)]
    several += [hash_pairs((IDS, ["x"]), rows, 0), hash_pairs((IDS, ["y"]), rows, 0)]
    for hashes in several:
        counts = np.histogram(hashes, bins=10, range=(0, 1))[0]
        assert counts.min() > 320  # expected: 400, standard deviation 19
        assert counts.max() < 480
    correlations = np.corrcoef(several)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 0.06


def test_with_few_users_no_ratings_are_held_out():
    train, held_out = split_validation(four_ratings(), share=1.0, seed=0)
    assert (len(train), len(held_out)) == (4, 0)


def test_the_split_does_not_depend_on_the_order_of_the_ratings():
    ratings = clusters(n_users=300)
    shuffled = ratings.subset(np.random.default_rng(1).permutation(len(ratings)))
    once, again = (split_validation(one, share=1.0, seed=3, max_users=60)[1] for one in (ratings, shuffled))
    assert set(ratings.pairs()[once]) == set(shuffled.pairs()[again])


def test_ratings_held_out_before_are_held_out_again_when_there_are_more():
    ratings = clusters(n_users=300)
    is_old = np.random.default_rng(0).random(len(ratings)) < 0.9
    shuffled = ratings.subset(np.random.default_rng(1).permutation(len(ratings)))
    _, held_out = split_validation(ratings.subset(is_old), share=1.0, seed=3)
    _, later = split_validation(shuffled, share=1.0, seed=3)
    before, after = set(ratings.subset(is_old).pairs()[held_out]), set(shuffled.pairs()[later])
    assert before < after
    _, other = split_validation(shuffled, share=1.0, seed=4)
    assert len(set(shuffled.pairs()[other]) & after) < 0.4 * len(after)


def test_the_number_of_users_who_lose_ratings_is_limited():
    ratings = clusters(n_users=300)
    _, held_out = split_validation(ratings, share=1.0, seed=0, max_users=60)
    assert 40 < len(np.unique(ratings.users[held_out])) <= 60
