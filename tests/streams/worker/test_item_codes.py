"""Owned item codes are published if they differ from the topic; those of other workers are served."""

import dataclasses
import threading
import zlib
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
from random_models import random_model

from dch.models.codes import from_words
from dch.recommender import Recommender
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import ItemCode, decode_item_code
from streams.settings import WorkerSettings
from streams.worker.item_codes import ItemCodeTable

SETTINGS = WorkerSettings(partitions=2)
MODEL = random_model()
ITEMS = [f"i{row}" for row in range(8)]
OWNER = {item: partition_for(item.encode(), 2) for item in ITEMS}
OURS = [item for item in ITEMS if OWNER[item] == 0]
THEIRS = [item for item in ITEMS if OWNER[item] == 1]


@pytest.fixture
def recommender():
    return Recommender(MODEL)


def codes(recommender, owned=(0,)):
    found = ItemCodeTable(SETTINGS, recommender.state)
    found.owned = frozenset(owned)
    return found


def rate(recommender, items, rating=5.0, time=1):
    n = len(items)
    recommender.state.fold_in_items(recommender.state.events(["u0"] * n, items, [rating] * n, [time] * n))


def read(outputs):
    """Read outputs back as the tables thread would."""
    found = []
    for output in outputs:
        id_, code = decode_item_code(Record("item-codes", output.partition, 0, output.key, output.value, 0))
        found.append((id_, output.partition, code))
    return found


def served(recommender):
    return {hit.item for hit in recommender.recommend("nobody", k=50)}


def test_an_owned_item_that_changed_is_published_once(recommender):
    found = codes(recommender)
    rate(recommender, OURS)
    published = read(found.refresh())
    assert [id_ for id_, _, _ in published] == OURS
    assert all(partition == 0 for _, partition, _ in published)
    index = recommender.state.snapshot.item_index
    for id_, _, code in published:
        row = recommender.state.history.item_ids.row(id_)
        vector = index.view().vectors[row].tobytes().hex()
        assert code == ItemCode(1, code_of(recommender, id_).hex(), ratings=1, positives=1, vector=vector)
    rate(recommender, OURS, time=0)  # an older event changes nothing
    assert found.refresh() == []


def test_after_a_restart_only_codes_that_are_not_on_the_topic_are_published(recommender):
    rate(recommender, OURS)
    known = read(codes(recommender).refresh())
    again = Recommender(MODEL)
    found = codes(again)
    found.update(known[1:])
    rate(again, OURS)
    assert read(found.refresh()) == known[:1]


def test_codes_of_other_workers_are_served_and_owned_codes_are_not_overwritten(recommender):
    other = Recommender(MODEL)
    rate(other, ITEMS)
    published = read(codes(other, owned=(0, 1)).refresh())
    found = codes(recommender)
    rate(recommender, OURS, rating=1.0)
    found.refresh()
    mine = {item: code_of(recommender, item) for item in OURS}
    found.update(published)
    assert served(recommender) == set(ITEMS)
    assert {item: code_of(recommender, item) for item in OURS} == mine
    assert {item: code_of(recommender, item) for item in THEIRS} == {
        item: code_of(other, item) for item in THEIRS
    }


def code_of(recommender, item):
    row, index = recommender.state.history.item_ids.row(item), recommender.state.snapshot.item_index
    assert index.has_code(np.array([row]))[0]
    return from_words(index.view().words[row : row + 1], index.bits).tobytes()


def test_an_update_computes_no_checksum_of_an_item_that_is_known(recommender, monkeypatch):
    """The order of ties needs one checksum for each item and served model, and none for each record."""
    other, third = Recommender(MODEL), Recommender(random_model(generation=2, seed=2))
    for one in (other, third):
        rate(one, ITEMS)
    found = codes(recommender)
    found.update(read(codes(other, owned=(0, 1)).refresh()))
    rate(other, ITEMS, rating=1.0, time=2)
    found.expect(third.model)
    again, of_the_next_model = read(codes(other, owned=(0, 1)).refresh()), read(codes_of_all(third))
    calls = []
    crc32 = zlib.crc32
    monkeypatch.setattr("zlib.crc32", lambda *given: calls.append(given) or crc32(*given))
    found.update(again)
    found.update(of_the_next_model)
    found.update([(item, OWNER[item], None) for item in ITEMS])
    assert len(again) == len(of_the_next_model) == len(ITEMS)
    assert calls == []
    recommender.state.intern_items(["a new one"])
    recommender.state.item_codes(np.arange(1, dtype=np.int32))
    assert calls == [(b"a new one",)]  # so calls are counted


