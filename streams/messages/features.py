"""Records of ``users`` and ``items``: features and tombstones. The key of a record is the id."""

from collections.abc import Mapping

import msgspec

from dch.data.features import AVAILABLE, availability
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import id_text, short_repr
from streams.messages.keys import key_ids, may_be_integer, the_id
from streams.messages.times import own_time
from streams.settings import KeyForm


class FeatureRecord(msgspec.Struct, frozen=True):
    """The features of one user or item; None forgets the user or removes the item."""

    id: str
    features: Mapping[str, object] | None


def decode_user(record: Record, form: KeyForm = "auto") -> FeatureRecord:
    """Parse a record of ``users``; ``form`` says what keys of four or eight bytes are, see ``key_ids``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    return _decode(record, "user", form)


def decode_item(record: Record, form: KeyForm = "auto") -> FeatureRecord:
    """Parse a record of ``items``; ``form`` says what keys of four or eight bytes are, see ``key_ids``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    found = _decode(record, "item", form)
    if found.features is not None and availability(found.features) is None:
        value = short_repr(found.features[AVAILABLE])
        raise BadRecord(AVAILABLE, f"expected true or false, or pieces in stock, got {value}")
    return found


def encode_features(features: Mapping[str, object] | None) -> bytes | None:
    """Return features as JSON; None becomes a tombstone."""
    return None if features is None else msgspec.json.encode(features)


def _decode(record: Record, id_field: str, form: KeyForm) -> FeatureRecord:
    record.require_headers()
    own_time(record)
    if not record.value:  # some clients cannot send null, so an empty value is a tombstone too
        return FeatureRecord(the_id(record.key, id_field, form), None)
    ids = key_ids(record.key, id_field, form)
    features = dict(open_record(record)[0])
    named = features.pop(id_field, None)
    if named is None:
        return FeatureRecord(ids[0] if len(ids) == 1 else the_id(record.key, id_field, form), features)
    id_ = id_text(named, id_field)
    if ids and id_ not in ids and not may_be_integer(record.key, form, id_):
        expected = " or ".join(map(short_repr, ids))
        raise BadRecord(id_field, f"expected the key {expected}, got {short_repr(named)}")
    return FeatureRecord(id_, features)
