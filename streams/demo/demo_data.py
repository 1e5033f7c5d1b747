"""The ratings of the demo: MovieLens-100K from a wheel, or any folder, split into two halves by time."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dch import Ratings
from dch.data.features import tokens
from streams.errors import SettingsError

WHEEL = "recbole"
INSIDE_WHEEL = Path("dataset_example") / "ml-100k"
LIKED_GENRES = ("genres=Sci-Fi", "genres=Animation", "genres=Horror")
"""The new user likes the first of these genres with enough items. They are easy to recognise in a list."""

N_LIKED = 5
MIN_RATINGS = 1000


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

    def title(self, item: str) -> str:
        """Return the title of an item, or its id if it has none."""
        features = self.ratings.item_features.get(item, {})
        return str(features.get("title", item))


def read_demo_data(folder: Path | None) -> DemoData:
    """Read the ratings and split them.

    Args:
        folder: a folder or file of ratings; None reads MovieLens-100K.

    Raises:
        SettingsError: MovieLens-100K is not installed, or there are too few ratings.
        RatingsError: the ratings cannot be read.
    """
    path = folder or wheel_data("give a folder of ratings: dch demo --data DIR")
    ratings = Ratings.read(path)
    if len(ratings) < MIN_RATINGS:
        raise SettingsError(f"the demo needs at least {MIN_RATINGS:,} ratings, {path} has {len(ratings)}")
    is_older = np.arange(len(ratings)) < len(ratings) // 2  # ratings are sorted by time
    older, newer = ratings.subset(is_older), ratings.subset(~is_older)
    return DemoData(Path(path).name, ratings, older, newer, _liked(older))


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
            f"pip install --no-deps recbole==1.2.1, or {otherwise}"
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
