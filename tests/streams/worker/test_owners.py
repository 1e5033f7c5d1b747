"""Owner partitions by row, against the partitioner."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.data.ids import IdTable
from streams.kafka.partitioner import partition_for
from streams.worker.owners import Owners

ids = st.lists(st.text("abc", min_size=1, max_size=3), max_size=8)


@given(st.lists(st.tuples(ids, ids), max_size=4))
def test_owners_are_those_of_the_partitioner_for_known_and_unknown_ids(steps):
    table = IdTable()
    owners = Owners(table.ids, 5)
    for met, asked in steps:
        table.intern_many(met)
        assert owners.all().tolist() == [owner_of(id_) for id_ in table]
        assert owners.ids_of(frozenset({1, 4})) == [id_ for id_ in table if owner_of(id_) in (1, 4)]
        found = owners.of(table.rows(asked), asked)
        assert found.tolist() == [owner_of(id_) for id_ in asked]
        assert found.dtype == np.int32


def test_the_owner_of_a_row_is_computed_once(monkeypatch):
    table, calls = IdTable(["a", "b"]), []
    monkeypatch.setattr("streams.worker.owners.partition_for", lambda *given: calls.append(given) or 1)
    owners = Owners(table.ids, 5)
    for _ in range(3):
        owners.of(table.rows(["b", "a", "b"]), ["b", "a", "b"])
    assert calls == [(b"a", 5), (b"b", 5)]


def owner_of(id_):
    return partition_for(id_.encode(), 5)
