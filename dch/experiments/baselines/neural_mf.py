"""NeuMF: a product of vectors and a small network side by side, learned on ratings and drawn negatives.

No fold-in: a user or item has a vector from the fit or none.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.rating_matrix import Rows, TrainedIds, places
from dch.training.rating_scale import infer_scale

Floats = NDArray[np.float32]

WIDTH = 32
"""Of the two vectors that each user and each item has: with both, as many floats as a factorisation of 64."""

PAIRS = 1 << 17
"""Users times items scored at a time: 16 MB in the first layer, which stays in the cache."""


class NeuMfNet(nn.Module):
    """logit = out . [product vectors multiplied; layers of the network vectors side by side]."""

    def __init__(self, n_users: int, n_items: int, rng: np.random.Generator) -> None:
        super().__init__()

        def drawn(*shape: int, spread: float) -> nn.Parameter:
            return nn.Parameter(torch.from_numpy(rng.normal(0, spread, shape).astype(np.float32)))

        self.user_product = drawn(n_users, WIDTH, spread=0.1)
        self.item_product = drawn(n_items, WIDTH, spread=0.1)
        self.user_input = drawn(n_users, WIDTH, spread=0.1)
        self.item_input = drawn(n_items, WIDTH, spread=0.1)
        self.from_user = drawn(WIDTH, WIDTH, spread=WIDTH**-0.5)
        self.from_item = drawn(WIDTH, WIDTH, spread=WIDTH**-0.5)
        self.first_bias = nn.Parameter(torch.zeros(WIDTH))
        self.second = drawn(WIDTH, WIDTH // 2, spread=(2 / WIDTH) ** 0.5)
        self.second_bias = nn.Parameter(torch.zeros(WIDTH // 2))
        self.out_product = nn.Parameter(torch.ones(WIDTH))
        self.out_layers = drawn(WIDTH // 2, spread=(2 / WIDTH) ** 0.5)
        self.out_bias = nn.Parameter(torch.zeros(()))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs, (n,), from rows of users (n,) and items (n,)."""
        product = (self.user_product[users] * self.item_product[items]) @ self.out_product
        first = self.user_input[users] @ self.from_user + self.item_input[items] @ self.from_item
        return product + self._layers(first)

    def all_items(self, users: Tensor) -> Tensor:
        """Return the logits of some users with every item, (len(users), n_items)."""
        product = (self.user_product[users] * self.out_product) @ self.item_product.T
        of_users = self.user_input[users] @ self.from_user
        first = of_users[:, None] + (self.item_input @ self.from_item)[None]  # (n, n_items, WIDTH)
        return product + self._layers(first)

    def _layers(self, first: Tensor) -> Tensor:
        hidden = torch.relu(first + self.first_bias) @ self.second
        return torch.relu(hidden + self.second_bias) @ self.out_layers + self.out_bias


@dataclass(frozen=True)
class FittedNeuralMf:
    """The network, and the scorer of what it knows: both in one, since nothing can be folded in."""

    net: NeuMfNet
    vocabulary: TrainedIds
    n_users: int
    n_items: int

    def fold_in(self, given: Ratings) -> "FittedNeuralMf":
        """Return the scores of the fit as they were: NeuMF has no way to take in ratings later.

        Users and items that the fit did not see are unknown (-inf), whatever is given of them; known ones
        keep their vectors.
        """
        return self

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32 logits, -inf where either is unknown."""
        rows = places(self.vocabulary.users, self.n_users)[users]
        scores = np.full((len(users), self.n_items), -np.inf, np.float32)
        block = max(1, PAIRS // len(self.vocabulary.items))
        known = np.flatnonzero(rows >= 0)
        for start in range(0, len(known), block):
            part = known[start : start + block]
            with torch.no_grad():
                logits = self.net.all_items(torch.from_numpy(rows[part]))
            scores[np.ix_(part, self.vocabulary.items)] = logits.numpy()
        return scores


def fit_neural_mf(
    train: Ratings,
    *,
    steps: int = 1500,
    batch: int = 4096,
    negatives: int = 4,
    graded: bool = True,
    seed: int = 0,
) -> FittedNeuralMf:
    """Learn to tell rated items from drawn ones by cross-entropy.

    Args:
        train: the ratings to learn from.
        steps: at most so many updates; small data gets EPOCHS passes over its ratings.
        batch: ratings of one step.
        negatives: items drawn evenly for each rating; those that the user has rated count nothing.
        graded: a rating counts as much as its height says; else 1.
        seed: start of every random draw.

    Source:
        He et al., "Neural collaborative filtering" (WWW 2017), Equation 12; here all parts are learned at
        once, the first layers take WIDTH inputs, and ratings are weighted.
    """
    rng, seen = np.random.default_rng(seed), TrainedIds.of(train)
    pairs = _Pairs.of(train, seen, graded=graded)
    net = NeuMfNet(len(seen.users), len(seen.items), rng)
    n_steps = min(steps, EPOCHS * math.ceil(len(train) / batch))
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, n_steps)
    for rated in _batches(len(train), batch, n_steps, rng):
        optimizer.zero_grad()
        users, items, wanted, weights = pairs.draw(rated, negatives, rng)
        loss = functional.binary_cross_entropy_with_logits(net(users, items), wanted, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return FittedNeuralMf(net.eval(), seen, train.n_users, train.n_items)


EPOCHS = 20
"""Passes over small data; more only fits it by heart."""

LEARNING_RATE = 5e-3
"""Of Adam, at the first step; it falls to a twentieth."""


@dataclass(frozen=True)
class _Pairs:
    """What is rated, over the rows of the vocabulary."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: Floats
    keys: Rows
    """(n_ratings,) ascending, user * n_items + item: to look up whether a drawn pair is rated."""

    n_items: int

    @classmethod
    def of(cls, train: Ratings, seen: TrainedIds, *, graded: bool) -> "_Pairs":
        users = places(seen.users, train.n_users)[train.users]
        items = places(seen.items, train.n_items)[train.items]
        weights = infer_scale(train.values, DchConfig(), graded=graded).weights(train.values)
        keys = np.sort(users.astype(np.int64) * len(seen.items) + items)
        return cls(users, items, weights, keys, len(seen.items))

    def draw(self, rated: Rows, negatives: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return users, items, what is wanted of them (1 or 0) and weights, the rated first."""
        users = np.tile(self.users[rated], 1 + negatives)
        drawn = rng.integers(self.n_items, size=negatives * len(rated), dtype=np.int32)
        items = np.concatenate([self.items[rated], drawn])
        keys = users[len(rated) :].astype(np.int64) * self.n_items + drawn
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        fresh = (self.keys[found] != keys).astype(np.float32)
        wanted = np.zeros(len(users), np.float32)
        wanted[: len(rated)] = 1
        weights = np.concatenate([self.weights[rated], fresh])
        return tuple(torch.from_numpy(part) for part in (users, items, wanted, weights))


def _batches(n: int, batch: int, n_batches: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield so many batches of positions below n, pass after pass in a new order."""
    made = 0
    while made < n_batches:
        order = rng.permutation(n)
        for start in range(0, n, batch):
            if made < n_batches:
                yield order[start : start + batch]
            made += 1
