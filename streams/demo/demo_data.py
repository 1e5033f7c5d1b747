"""The ratings of the demo: MovieLens-100K from a wheel, or any folder, split into two halves by time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dch import Ratings
from dch.data.features import Features, tokens
from streams.errors import SettingsError

WHEEL = "recbole"
INSIDE_WHEEL = Path("dataset_example") / "ml-100k"
LIKED_GENRES = ("genres=Sci-Fi", "genres=Animation", "genres=Horror")
"""The new user likes the first of these genres with enough items. They are easy to recognise in a list."""

N_LIKED = 5
MIN_RATINGS = 1000

MAX_RECORDS = 300_000
"""About as many as the embedded broker holds."""

RECORDS_PER_RATING = 2.6
"""One of `ratings` and, where all users are sampled, one of `served`; at most one of `item-codes` for each
rating of the newer half, as its item has changed; and a part of one of `item-ratings`, of up to 64."""

GENERATIONS = 3
"""Item codes of the first model, of its refit, and of a refit while the demo is kept running."""


@dataclass(frozen=True)
class DemoData:
    """The ratings of the demo."""

    name: str
    ratings: Ratings
    older: Ratings
    """The older half, on which generation 1 is fitted."""

    newer: Ratings
    """The newer half, published as a live stream."""

    liked: list[str]
    """Ids of the items that the new user rates."""

    n_in_file: int
    """Number of ratings in the file; more than those of the demo if only the newest were taken."""

    def title(self, item: str) -> str:
        """Return the title of an item, or its id if it has none."""
        features = self.ratings.item_features.get(item, {})
        return str(features.get("title", item))


def read_demo_data(folder: Path | None, at_most: int | None = None) -> DemoData:
    """Read the ratings and split them.

    Args:
        folder: a folder or file of ratings; None reads MovieLens-100K.
        at_most: number of records to come to: then the newest ratings are taken; None takes all.

    Raises:
        SettingsError: MovieLens-100K is not installed, or there are too few ratings.
        RatingsError: the ratings cannot be read.
    """
    path = folder or wheel_data("give a folder of ratings: dch demo --data DIR")
    ratings = Ratings.read(path)
    n_in_file = len(ratings)
    if at_most is not None and n_records(ratings) > at_most:
        ratings = _newest(ratings, _n_fitting(ratings, at_most))
    if len(ratings) < MIN_RATINGS:
        raise SettingsError(f"the demo needs at least {MIN_RATINGS:,} ratings, {path} has {len(ratings)}")
    is_older = np.arange(len(ratings)) < len(ratings) // 2  # ratings are sorted by time
    older, newer = ratings.subset(is_older), ratings.subset(~is_older)
    return DemoData(Path(path).name, ratings, older, newer, _liked(older), n_in_file)


def n_records(ratings: Ratings) -> int:
    """Return how many records the demo writes for ratings and features, about and at most."""
    n_features = len(ratings.user_features) + len(ratings.item_features)
    return int(RECORDS_PER_RATING * len(ratings)) + n_features + GENERATIONS * ratings.n_items


def _n_fitting(ratings: Ratings, at_most: int) -> int:
    """Return how many of the newest ratings come to so many records with what they name."""
    of_user = [id_ in ratings.user_features for id_ in ratings.user_ids]
    of_item = [GENERATIONS + (id_ in ratings.item_features) for id_ in ratings.item_ids]
    n_named = _at_first(ratings.users[::-1], of_user) + _at_first(ratings.items[::-1], of_item)
    counts = (RECORDS_PER_RATING * np.arange(1, len(ratings) + 1)).astype(np.int64) + np.cumsum(n_named)
    return int(np.searchsorted(counts, at_most, side="right"))


def _at_first(rows: NDArray[np.int32], counts: Sequence[int]) -> NDArray[np.int64]:
    """Return (n,) the count of each row where it comes first, and 0 elsewhere."""
    found = np.zeros(len(rows), np.int64)
    distinct, first = np.unique(rows, return_index=True)
    found[first] = np.asarray(counts, np.int64)[distinct]
    return found


def _newest(ratings: Ratings, n: int) -> Ratings:
    """Return the newest n ratings, with no other users and items than those that they name."""
    cut = slice(len(ratings) - n, None)  # ratings are sorted by time
    users = [ratings.user_ids[row] for row in ratings.users[cut].tolist()]
    items = [ratings.item_ids[row] for row in ratings.items[cut].tolist()]
    return Ratings.from_events(
        users,
        items,
        ratings.values[cut],
        ratings.timestamps[cut],
        user_features=_features_of(users, ratings.user_features),
        item_features=_features_of(items, ratings.item_features),
    )


def _features_of(ids: Sequence[str], features: Mapping[str, Features]) -> dict[str, Features]:
    return {id_: features[id_] for id_ in dict.fromkeys(ids) if id_ in features}


def wheel_data(otherwise: str) -> Path:
    """Return the folder of MovieLens-100K inside the recbole wheel.

    Args:
        otherwise: the alternative to an installation, for the error.

    Raises:
        SettingsError: the wheel is not installed.
    """
    # recbole cannot be imported: its dependencies are not installed.
    spec = find_spec(WHEEL)
    roots = (spec.submodule_search_locations or []) if spec else []
    folders = [Path(root) / INSIDE_WHEEL for root in roots]
    if not folders or not folders[0].is_dir():
        raise SettingsError(
            "MovieLens-100K was not found; install the wheel that contains it: "
            "pip install --no-deps recbole==1.2.1 (and, for the rest of the demo, its extra: "
            f"pip install -c constraints.txt '.[demo]'), or {otherwise}"
        )
    return folders[0]


def _liked(ratings: Ratings) -> list[str]:
    """Return the most rated items of one genre, or of all items if no genre has enough."""
    counts = np.bincount(ratings.items, minlength=ratings.n_items)
    by_count = [ratings.item_ids[row] for row in np.argsort(-counts, kind="stable").tolist()]
    for token in LIKED_GENRES:
        of_genre = [item for item in by_count if token in tokens(ratings.item_features.get(item, {}))]
        if len(of_genre) >= N_LIKED:
            return of_genre[:N_LIKED]
    return by_count[:N_LIKED]
