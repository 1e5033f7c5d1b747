"""The parts common to all protocols: the description in the report, and the relevance threshold."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from dch.artifact import on_disk
from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.evaluation.report import DEPTH
from dch.models.model import Model
from dch.search import CANDIDATES

WITH_NEIGHBOURS = {
    "codes+rerank+neighbours": f"the nearest {CANDIDATES} codes and the {CANDIDATES} strongest neighbours "
    "of the user's ratings, ordered by the product of ranking vectors plus the part of the neighbours"
}


def describe(name: str, ratings: Ratings, config: DchConfig, seeds: Sequence[int]) -> dict[str, object]:
    """Return the part of the report's protocol that all protocols share.

    Args:
        name: name of the protocol.
        ratings: all ratings, or the training file of a fixed split.
        config: settings of the fit.
        seeds: one fit each.

    Raises:
        ConfigError: there are no seeds.
    """
    if not seeds:
        raise ConfigError("at least one seed is needed, got none")
    return {
        "name": name,
        "ratings": len(ratings),
        "users": int((ratings.by_user.counts() > 0).sum()),
        "items": int((ratings.by_item.counts() > 0).sum()),
        "user_feature_records": len(ratings.user_features),
        "item_feature_records": len(ratings.item_features),
        "bits": config.bits,
        "objective": config.objective,
        "seeds": list(seeds),
        "k": DEPTH,
        "strategies": {
            "codes": "Hamming distance, ties by popularity, then by a checksum of the id",
            "codes-weighted": "the same by weighted distance: the half of the user's bits that is decided "
            "most clearly counts twice",
            "codes+rerank": f"the nearest {CANDIDATES} codes (by weighted distance with relaxed_users), "
            "ordered by the product of ranking vectors; by relaxed user output . item bits where the model "
            "makes none",
            **(WITH_NEIGHBOURS if config.neighbours != 0 else {}),
            "popular": "number of positive ratings so far",
        },
        "metrics": {
            f"hit@{DEPTH}": "1 when anything relevant is listed",
            f"ndcg@{DEPTH}": "binary gains, 1 / log2(place + 1), over an ideal list of min(k, relevant)",
            f"recall@{DEPTH}": "relevant items listed over all relevant items",
        },
        "averaging": "over users with something relevant, then over seeds; std over seeds (n - 1)",
        "fit_seconds": "mean over seeds, kernels compiled beforehand",
        "settings": on_disk(asdict(config)),
    }


def relevance_threshold(model: Model, relevant_from: float | None) -> float:
    """Return the lowest rating that counts as relevant.

    Args:
        model: gives the threshold if relevant_from is None.
        relevant_from: 0 or less makes every rating relevant, negative ones too; None makes those relevant
            that the model counts as positive.
    """
    if relevant_from is None:
        return model.positive_from
    return relevant_from if relevant_from > 0 else -math.inf
