"""Deep Collaborative Hashing: recommendations from binary codes. A library of arrays, independent of Kafka.

from dch import Ratings, Recommender
recommender = Recommender.fit(Ratings.read("ratings.csv.gz"), bits=64)
recommender.fold_in("a new user", "some item", 5.0)
hits = recommender.recommend("a new user", k=20)
"""

from importlib import metadata

from dch.answers import Hit
from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import (
    ArtifactError,
    ConfigError,
    DchError,
    MissingExtraError,
    RatingsError,
    UnknownIdError,
)
from dch.models.model import Model
from dch.reasons import Reason
from dch.recommender import Recommender

__all__ = [
    "ArtifactError",
    "ConfigError",
    "DchConfig",
    "DchError",
    "Hit",
    "MissingExtraError",
    "Model",
    "Ratings",
    "RatingsError",
    "Reason",
    "Recommender",
    "UnknownIdError",
    "__version__",
]

__version__ = metadata.version("dch-streams")
