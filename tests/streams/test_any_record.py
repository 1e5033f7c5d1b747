"""Any record, on any topic, is applied or becomes a dead letter: none ends a role, and none freezes it.

The topics come from ``EVERY_TOPIC``, so that a new one is covered as soon as it is declared. Records begin
where messages became records; tests/streams/test_unreadable_headers.py has the bytes before that.
"""

import json
import math
import threading
from multiprocessing.reduction import ForkingPickler

import fsspec
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from random_models import random_model

from dch.recommender import Recommender
from streams.cli.held import held_of
from streams.cli.log_tools import as_json
from streams.errors import BadRecord
from streams.kafka import Partition
from streams.kafka.dead_letter_depth import DeadLetterDepth
from streams.kafka.dead_letters import dead_letter
from streams.kafka.records import Record
from streams.messages import DECODERS, ModelPointer
from streams.observer.observer import Observer
from streams.settings import TrainerSettings, WorkerSettings
from streams.topics import EVERY_TOPIC, TOPICS
from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
from streams.trainer.main import Trainer
from streams.trainer.source import Source
from streams.worker.context import FetchedModel, WorkerContext
from streams.worker.global_tables import GlobalTables
from streams.worker.ingest_loop import Ingest
from streams.worker.requests import Requests
from tests.streams.messages.records import decoded, headers, json_values
from tests.streams.worker.test_assignment import Log

NOW_MS = 1_700_000_000_000
NAMES = [topic.name for topic in TOPICS]
LETTERS = [topic.name for topic in EVERY_TOPIC if topic not in TOPICS]
LIST = {
    **{"kind": "list", "user": "u1", "partition": 0, "offset": 1, "time": NOW_MS, "items": ["i"]},
    **{"new_items": 0, "popularity": 1, "catalogue": 0, "strategy": "codes", "generation": 1},
    **{"cohort": "no_ratings", "arm": "default", "generation_hash": "00ff"},
}
FIELDS = {
    name
    for decode in DECODERS.values()
    for kind in [decode.__annotations__.get("return")]
    for name in getattr(kind, "__struct_fields__", ())
} | {
    "user",
    "item",
    "rating",
    "timestamp",
    "offset",
    "generation",
    "code",
    "positives",
    "vector",
    "location",
    *LIST,
}
NUMBERS = [0, -1, 1, 255, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 3.4e38, 1e39, 0.5, -0.0]
TEXTS = ["u1", "i1", "", "\0", "ü" * 200, "00", "ff" * 8, "0" * 64, "available", "٣", "9" * 5000, "1"]
LOCATIONS = ["http:", "s3:", "ftp://h/x", "simplecache::file:///tmp", "webhdfs://h/x", "/", "..", "a::b", "~"]
KEYS = [None, b"", b"u1", b'"u1"', b"\0" * 8, b"\0\0\0\0\x05\x04i2", b"model", b"\xff", b"\x01" * 300]

odd = st.sampled_from([*NUMBERS, *TEXTS, *LOCATIONS, None, True, [], {}, {"0": 2**63}, {"9" * 5000: 1}])
value_objects = st.dictionaries(st.sampled_from(sorted(FIELDS)), odd | json_values, max_size=8)


def nested(depth, opened="[", closed="]", field="x", fields=None):
    """Return JSON of these fields, and one more that holds this many levels of lists or objects."""
    deep = f'"{field}": ' + opened * depth + "1" + closed * depth
    return ("{" + ", ".join([json.dumps(fields)[1:-1], deep] if fields else [deep]) + "}").encode()


deep_values = st.builds(
    lambda depth, pair, field, fields: nested(depth, *pair, field, fields),
    st.integers(1, 1200),
    st.sampled_from([("[", "]"), ('{"a": ', "}")]),
    st.sampled_from(sorted(FIELDS)),
    value_objects,
)
values = (
    st.none()
    | st.binary(max_size=30)
    | value_objects.map(lambda found: json.dumps(found).encode())
    | deep_values
)
times = st.sampled_from([0, 1, 1000, NOW_MS, 253_402_300_799_999, 2**53, 2**63 - 1])
FAULT = "expected names in UTF-8, got b'\\xff'"
readable = st.tuples(headers, st.none()) | st.just(((), FAULT))
"""Headers, and what is wrong with them."""

records = st.builds(
    lambda headers, **parts: Record(**parts, headers=headers[0], fault=headers[1]),
    topic=st.sampled_from(NAMES),
    partition=st.just(0),
    offset=st.integers(0, 2**62),
    key=st.sampled_from(KEYS) | st.binary(max_size=12),
    value=values,
    timestamp_ms=times,
    headers=readable,
)
letters = st.builds(msgspec.structs.replace, records, topic=st.sampled_from(LETTERS))
CODE = {"generation": 1, "code": "00" * 8, "ratings": 1, "positives": 1}
POINTER = {"generation": 2, "location": "gen-2", "sha256": "00" * 32, "watermarks": {}, "trained_at": 1}
FIGURES = {NEWEST_NDCG: 0.1, IN_SERVICE_NDCG: 0.1}
RATING = {"user": "u1", "item": "i1", "rating": 5, "timestamp": NOW_MS, "offset": 1}