def test_features_of_another_workers_item_do_not_hide_its_code(recommender):
    other = Recommender(MODEL)
    rate(other, ITEMS)
    found = codes(recommender)
    found.update(read(codes(other, owned=(0, 1)).refresh()))
    recommender.state.set_item(THEIRS[0], {"title": "A title"})
    found.refresh()
    assert code_of(recommender, THEIRS[0]) == code_of(other, THEIRS[0])


def test_no_search_sees_another_workers_item_by_its_features_alone_meanwhile(recommender):
    """A record of features has it encoded here, without its ratings; the published code must stay served."""
    other = Recommender(MODEL)
    rate(other, ITEMS)
    found, index = codes(recommender), recommender.state.snapshot.item_index
    found.update(read(codes(other, owned=(0, 1)).refresh()))
    right = served_code_of(recommender, index.served, THEIRS[0])
    assert right is not None
    recommender.state.set_item(THEIRS[0], {"title": "A title"})
    with beside_a_search(index, found.refresh), index.reading() as served_now:
        assert served_code_of(recommender, served_now, THEIRS[0]) == right


def test_a_batch_of_the_topic_is_served_at_once(recommender):
    other, following = Recommender(MODEL), random_model(generation=2, seed=2)
    rate(other, ITEMS)
    known = [one for one in read(codes(other, owned=(0, 1)).refresh()) if one[0] in THEIRS]
    gone, index = (THEIRS[0], 1, None), recommender.state.snapshot.item_index
    found = codes(recommender)
    found.update(known[:1])
    of_next = (THEIRS[1], 1, of_size(following, "33"))
    records = [gone, *known, of_next, gone, *known[1:]]
    with beside_a_search(index, lambda: found.update(records)), index.reading() as served_now:
        listed = [served_code_of(recommender, served_now, item) is not None for item in THEIRS]
    assert listed == [False, *(True for _ in THEIRS[1:])]


def served_code_of(recommender, served_now, item):
    row = recommender.state.history.item_ids.row(item)
    return served_now.columns.words[row].tolist() if served_now.has_code(row) else None


@contextmanager
def beside_a_search(index, work):
    """Do some work in a thread while a search is held, which it must not wait for; then the block."""
    thread = threading.Thread(target=work)
    with index.reading():
        thread.start()
        thread.join(60)
        yield
        assert not thread.is_alive(), "it published more than once"
    thread.join(60)


def test_an_item_that_loses_its_ratings_is_removed_from_the_topic_and_from_lists(recommender):
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    rate(recommender, OURS[:1], rating=float("nan"), time=2)
    (gone,) = found.refresh()
    assert (gone.key, gone.value) == (OURS[0].encode(), None)
    other = Recommender(MODEL)
    their_codes = codes(other, owned=(1,))
    their_codes.update(read(codes_of_all(recommender)))
    assert set(OURS[1:]) == served(other)
    their_codes.update([(OURS[1], 0, None)])
    assert set(OURS[2:]) == served(other)


def codes_of_all(recommender):
    recommender.state.refresh_items()
    return changes(codes(recommender, owned=(0, 1)), recommender.state.snapshot)


def changes(found, snapshot):
    return [output for part in found.changes(snapshot) for output in part]


def test_codes_of_the_next_generation_wait_for_the_swap_and_those_of_the_previous_one_are_ignored(
    recommender,
):
    other = Recommender(random_model(generation=2, seed=2))
    rate(other, ITEMS)
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    found.expect(other.model)
    found.update(read(codes_of_all(other)))
    assert served(recommender) == set(OURS)
    snapshot = recommender.state.prepare(other.model)
    found.complete(snapshot)
    recommender.swap(snapshot)
    assert served(recommender) == set(ITEMS)
    assert code_of(recommender, THEIRS[0]) == code_of(other, THEIRS[0])
    past = Recommender(MODEL)
    rate(past, THEIRS)
    found.update(read(codes_of_all(past)))
    assert code_of(recommender, THEIRS[0]) == code_of(other, THEIRS[0])


def test_the_codes_that_other_workers_have_yet_to_publish_are_counted(recommender):
    other = Recommender(MODEL)
    rate(other, ITEMS)
    found = codes(recommender)
    found.update(read(codes(other, owned=(0, 1)).refresh()))
    assert found.n_missing(MODEL) == 0
    assert found.n_missing(random_model(generation=2)) == len(THEIRS)


