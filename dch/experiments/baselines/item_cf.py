"""ItemCF: item-to-item weights by the cosine of two items, shrunk where few users rated both."""

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.item_weights import FittedItemWeights, Floats, strongest
from dch.experiments.baselines.rating_matrix import TrainedIds, weight_matrix
from dch.training.rating_weights import infer_scale


def fit_item_cf(
    train: Ratings, *, k: int = 100, shrinkage: float = 20.0, graded: bool = False, seed: int = 0
) -> FittedItemWeights:
    """Weigh each pair of items by the inner product of their ratings over lengths plus shrinkage.

    Args:
        train: the ratings to learn from.
        k: weights that each scored item keeps, the largest.
        shrinkage: added to the product of the two lengths; makes pairs with few common users weak.
        graded: ratings count by their weights; if not, all ratings weigh 1.
        seed: not used.

    Raises:
        MissingExtraError: scipy is not installed.

    Source:
        Sarwar, Karypis, Konstan, Riedl, "Item-based collaborative filtering recommendation algorithms" (WWW
        2001); shrinkage as in Ferrari Dacrema, Cremonesi, Jannach, "Are we really making much progress?"
        (RecSys 2019).
    """
    trained = TrainedIds.of(train)
    scale = infer_scale(train.values, DchConfig(), graded=graded, users=train.users)
    by_user = weight_matrix(train, scale, trained.users, trained.items)
    by_item = by_user.T.tocsr()
    lengths = np.sqrt(np.asarray(by_user.multiply(by_user).sum(axis=0), np.float32)).ravel()

    def rows_of(cut: slice) -> Floats:
        over = lengths[cut, None] * lengths + np.float32(shrinkage)
        cosines: Floats = (by_item[cut] @ by_user).toarray() / np.maximum(over, np.float32(1e-9))
        return cosines

    weights = strongest(rows_of, len(lengths), k)
    return FittedItemWeights(train, scale, trained.items, weights.T.tocsr())
