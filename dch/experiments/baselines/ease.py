"""EASE: item-to-item weights in closed form, all of them or the strongest of each item."""

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.experiments.baselines.item_weights import FittedItemWeights, Floats, strongest
from dch.experiments.baselines.rating_matrix import TrainedIds, weight_matrix
from dch.training.ease_solver import cost_of, has_gpu, solve_ease
from dch.training.rating_weights import infer_scale

MOST_ITEMS = 15_000
"""Most items of a fit that does not say otherwise: 0.9 GB, and about a minute."""


def check_size(n_items: int, most_items: int = MOST_ITEMS) -> None:
    """Refuse a fit that would take too much memory and time.

    Raises:
        ConfigError: there are more items than most_items, and no graphics card with memory for them.
    """
    if n_items > most_items and not has_gpu(n_items):
        raise ConfigError(
            f"most_items is {most_items}, there are {n_items} items, "
            f"which need {cost_of(n_items)}; raise most_items, or leave EASE out"
        )


def fit_ease(
    train: Ratings,
    *,
    regularization: float = 500.0,
    graded: bool = True,
    most_items: int = MOST_ITEMS,
    seed: int = 0,
) -> FittedItemWeights:
    """Solve for the item weights that best reconstruct each history without the item itself.

    The fit takes 4 bytes per pair of items, and time that grows with the cube of their number: see
    ``cost_of``. It is deterministic.

    Args:
        train: the ratings to learn from.
        regularization: penalty on the squared weights.
        graded: histories contain rating weights; if not, each rating weighs 1.
        most_items: refuse more items than this.
        seed: not used.

    Raises:
        ConfigError: there are more items than most_items.
        MissingExtraError: scipy is not installed.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 8; here over
        rating weights.
    """
    trained, scale = (
        TrainedIds.of(train),
        infer_scale(train.values, DchConfig(), graded=graded, users=train.users),
    )
    check_size(len(trained.items), most_items)
    histories = weight_matrix(train, scale, trained.users, trained.items)
    return FittedItemWeights(train, scale, trained.items, solve_ease(histories, regularization))


def fit_pruned_ease(
    train: Ratings,
    *,
    k: int,
    regularization: float = 500.0,
    graded: bool = True,
    most_items: int = 40_000,
    seed: int = 0,
) -> FittedItemWeights:
    """Fit EASE and keep only the k weights of each scored item that are largest in absolute value.

    Args:
        train: the ratings to learn from.
        k: weights an item.
        regularization: as for ``fit_ease``, like the others.
        graded: histories contain rating weights.
        most_items: refuse more items than this.
        seed: not used.
    """
    whole = fit_ease(train, regularization=regularization, graded=graded, most_items=most_items)
    return pruned(whole, k)


def pruned(whole: FittedItemWeights, k: int) -> FittedItemWeights:
    """Return weights with only the k strongest of each scored item."""
    by_scored = whole.weights.T

    def rows_of(cut: slice) -> Floats:
        rows = by_scored[cut]
        return np.array(rows) if isinstance(rows, np.ndarray) else rows.toarray()

    kept = strongest(rows_of, by_scored.shape[0], k)
    return FittedItemWeights(whole.train, whole.scale, whole.items, kept.T.tocsr())
