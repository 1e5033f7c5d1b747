"""Records of ``users`` and ``items``: features and tombstones. The key of a record is the id."""

from collections.abc import Mapping

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import id_text, key_id, short_repr


class FeatureRecord(msgspec.Struct, frozen=True):
    """The features of one user or item; None forgets the user or removes the item."""

    id: str
    features: Mapping[str, object] | None


def decode_user(record: Record) -> FeatureRecord:
    """Parse a record of ``users``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    return _decode(record, "user")


def decode_item(record: Record) -> FeatureRecord:
    """Parse a record of ``items``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    return _decode(record, "item")


def encode_features(features: Mapping[str, object] | None) -> bytes | None:
    """Return features as JSON; None becomes a tombstone."""
    return None if features is None else msgspec.json.encode(features)


def _decode(record: Record, id_field: str) -> FeatureRecord:
    id_ = key_id(record.key)
    if not record.value:  # some clients cannot send null, so an empty value is a tombstone too
        return FeatureRecord(id_, None)
    features = dict(open_record(record)[0])
    named = features.pop(id_field, id_)
    if id_text(named, id_field) != id_:
        raise BadRecord(id_field, f"expected the key {short_repr(id_)}, got {short_repr(named)}")
    return FeatureRecord(id_, features)
