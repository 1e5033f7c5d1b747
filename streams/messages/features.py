"""Feature records: what is known of a user or an item beside its ratings. The id is the key of the record."""

from collections.abc import Mapping

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import id_text, shown


class FeatureRecord(msgspec.Struct, frozen=True):
    """The features of one user or item; None: forget the user, remove the item."""

    id: str
    features: Mapping[str, object] | None


def decode_user(record: Record) -> FeatureRecord:
    """Parse a record of ``users``.

    Raises:
        BadRecord: naming the field at fault and what was found in it.
    """
    return _decode(record, "user")


def decode_item(record: Record) -> FeatureRecord:
    """Parse a record of ``items``.

    Raises:
        BadRecord: naming the field at fault and what was found in it.
    """
    return _decode(record, "item")


def encode_features(features: Mapping[str, object] | None) -> bytes | None:
    """Return the JSON of a feature record; None is a tombstone."""
    return None if features is None else msgspec.json.encode(features)


def _decode(record: Record, id_field: str) -> FeatureRecord:
    id_ = key_id(record.key)
    if not record.value:  # some clients cannot send null: an empty value is a tombstone as well
        return FeatureRecord(id_, None)
    features = dict(open_record(record)[0])
    named = features.pop(id_field, id_)
    if id_text(named, id_field) != id_:
        raise BadRecord(id_field, f"expected the key {shown(id_)}, got {shown(named)}")
    return FeatureRecord(id_, features)


def key_id(key: bytes | None) -> str:
    """Return the id that the key of a record is.

    Raises:
        BadRecord: it is missing, no text, empty or too long.
    """
    if key is None:
        raise BadRecord("key", "missing", reason="key")
    try:
        return id_text(key.decode(), "key")
    except UnicodeDecodeError:
        raise BadRecord("key", f"expected UTF-8 text, got {shown(key)}", reason="key") from None