@pytest.mark.parametrize("sizes", [{"vector_size": 0}, {"vector_size": 64}, {"bits": 128, "hidden": 128}])
def test_the_next_generation_may_have_another_shape(recommender, sizes):
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    other = Recommender(random_model(generation=2, **sizes))
    rate(other, ITEMS)
    snapshot = recommender.state.prepare(other.model)
    found.expect(other.model)
    assert [id_ for id_, _, _ in read(changes(found, snapshot))] == OURS
    assert found.n_missing(other.model) == 0  # the topic shows no items of other workers yet
    found.update(read(codes_of_all(other)))
    found.complete(snapshot)
    recommender.swap(snapshot)
    assert served(recommender) == set(ITEMS)


def test_codes_without_vectors_from_an_earlier_version_are_published_again(recommender):
    other = Recommender(MODEL)
    rate(other, ITEMS)
    published = read(codes(other, owned=(0, 1)).refresh())
    earlier = [
        (id_, partition, msgspec.structs.replace(code, vector="")) for id_, partition, code in published
    ]
    found = codes(recommender)
    found.update(earlier)
    rate(recommender, OURS)
    assert [id_ for id_, _, _ in read(found.refresh())] == OURS
    assert served(recommender) == set(OURS)
    found.update(published)
    assert served(recommender) == set(ITEMS)
    found.update(earlier)  # as if a worker of an earlier version had owned the items for a while
    assert [id_ for id_, _, _ in read(changes(found, recommender.state.snapshot))] == OURS


def test_items_that_moved_to_another_worker_keep_their_codes_and_titles(recommender):
    found = codes(recommender)
    recommender.state.set_item(OURS[0], {"title": "A title"})
    rate(recommender, OURS)
    found.refresh()
    before = {item: code_of(recommender, item) for item in OURS}
    found.owned = frozenset()
    recommender.state.release_items(found.items_of(frozenset({0})))
    found.refresh()
    assert {item: code_of(recommender, item) for item in OURS} == before
    row = recommender.state.history.item_ids.row(OURS[0])
    assert recommender.state.history.item_features[row] == {"title": "A title"}
    found.owned = frozenset({0})  # owned again: the replay of their ratings gives the same codes
    rate(recommender, OURS)
    assert found.refresh() == []
    assert {item: code_of(recommender, item) for item in OURS} == before


def vectors_of(recommender, items):
    return recommender.state.item_codes(recommender.state.item_rows(items)).vectors.tolist()


def test_codes_that_a_new_owner_wrote_before_the_loss_was_noticed_are_served_once_it_is(recommender):
    found, owner = codes(recommender), Recommender(MODEL)
    rate(recommender, OURS)
    found.refresh()
    before, n = vectors_of(recommender, OURS), len(OURS)
    owner.state.fold_in_items(owner.state.events(["u1"] * n, OURS, [5.0] * n, [2] * n))
    found.update(read(codes(owner).refresh()))
    assert vectors_of(recommender, OURS) == before  # it still counts as the owner
    found.owned = frozenset()
    recommender.state.release_items(found.items_of(frozenset({0})))
    found.serve_published_of(frozenset({0}))
    assert vectors_of(recommender, OURS) == vectors_of(owner, OURS) != before


def of_model(published, **changes):
    return [(id_, partition, msgspec.structs.replace(code, **changes)) for id_, partition, code in published]


def test_codes_of_thousands_of_unknown_models_take_no_memory(recommender):
    other = Recommender(MODEL)
    rate(other, ITEMS)
    published = read(codes(other, owned=(0, 1)).refresh())
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    n_bytes, n_items = found.nbytes, len(recommender.state.known_items())
    for generation in range(2, 5002):
        id_, partition, code = published[generation % len(published)]
        unknown = msgspec.structs.replace(code, generation=generation, generation_hash=f"{generation:012x}")
        found.update([(f"{id_}-{generation}", partition, unknown), (id_, partition, unknown)])
    assert (found.nbytes, len(recommender.state.known_items())) == (n_bytes, n_items)
    assert served(recommender) == set(OURS)
    found.update(published)
    assert served(recommender) == set(ITEMS)


