"""What every compared method offers: fit once, fold new ratings in, score all items for some users."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings

Floats = NDArray[np.float32]


class Scorer(Protocol):
    """Scores every item for some users."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, larger is better, over the rows of the ratings' tables.

        An item about which nothing is known scores -inf; so does every item for a user about whom nothing is
        known, who is then given the popular list.
        """
        ...


class Fitted(Protocol):
    """A fitted method. It knows the ratings it was fitted on."""

    def fold_in(self, given: Ratings) -> Scorer:
        """Return the scores that hold once these ratings have come too, with what was learned kept as it is.

        Args:
            given: new ratings over the same id tables, maybe none: of known users and items, of new users
                (without any rating in the fit) and of new items. A method that has no way to place new users
                or items leaves them unknown: -inf.
        """
        ...