def record(topic, fields, key=b"u1", timestamp_ms=NOW_MS):
    return Record(topic, 0, 1, key, json.dumps(fields).encode(), timestamp_ms)


examples = [
    record("item-ratings", RATING | {"offset": 2**63}),
    record("item-ratings", RATING | {"offset": -1}),
    record("models", POINTER | {"generation": 2**63 - 1}),
    record("models", POINTER | {"trained_at": 2**63 - 1}),
    record("models", POINTER | {"watermarks": {"9" * 5000: 1}}),
    record("models", POINTER | {"watermarks": {"999999999999": 1}}),
    *(record("models", POINTER | {"metrics": FIGURES | {name: 10**400}}) for name in FIGURES),
    record("models", POINTER | {"metrics": FIGURES | {NEWEST_NDCG: True, IN_SERVICE_NDCG: [0.1]}}),
    *(record("models", POINTER | {"location": location}) for location in LOCATIONS),
    record("item-codes", CODE | {"generation": 2**63 - 1}),
    record("item-codes", CODE | {"ratings": 2**63 - 1, "positives": 2**63 - 1}),
    record("item-codes", CODE | {"code": "00" * 3, "vector": "00" * 5}),
    record("served", LIST | {"items": ["i"] * 2000}),
    record("served", LIST | {"popularity": 2**63 - 1}),
    record("served", LIST | {"strategy": "s" * 5000}),
    record("served", LIST),
    record("served", LIST | {"kind": "rating", "item": "i", "liked": True, "offset": 2**63}),
    record("observer-changelog", LIST | {"time": 2**63 - 1}),
    record("observer-changelog", [LIST, LIST | {"strategy": "gone"}]),
    record("observer-changelog", [LIST, [LIST]]),
    record("users", {"age": 10**400}, timestamp_ms=2**63 - 1),
    *(
        Record(name, 0, 1, b"u1", nested(depth, *pair), NOW_MS)
        for name in ("users", "items")
        for depth in (31, 32, 900, 1800)
        for pair in (("[", "]"), ('{"a": ', "}"))
    ),
    *(Record(name, 0, 1, b"u1", value, NOW_MS, (), FAULT) for name in NAMES for value in (None, b"{}")),
]


def with_examples(test):
    for found in examples:
        test = example(found)(test)
    return test


