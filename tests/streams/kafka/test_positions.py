"""What a consumer has read, what of it may be committed, and when it is at the end, on both brokers."""

import pytest
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.kafka.replay import ReplayProgress
from streams.topics import NewTopic
from tests.streams import transactions
from tests.streams.brokers import eventually


@pytest.fixture
def topic(settings, prefix):
    admin = Admin(settings)
    admin.create([NewTopic(prefix + "log", 2, -1)])
    yield prefix + "log"
    admin.delete([prefix + "log"])


@pytest.fixture
def consumer(settings):
    found = Consumer(settings, group=settings.prefix + "reader", start="earliest", fill_s=0)
    yield found
    found.close()


def outputs(topic, n, partition=0):
    return [Output(topic, b"k", b"%d" % at, partition) for at in range(n)]


def send(settings, topic, n, partition=0):
    producer = Producer(settings, linger_ms=0)
    for output in outputs(topic, n, partition):
        producer.send(output)
    producer.flush()


def read(consumer, until):
    """Poll until a condition holds; return the records."""
    found = []
    eventually(lambda: found.extend(consumer.poll(0.05)) or until())
    return found


@pytest.mark.parametrize(("how", "n_read", "end"), [("commit", 6, 7), ("abort", 1, 7), ("open", 1, 1)])
def test_a_replay_reaches_the_end_behind_a_transaction(settings, topic, consumer, how, n_read, end):
    place = Partition(topic, 0)
    send(settings, topic, 1)
    kept = transactions.write(settings, outputs(topic, 5), how)
    eventually(lambda: consumer.end_offsets([place]) == {place: end})
    progress = ReplayProgress()
    progress.begin(consumer, {place: BEGINNING, Partition(topic, 1): BEGINNING})
    assert progress.waits_for(place)
    found = []
    while not progress.is_done():
        found += consumer.poll(0.05)
        progress.note(consumer)
    assert len(found) == n_read
    assert consumer.position(place) == end
    eventually(lambda: consumer.poll(0.05) or consumer.lag()[place].n_records == 0)
    transactions.end(kept, "abort" if how == "open" else "none")


def test_the_lag_counts_records_and_no_markers(settings, topic, consumer):
    place = Partition(topic, 0)
    consumer.assign({place: BEGINNING})
    transactions.write(settings, outputs(topic, 3), "commit")
    read(consumer, lambda: consumer.position(place) == 4)
    assert consumer.lag()[place].n_records == 0
    send(settings, topic, 2)
    read(consumer, lambda: consumer.position(place) == 6)
    assert consumer.lag()[place].n_records == 0


def test_an_end_counts_from_the_assignment_on(settings, topic, consumer):
    place = Partition(topic, 0)
    send(settings, topic, 2)
    consumer.assign({place: BEGINNING})
    read(consumer, lambda: consumer.is_at_end(place))
    assert consumer.position(place) == 2
    consumer.assign({place: 1})
    assert not consumer.is_at_end(place)
    assert consumer.position(place) is None
    consumer.poll(0)  # the client may still know its position from before
    assert consumer.position(place) in (None, 2)
    assert len(read(consumer, lambda: consumer.is_at_end(place))) <= 1


@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
@pytest.mark.broker
@pytest.mark.real_broker
def test_where_retention_has_deleted_the_next_records_the_first_kept_one_is_read(settings, topic, consumer):
    place = Partition(topic, 0)
    send(settings, topic, 5)
    client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for deleted in client.delete_records([TopicPartition(topic, 0, 3)]).values():
        assert deleted.result().low_watermark == 3
    consumer.assign({place: 1})
    found = read(consumer, lambda: consumer.position(place) == 5)
    assert [record.offset for record in found] == [3, 4]


def test_only_applied_records_are_committed_even_when_a_member_is_closed(settings, topic):
    place = Partition(topic, 0)

    def member(**kwargs):
        found = Consumer(settings, group=settings.prefix + "member", start="earliest", **kwargs)
        found.subscribe([topic], on_revoke=lambda partitions: found.commit())
        return found

    send(settings, topic, 3)
    first = member(max_records=2)
    before = read(first, lambda: (first.position(place) or 0) > 0)
    first.mark_applied()
    read(first, lambda: first.position(place) == 3)
    first.close()
    second = member()
    assert second.committed([place]) == {place: len(before)}
    again = read(second, lambda: second.position(place) == 3)
    assert [record.offset for record in again] == list(range(len(before), 3))
    second.close()
    assert 1 <= len(before) <= 2


def test_partitions_with_records_that_are_held_back_are_not_committed(settings, topic, consumer):
    places = [Partition(topic, 0), Partition(topic, 1)]
    for number in (0, 1):
        send(settings, topic, 2, number)
    consumer.assign(dict.fromkeys(places, BEGINNING))
    read(consumer, lambda: all(consumer.position(place) == 2 for place in places))
    consumer.mark_applied(skip=[places[1]])
    consumer.commit()
    assert consumer.committed(places) == {places[0]: 2, places[1]: 0}
    consumer.mark_applied(waiting={places[1]: 1})
    consumer.commit()
    assert consumer.committed(places) == {places[0]: 2, places[1]: 1}
    consumer.mark_applied()
    consumer.commit()
    assert consumer.committed(places) == dict.fromkeys(places, 2)


