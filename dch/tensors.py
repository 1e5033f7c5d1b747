"""Convert models and histories to named arrays and back; ids become one array of UTF-8 bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as from_safetensors

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.models.feature_codes import NO_FEATURE_CODES, FeatureCodes
from dch.models.lifts import NO_LIFTS, Lifts
from dch.models.model import Model
from dch.models.neighbours import NO_NEIGHBOURS, Neighbours
from dch.models.towers import TowerWeights
from dch.state.histories import History
from dch.state.restore import Saved

Tensors = dict[str, NDArray[Any]]

TABLES = ("user_ids", "item_ids", "user_tokens", "item_tokens")
TOWERS = ("user_tower", "item_tower")
NEIGHBOURS = "neighbours."
"""Prefix of the names of the arrays of neighbours; a model without neighbours has none of them."""

LIFTS = "lifts."
"""Prefix of the names of the arrays of lifts; a model without lifts has none of them."""

FEATURE_CODES = "feature_codes."
"""Prefix of the names of the arrays of feature codes; a model without them has none of them."""


def tensors_of(content: bytes) -> Tensors:
    """Parse the bytes of a safetensors file."""
    tensors: Tensors = from_safetensors(content)
    return tensors


def model_tensors(model: Model) -> Tensors:
    """Return the arrays of a model by name."""
    tensors: Tensors = {"rating_knots": model.rating_knots}
    for tower in TOWERS:
        weights = getattr(model, tower)
        tensors |= {f"{tower}.{field.name}": getattr(weights, field.name) for field in fields(TowerWeights)}
    for name in TABLES:
        tensors |= _pack_strings(name, getattr(model, name))
    if not model.neighbours.is_empty:
        tensors |= {NEIGHBOURS + name: column for name, column in model.neighbours._asdict().items()}
    if len(model.lifts.steps):
        tensors |= {LIFTS + name: column for name, column in model.lifts._asdict().items()}
    if not model.feature_codes.is_empty:
        tensors |= {FEATURE_CODES + name: column for name, column in model.feature_codes._asdict().items()}
    return tensors


def model_of(
    tensors: Tensors,
    *,
    generation: int,
    feature_weight: float,
    positive_from: float,
    settings: Mapping[str, object],
    metrics: Mapping[str, float],
    generation_hash: str,
) -> Model:
    """Undo ``model_tensors``; the keyword arguments come from the manifest, or are its checksum."""
    user_tower, item_tower = (
        TowerWeights(
            **{
                field.name: tensors[name]
                for field in fields(TowerWeights)
                if (name := f"{tower}.{field.name}") in tensors
                or field.default_factory is MISSING  # vectors may be missing: earlier versions made none
            }
        )
        for tower in TOWERS
    )
    return Model(
        generation=generation,
        user_tower=user_tower,
        item_tower=item_tower,
        **{name: IdTable(_unpack_strings(name, tensors)) for name in TABLES},
        neighbours=_neighbours_of(tensors),
        lifts=_lifts_of(tensors),
        feature_codes=_feature_codes_of(tensors),
        rating_knots=tensors["rating_knots"].astype(np.float32),
        feature_weight=feature_weight,
        positive_from=positive_from,
        settings=settings,
        metrics=metrics,
        generation_hash=generation_hash,
    )


def _neighbours_of(tensors: Tensors) -> Neighbours:
    if NEIGHBOURS + "starts" not in tensors:
        return NO_NEIGHBOURS
    return Neighbours(
        **{
            name: np.ascontiguousarray(tensors[NEIGHBOURS + name], column.dtype)
            for name, column in NO_NEIGHBOURS._asdict().items()
        }
    )


def _lifts_of(tensors: Tensors) -> Lifts:
    if LIFTS + "items" not in tensors:
        return NO_LIFTS
    return Lifts(tensors[LIFTS + "items"].astype(np.int32), tensors[LIFTS + "steps"].astype(np.int8))


def _feature_codes_of(tensors: Tensors) -> FeatureCodes:
    if FEATURE_CODES + "table" not in tensors:
        return NO_FEATURE_CODES
    pairs, table = (tensors[FEATURE_CODES + name] for name in FeatureCodes._fields)
    return FeatureCodes(pairs.astype(np.int64), np.ascontiguousarray(table, np.float32))


def history_tensors(history: History) -> Tensors:
    """Return the arrays of a history by name: pairs in order of time, ids, features, forgotten times."""
    history.reserve(0)
    pairs, n = history.user_histories.pairs, len(history.user_histories)
    item_pairs = history.item_histories.pairs
    order = np.lexsort((pairs.offsets[:n], pairs.timestamps[:n]))
    return {
        "users": pairs.own[order],
        "items": pairs.other[order],
        "values": pairs.ratings[order],
        "timestamps": pairs.timestamps[order],
        "user_forgotten_before": pairs.forgotten_before[: len(history.user_ids)].copy(),
        "item_forgotten_before": item_pairs.forgotten_before[: len(history.item_ids)].copy(),
        **_pack_strings("user_ids", history.user_ids),
        **_pack_strings("item_ids", history.item_ids),
        **_pack_features("user_features", history.user_features, history.user_ids),
        **_pack_features("item_features", history.item_features, history.item_ids),
    }


def saved_of(tensors: Tensors) -> Saved:
    """Undo ``history_tensors``."""
    return Saved(
        user_ids=_unpack_strings("user_ids", tensors),
        item_ids=_unpack_strings("item_ids", tensors),
        users=tensors["users"].astype(np.int32),
        items=tensors["items"].astype(np.int32),
        values=tensors["values"].astype(np.float32),
        timestamps=tensors["timestamps"].astype(np.int64),
        user_forgotten_before=tensors["user_forgotten_before"].astype(np.int64),
        item_forgotten_before=tensors["item_forgotten_before"].astype(np.int64),
        user_features=msgspec.json.decode(tensors["user_features"].tobytes()),
        item_features=msgspec.json.decode(tensors["item_features"].tobytes()),
    )


def _pack_strings(name: str, strings: Iterable[str]) -> Tensors:
    encoded = [string.encode() for string in strings]
    ends = np.cumsum([len(string) for string in encoded], dtype=np.int64)
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}.ends": ends}


def _unpack_strings(name: str, tensors: Tensors) -> list[str]:
    content, ends = tensors[name].tobytes(), tensors[f"{name}.ends"].tolist()
    return [content[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]


def _pack_features(name: str, features: Mapping[int, Features], ids: IdTable) -> Tensors:
    by_id = {ids[row]: record for row, record in features.items()}
    return {name: np.frombuffer(msgspec.json.encode(by_id), np.uint8)}