def numbers_in(found):
    """Yield the numbers of a decoded value; those in features and metrics are kept as they are."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        yield found
    elif isinstance(found, msgspec.Struct):
        for name in set(found.__struct_fields__) - {"features", "metrics"}:
            yield from numbers_in(getattr(found, name))
    elif isinstance(found, tuple | list):
        for one in found:
            yield from numbers_in(one)
    elif isinstance(found, dict):
        yield from numbers_in(list(found.values()))


def test_every_topic_has_a_decoder_or_holds_dead_letters():
    assert sorted(DECODERS) == sorted(NAMES)
    assert sorted(LETTERS) == sorted(topic.dead_letters.name for topic in TOPICS if topic.has_dead_letters)


@given(records)
@with_examples
@settings(max_examples=150)
def test_any_record_of_any_topic_decodes_to_values_within_bounds_or_is_a_bad_record(record):
    found = decoded(DECODERS[record.topic], record)
    assert record.fault is None or isinstance(found, BadRecord)
    if isinstance(found, BadRecord):
        assert len(str(found).encode()) < 500
        return
    for number in numbers_in(found):
        assert math.isfinite(number)
        assert not isinstance(number, int) or -1 <= number < 2**63 - 1
    str(found).encode()


class Active:
    """In place of the publisher: this trainer is the active one."""

    group = "trainer"

    def poll(self, *, has_fit=False):
        return True

    def note(self, pointer):
        pass


class Clients(Log):
    """A consumer and a producer in one, which accept everything."""

    def __init__(self, records=()):
        super().__init__()
        self.records, self.sent, self.n_waiting = list(records), [], 0

    def poll(self, timeout_s=0.0):
        found, self.records = self.records, []
        return found

    def send(self, output):
        self.sent.append(output)

    def nothing(self, *args, **kwargs):
        pass

    mark_applied = commit = flush = assign = pause = nothing

    def lag(self):
        return {}


@pytest.fixture(scope="module")
def roles(tmp_path_factory):
    return Roles(tmp_path_factory.mktemp("artifacts"))


class Roles:
    """The parts of a worker and of a trainer that apply records, without a broker."""

    def __init__(self, artifacts):
        model = random_model(bits=64, hidden=64)
        of_worker = WorkerSettings(partitions=1, artifacts=str(artifacts))
        pointer = ModelPointer(
            generation=1, location="gen-1", sha256="0" * 64, watermarks={}, trained_at=0, metrics={}
        )
        self.context = context = WorkerContext(of_worker, threading.Event())
        self.clients = clients = Clients()
        context.recommender = Recommender(model)
        self.ingest = Ingest(
            context, context.recommender, FetchedModel(model, pointer, 0.0), clients, clients
        )
        self.ingest._has_item_codes = True
        self.ingest._assigned([Partition(name, 0) for name in self.ingest._assignment.topics])
        context.serving = context.owned
        self.tables = GlobalTables(context, clients, clients)
        self.requests = Requests(context, clients, clients, clients)
        self.observer = Observer()
        self.observer.restored([0])
        of_trainer = TrainerSettings(partitions=1, artifacts=str(artifacts), refit_ratings=0)
        self.source = Source(of_trainer, clients)
        self.trainer = Trainer(of_trainer, self.source, Active(), threading.Event(), once=False)

    def apply(self, record):
        """Apply a record as every role that reads its topic does."""
        if record.topic in self.ingest._assignment.topics:
            self.ingest.process([record])
            self.ingest._gauges._updated_at = 0.0
            self.ingest._gauges.update([record], self.ingest._assignment.partitions())
            self.ingest.encode_items()
        elif record.topic == "requests":
            self.requests._answer_all([record])
        elif record.topic in {"items", "item-codes", "models"}:
            self.tables.process([record])
            self.tables._letters.commit(self.context.owned)
            self.ingest._apply_queued_tables()
            self.ingest.encode_items()
        elif record.topic == "served":
            self.observer.observe([record])
            self.observer.show()
        elif record.topic == "observer-changelog":
            self.observer.restore(record)
        if record.topic in {"ratings", "users", "items", "models"}:
            self.clients.records = [record]
            self.trainer._step()
            ForkingPickler.dumps(self.trainer._request())  # as to a child process


@given(records)
@with_examples
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_record_ends_a_role(roles, record):
    roles.apply(record)
    for output in roles.clients.sent:
        assert output.timestamp_ms is None or 0 <= output.timestamp_ms < 2**63
    roles.clients.sent.clear()


class FirstRecord(Clients):
    """A consumer of partitions that hold one record, which is retained."""

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, self.records[0].offset)

    def end_offsets(self, partitions):
        return dict.fromkeys(partitions, self.records[0].offset + 1)


@given(letters)
@settings(max_examples=100)
def test_no_record_on_a_topic_of_dead_letters_ends_what_looks_at_it(record):
    """The trainer looks how old the first one is; ``dch inspect`` and ``dch tail`` show them."""
    depth = DeadLetterDepth(FirstRecord([record])).look([Partition(record.topic, 0)])
    assert (depth[record.topic].n_records, depth[record.topic].oldest_ms) == (1, record.timestamp_ms)
    for side in ("user", "item"):
        held_of(side, "u1", lambda topic: [record] if topic.name == record.topic else [], 1)
    if record.timestamp_ms < 253_402_300_800_000:
        assert ("headers_fault" in json.loads(json.dumps(as_json(record)))) == (record.fault is not None)


@given(records)
def test_the_dead_letter_of_any_record_can_be_written(record):
    """Names of headers come from UTF-8 and go there again; what cannot be read is left out."""
    letter = dead_letter(record, BadRecord("value", "x"), group="worker")
    assert (letter.key, letter.value, letter.partition) == (record.key, record.value, record.partition)
    own = letter.headers[: len(record.headers)]
    assert list(own) == list(record.headers)
    assert record.fault is None or all(name.startswith("kafka_dlt-") for name, _ in letter.headers)


@pytest.mark.parametrize("location", [*LOCATIONS, "memory://x/gen-2", "file:///etc", "/etc", "gen-2/../../x"])
def test_nothing_outside_the_store_is_opened(roles, location, monkeypatch):
    opened, url_to_fs = [], fsspec.core.url_to_fs

    def spy(url, **kwargs):
        opened.append(url)
        return url_to_fs(url, **kwargs)

    monkeypatch.setattr(fsspec.core, "url_to_fs", spy)
    roles.apply(record("models", POINTER | {"location": location}, key=b"model"))
    artifacts = roles.context.settings.artifacts
    assert set(opened) <= {artifacts, f"{artifacts}/gen-000002-000000000000"}


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a": ', "}")])
@pytest.mark.parametrize("depth", [31, 32, *range(400, 1000, 50)])
@pytest.mark.parametrize("name", ["users", "items"])
def test_no_nesting_of_features_keeps_the_trainer_from_its_next_fit(roles, name, depth, pair):
    """A parser of JSON takes more levels than pickle. Hypothesis would raise the limits of both."""
    roles.apply(Record(name, 0, 1, b"deep", nested(depth, *pair), NOW_MS))
    known = roles.source.log._user_features if name == "users" else roles.source.log._item_features
    assert ("deep" in known) == (depth == 31)
    known.pop("deep", None)
    roles.clients.sent.clear()


def test_no_pointer_keeps_the_trainer_from_its_next_generation(roles):
    for generation in (2**63 - 1, 2**31 - 1, 10**9, 10**9 + 1):
        location = f"{roles.context.settings.artifacts}/gen-{generation}"
        roles.apply(record("models", POINTER | {"generation": generation, "location": location}))
    following = POINTER | {"generation": roles.source.next_generation}
    assert isinstance(decoded(DECODERS["models"], record("models", following)), ModelPointer)