def test_a_committed_offset_never_moves_back(settings, topic, consumer):
    place = Partition(topic, 0)
    send(settings, topic, 4)
    consumer.assign({place: BEGINNING})
    read(consumer, lambda: consumer.position(place) == 4)
    consumer.mark_applied()
    consumer.commit()
    behind = Consumer(settings, group=settings.prefix + "reader", start="earliest", max_records=1, fill_s=0)
    behind.assign({place: BEGINNING})
    read(behind, lambda: behind.position(place) == 2)
    behind.mark_applied()
    behind.commit()
    assert behind.committed([place]) == {place: 4}
    send(settings, topic, 1)
    read(behind, lambda: behind.position(place) == 5)
    behind.mark_applied()
    behind.commit()
    assert behind.committed([place]) == {place: 5}
    behind.close()


def test_a_committed_offset_beyond_the_end_is_moved_back_to_it(settings, topic, clients, consumer, caplog):
    """As after an unclean election: the log has lost its last records."""
    places = [Partition(topic, 0), Partition(topic, 1)]
    send(settings, topic, 4)
    clients[0].commit(offsets=[TopicPartition(topic, 0, 9)], asynchronous=False)
    assert consumer.committed(places) == {places[0]: 9, places[1]: 0}
    found = consumer.committed_within(places)
    assert found[places[0]] == 4
    assert found[places[1]] < 0
    assert consumer.committed(places) == {places[0]: 4, places[1]: 0}
    assert f"end of {topic}[0] from=9 to=4" in caplog.text
    consumer.assign({places[0]: 4})
    send(settings, topic, 1)
    read(consumer, lambda: consumer.position(places[0]) == 5)
    consumer.mark_applied()
    consumer.commit()
    assert consumer.committed_within(places[:1]) == {places[0]: 5}


def test_an_end_that_was_read_is_not_taken_for_a_later_one(settings, topic, consumer):
    place, progress = Partition(topic, 0), ReplayProgress()
    send(settings, topic, 2)
    progress.begin(consumer, {place: BEGINNING})
    read(consumer, lambda: consumer.is_at_end(place) and consumer.position(place) == 2)
    progress.note(consumer)
    assert progress.is_done()
    send(settings, topic, 1)
    progress.expect({place: 2}, consumer.end_offsets([place]))
    progress.note(consumer)  # nothing was polled meanwhile
    assert progress.waits_for(place)
    read(consumer, lambda: progress.note(consumer) or progress.is_done())
    assert consumer.position(place) == 3


def test_the_end_of_an_empty_partition_is_committed_so_that_a_new_group_is_told_from_an_old_one(
    topic, consumer
):
    place = Partition(topic, 0)
    assert consumer.committed_within([place])[place] < 0
    assert consumer.committed([place]) == {place: 0}
    consumer.assign({place: 0})
    read(consumer, lambda: consumer.is_at_end(place))
    consumer.mark_applied()
    consumer.commit()
    assert consumer.committed_within([place]) == {place: 0}


def test_a_member_confirms_its_membership_without_a_change_of_what_is_committed(settings, topic):
    place = Partition(topic, 0)
    send(settings, topic, 2)
    member = Consumer(settings, group=settings.prefix + "member", start="earliest", fill_s=0)
    member.subscribe([topic])
    assert member.confirm_membership()  # of nothing
    read(member, lambda: member.position(place) == 2)
    assert member.confirm_membership()
    assert member.committed([place]) == {place: 0}
    member.mark_applied()
    member.commit()
    assert member.confirm_membership()
    assert member.committed([place]) == {place: 2}
    member.close()


class RebalancingClient(ConfluentConsumer):
    """A client in which a rebalance happens while a batch is collected."""

    def __init__(self, config):
        super().__init__(config)
        self.is_due, self.callbacks, self.assigned = True, {}, []

    def consume(self, n, timeout_s):
        messages = super().consume(n, timeout_s)
        if self.is_due:
            self.is_due = False
            for name in ("on_revoke", "on_assign"):
                self.rebalance(name)
        return messages

    def rebalance(self, name):
        """Call a callback for all partitions."""
        self.callbacks[name](self, self.places)

    def subscribe(self, topics, **callbacks):
        self.places, self.callbacks = [TopicPartition(*topics, 0)], callbacks

    def assign(self, partitions):
        self.assigned.append(list(partitions))
        super().assign(partitions)


def test_records_from_before_a_rebalance_within_a_poll_are_read_again(settings, topic, monkeypatch):
    place, made = Partition(topic, 0), []
    send(settings, topic, 5)

    def create(config):
        made.append(RebalancingClient(config))
        return made[-1]

    monkeypatch.setattr("streams.kafka.lasting_client.ConfluentConsumer", create)
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest", fill_s=0)
    consumer.subscribe([topic], on_assign=lambda partitions: {place: BEGINNING})
    (client,) = made
    client.rebalance("on_assign")
    client.assigned.clear()
    polls = []

    def is_rebalanced():
        polls.append(consumer.poll(0.05))
        return client.assigned

    eventually(is_rebalanced)
    assert polls[-1] == []
    assert len(client.assigned) == 2  # by the callback, and again after the batch was dropped
    found = read(consumer, lambda: consumer.position(place) == 5)
    assert [record.offset for record in found] == list(range(5))
    consumer.close()
