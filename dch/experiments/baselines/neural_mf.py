"""NeuMF: a product of vectors beside a small network, learned from ratings and sampled negatives.

There is no fold-in: only users and items of the fit have vectors.
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
from dch.experiments.baselines.rating_matrix import RowNumbers, TrainedIds, positions
from dch.training.rating_weights import infer_scale

Floats = NDArray[np.float32]

WIDTH = 32
"""Length of each of the two vectors of a user or item; together as many floats as 64 factors."""

PAIRS = 1 << 17
"""Pairs scored at a time: the first layer then takes 16 MB and stays in the cache."""


class NeuMfNet(nn.Module):
    """logit = out . [elementwise product of the product vectors; layers over both input vectors]."""

    def __init__(self, n_users: int, n_items: int, rng: np.random.Generator) -> None:
        super().__init__()

        def sampled(*shape: int, spread: float) -> nn.Parameter:
            return nn.Parameter(torch.from_numpy(rng.normal(0, spread, shape).astype(np.float32)))

        self.user_product = sampled(n_users, WIDTH, spread=0.1)
        self.item_product = sampled(n_items, WIDTH, spread=0.1)
        self.user_input = sampled(n_users, WIDTH, spread=0.1)
        self.item_input = sampled(n_items, WIDTH, spread=0.1)
        self.from_user = sampled(WIDTH, WIDTH, spread=WIDTH**-0.5)
        self.from_item = sampled(WIDTH, WIDTH, spread=WIDTH**-0.5)
        self.first_bias = nn.Parameter(torch.zeros(WIDTH))
        self.second = sampled(WIDTH, WIDTH // 2, spread=(2 / WIDTH) ** 0.5)
        self.second_bias = nn.Parameter(torch.zeros(WIDTH // 2))
        self.out_product = nn.Parameter(torch.ones(WIDTH))
        self.out_layers = sampled(WIDTH // 2, spread=(2 / WIDTH) ** 0.5)
        self.out_bias = nn.Parameter(torch.zeros(()))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs, (n,), from rows of users (n,) and items (n,)."""
        product = (self.user_product[users] * self.item_product[items]) @ self.out_product
        first = self.user_input[users] @ self.from_user + self.item_input[items] @ self.from_item
        return product + self._layers(first)

    def all_items(self, users: Tensor) -> Tensor:
        """Return the logits of these users with every item, (len(users), n_items)."""
        product = (self.user_product[users] * self.out_product) @ self.item_product.T
        of_users = self.user_input[users] @ self.from_user
        first = of_users[:, None] + (self.item_input @ self.from_item)[None]  # (n, n_items, WIDTH)
        return product + self._layers(first)

    def _layers(self, first: Tensor) -> Tensor:
        hidden = torch.relu(first + self.first_bias) @ self.second
        return torch.relu(hidden + self.second_bias) @ self.out_layers + self.out_bias


@dataclass(frozen=True)
class FittedNeuralMf:
    """The fitted network and, because nothing can be folded in, also its scorer."""

    net: NeuMfNet
    trained: TrainedIds
    n_users: int
    n_items: int

    def fold_in(self, given: Ratings) -> "FittedNeuralMf":
        """Return the scores of the fit; NeuMF cannot fold ratings in.

        Users and items that are not in the fit stay unknown (-inf), whatever ratings are given.
        """
        return self

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32 logits, -inf where user or item is unknown."""
        rows = positions(self.trained.users, self.n_users)[users]
        scores = np.full((len(users), self.n_items), -np.inf, np.float32)
        block = max(1, PAIRS // len(self.trained.items))
        known = np.flatnonzero(rows >= 0)
        for start in range(0, len(known), block):
            part = known[start : start + block]
            with torch.no_grad():
                logits = self.net.all_items(torch.from_numpy(rows[part]))
            scores[np.ix_(part, self.trained.items)] = logits.numpy()
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
    """Learn to tell rated items from sampled ones by cross-entropy.

    Args:
        train: the ratings to learn from.
        steps: maximal number of updates; small data gets EPOCHS passes over its ratings.
        batch: number of ratings per step.
        negatives: items sampled uniformly per rating; those that the user has rated have weight 0.
        graded: weights depend on the rating value; if not, each rating weighs 1.
        seed: of the random generator.

    Source:
        He et al., "Neural collaborative filtering" (WWW 2017), Equation 12; here both parts are trained
        together from the start, the first layers have WIDTH inputs, and ratings are weighted.
    """
    rng, trained = np.random.default_rng(seed), TrainedIds.of(train)
    pairs = _Pairs.of(train, trained, graded=graded)
    net = NeuMfNet(len(trained.users), len(trained.items), rng)
    n_steps = min(steps, EPOCHS * math.ceil(len(train) / batch))
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, n_steps)
    for rated in _batches(len(train), batch, n_steps, rng):
        optimizer.zero_grad()
        users, items, labels, weights = pairs.sample(rated, negatives, rng)
        loss = functional.binary_cross_entropy_with_logits(net(users, items), labels, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return FittedNeuralMf(net.eval(), trained, train.n_users, train.n_items)


EPOCHS = 20
"""Passes over small data; more passes overfit."""

LEARNING_RATE = 5e-3
"""Learning rate of Adam at the first step; it decreases linearly to a twentieth."""


@dataclass(frozen=True)
class _Pairs:
    """The rated pairs, over the rows of ``TrainedIds``."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: Floats
    keys: RowNumbers
    """(n_ratings,) ascending, user * n_items + item: tells whether a sampled pair is rated."""

    n_items: int

    @classmethod
    def of(cls, train: Ratings, trained: TrainedIds, *, graded: bool) -> "_Pairs":
        users = positions(trained.users, train.n_users)[train.users]
        items = positions(trained.items, train.n_items)[train.items]
        weights = infer_scale(train.values, DchConfig(), graded=graded, users=train.users).weights(
            train.values
        )
        keys = np.sort(users.astype(np.int64) * len(trained.items) + items)
        return cls(users, items, weights, keys, len(trained.items))

    def sample(self, rated: RowNumbers, negatives: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return users, items, labels (1 rated, 0 sampled) and weights; rated pairs come first."""
        users = np.tile(self.users[rated], 1 + negatives)
        sampled = rng.integers(self.n_items, size=negatives * len(rated), dtype=np.int32)
        items = np.concatenate([self.items[rated], sampled])
        keys = users[len(rated) :].astype(np.int64) * self.n_items + sampled
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        is_negative = (self.keys[found] != keys).astype(np.float32)
        labels = np.zeros(len(users), np.float32)
        labels[: len(rated)] = 1
        weights = np.concatenate([self.weights[rated], is_negative])
        return tuple(torch.from_numpy(part) for part in (users, items, labels, weights))


def _batches(n: int, batch: int, n_batches: int, rng: np.random.Generator) -> Iterator[RowNumbers]:
    """Yield n_batches batches of positions below n, with a new random order in each pass."""
    count = 0
    while count < n_batches:
        order = rng.permutation(n)
        for start in range(0, n, batch):
            if count < n_batches:
                yield order[start : start + batch]
            count += 1