def test_no_more_than_the_codes_of_two_models_are_kept_over_many_generations(recommender):
    found, sizes = codes(recommender), []
    rate(recommender, OURS)
    found.refresh()
    for generation in range(2, 12):
        other = Recommender(random_model(generation=generation, seed=generation))
        rate(other, ITEMS)
        found.expect(other.model)
        found.update(read(codes_of_all(other)))
        snapshot = recommender.state.prepare(other.model)
        changes(found, snapshot)
        sizes.append(found.nbytes)
        found.complete(snapshot)
        recommender.swap(snapshot)
        assert served(recommender) == set(ITEMS)
    assert len(set(sizes[1:])) == 1  # at first, fewer items were known


def test_codes_of_another_model_of_the_same_generation_are_never_served(recommender):
    rival = Recommender(dataclasses.replace(random_model(seed=3), generation_hash="aa" * 6))
    rate(rival, ITEMS)
    published = read(codes(rival, owned=(0, 1)).refresh())
    assert {code.generation_hash for _, _, code in published} == {"aa" * 6}
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    before = {item: code_of(recommender, item) for item in OURS}
    found.update(published)
    assert served(recommender) == set(OURS)
    assert {item: code_of(recommender, item) for item in OURS} == before
    again = read(changes(found, recommender.state.snapshot))
    assert [id_ for id_, _, _ in again] == OURS, "the rival replaced them on the topic"


def test_an_owned_code_that_the_topic_does_not_hold_any_more_is_published_at_the_swap(recommender):
    """While a worker waits with the next model, it publishes codes of the one in service over its own."""
    found, following = codes(recommender), random_model(generation=2, seed=2)
    rate(recommender, OURS)
    found.refresh()
    found.expect(following)
    of_next = read(changes(found, recommender.state.prepare(following)))
    assert [id_ for id_, _, _ in of_next] == OURS
    rate(recommender, OURS[:1], rating=1.0, time=2)
    in_service = read(found.refresh())
    assert [id_ for id_, _, _ in in_service] == OURS[:1]
    found.update([*of_next, *in_service])  # reads back its own records
    again = read(changes(found, recommender.state.prepare(following)))
    assert [id_ for id_, _, _ in again] == OURS[:1]


def test_other_workers_do_not_wait_for_an_item_that_the_next_model_gives_no_code(recommender):
    found = codes(recommender)
    rate(recommender, OURS)
    found.refresh()
    following = random_model(generation=2, seed=2)
    found.expect(following)
    snapshot = recommender.state.prepare(following)
    row = recommender.state.history.item_ids.row(OURS[0])
    snapshot.item_index.remove(np.array([row], np.int32))
    records = read(changes(found, snapshot))
    assert (OURS[0], 0, None) in records
    assert len(records) == len(OURS)


def test_while_codes_are_read_again_those_in_service_do_not_go_through_what_they_once_were(recommender):
    """The next model was unknown when they were read first: its codes are taken, and nothing else changes."""
    item, following = THEIRS[0], random_model(generation=2, seed=2)
    first, last, of_next = (of_size(MODEL, "11"), of_size(MODEL, "22"), of_size(following, "33"))
    history = [[(item, 1, code)] for code in (first, of_next, None, of_next, last)]
    found = codes(recommender)
    for records in history:
        found.update(records)
    before = code_of(recommender, item)
    found.expect(following)
    assert found.n_missing(following) == 1
    n_missing = []
    for records in history:
        found.update(records, are_repeated=True)
        assert code_of(recommender, item) == before
        assert served(recommender) == {item}
        n_missing.append(found.n_missing(following))
    assert n_missing == [1, 0, 1, 0, 0]  # a code in service does not replace one of the next model
    for records in history[:3]:
        found.update(records, are_repeated=True)
    found.update([(item, 1, None)])
    assert served(recommender) == set()
    assert recommender.state.n_codes()[1] == 0


def test_codes_that_are_read_again_after_the_swap_are_taken_for_the_model_that_is_in_service_now(recommender):
    item, following = THEIRS[0], random_model(generation=2, seed=2)
    found = codes(recommender)
    found.expect(following)
    snapshot = recommender.state.prepare(following)
    found.complete(snapshot)
    recommender.swap(snapshot)
    found.update([(item, 1, of_size(following, "33"))], are_repeated=True)
    assert served(recommender) == {item}
    found.update([(item, 1, None)], are_repeated=True)
    assert served(recommender) == set()


def of_size(model, byte):
    """Return an item code of a model with the same byte all over."""
    vector_size = model.item_tower.vector_size
    return ItemCode(model.generation, byte * (model.bits // 8), 1, 1, "01" * vector_size, "")
