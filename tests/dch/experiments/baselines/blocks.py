"""Synthetic ratings: two groups of users like two groups of items; with new users and new items."""

import numpy as np

from dch.data.ratings import Ratings


def two_blocks(*, n_users=60, n_items=40, share=0.5, seed=0):
    """Return ratings: users rate part of their own block of items 5 or 4, and three other items 1.

    Two thirds of the users belong to one block, so that its items are rated twice as often and popularity is
    wrong for the users of the other block.
    """
    rng = np.random.default_rng(seed)
    users, items, values = [], [], []
    for user in range(n_users):
        half = int(user % 3 == 0)
        own, other = np.arange(half, n_items, 2), np.arange(1 - half, n_items, 2)
        rated = [*rng.permutation(own)[: int(share * len(own))], *rng.permutation(other)[:3]]
        users += [f"u{user:03d}"] * len(rated)
        items += [f"i{item:03d}" for item in rated]
        values += [*rng.choice([4.0, 5.0], len(rated) - 3), 1.0, 1.0, 1.0]
    return Ratings.from_events(users, items, values)


def cut(ratings, *, n_new_users=6, n_new_items=4):
    """Return training ratings, given ratings of all kinds, and masks of the new users and new items."""
    new_users = np.char.startswith(np.array(list(ratings.user_ids)), "u05")
    new_users &= np.cumsum(new_users) <= n_new_users
    new_items = np.char.startswith(np.array(list(ratings.item_ids)), "i03")
    new_items &= np.cumsum(new_items) <= n_new_items
    by_new, of_new = new_users[ratings.users], new_items[ratings.items]
    late = np.random.default_rng(1).random(len(ratings)) < 0.1
    train = ratings.subset(~by_new & ~of_new & ~late)
    given = ratings.subset((by_new ^ of_new) | (late & ~by_new & ~of_new))
    return train, given, new_users, new_items


def nothing(ratings):
    """Return no ratings, over the same id tables."""
    return ratings.subset(np.zeros(len(ratings), np.bool_))


def share_in_own_block(scores, ratings):
    """Return the share of users whose own block scores higher on average; scores has a row per user."""
    items = np.array([int(id_[1:]) for id_ in ratings.item_ids]) % 2
    halves = np.array([int(id_[1:]) % 3 == 0 for id_ in ratings.user_ids]).astype(int)
    scored = np.isfinite(scores).any(axis=0)
    means = np.stack([scores[:, scored & (items == half)].mean(axis=1) for half in (0, 1)], axis=1)
    return (means.argmax(axis=1) == halves)[np.isfinite(means).all(axis=1)].mean()
