"""A secure Kafka that refuses says why: the password, the certificate, or which right is missing."""

import subprocess

import pytest

from streams import topics
from streams.errors import BrokerRefusedError, BrokerUnavailableError
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from tests.streams.brokers import eventually, kafka_home, own_cluster

pytestmark = [pytest.mark.real_broker, pytest.mark.broker, pytest.mark.prove]
GROUP = "shop-worker"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with own_cluster(tmp_path_factory.mktemp("secure"), "--secure") as found:
        admin = settings_of(found)
        topics.create(Admin(admin), admin)
        yield found


def settings_of(cluster, user="admin", *, without=(), **changes):
    """Return settings of a user; ``changes`` are settings of librdkafka with "_" for a dot."""
    kafka = {key: value for key, value in cluster.client.items() if key != "bootstrap.servers"}
    kafka |= {"sasl.username": user, "sasl.password": f"{user}-secret"}
    kafka |= {name.replace("_", "."): value for name, value in changes.items()}
    kafka = {key: value for key, value in kafka.items() if key not in without}
    return KafkaSettings(
        bootstrap_servers=cluster.address,
        prefix="shop-",
        broker_timeout_s=8,
        broker_patience_s=8,
        kafka=kafka,
    )


def grant(cluster, tmp_path, user, *what):
    """Grant a right as the errors tell to: with kafka-acls.sh."""
    config = tmp_path / "admin.properties"
    config.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\n"
        f"ssl.truststore.location={cluster.folder / 'ca.pem'}\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="admin" password="admin-secret";\n'
    )
    command = [kafka_home() / "bin" / "kafka-acls.sh", "--bootstrap-server", cluster.address]
    command += ["--command-config", config, "--add", "--allow-principal", f"User:{user}", *what]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def test_a_wrong_password_is_a_failed_authentication(cluster):
    wrong = settings_of(cluster, "worker", sasl_password="x")
    with pytest.raises(
        BrokerRefusedError, match=r"authentication at .* failed for user 'worker'.*credentials"
    ):
        Admin(wrong).partitions()


def test_an_unknown_certificate_is_a_tls_failure(cluster):
    unknown = settings_of(cluster, without=("ssl.ca.location",))
    with pytest.raises(BrokerRefusedError, match=r"no TLS connection to .*certificate.*ssl.ca.location"):
        Admin(unknown).partitions()


def test_a_client_without_tls_is_told_that_the_broker_may_expect_it(cluster):
    with pytest.raises(BrokerUnavailableError, match="does it expect TLS"):
        Admin(settings_of(cluster, security_protocol="SASL_PLAINTEXT")).partitions()


def test_topics_without_rights_are_not_missing(cluster):
    settings = settings_of(cluster, "gateway")
    with pytest.raises(BrokerRefusedError, match="'gateway' lacks the right Describe on topic shop-ratings"):
        topics.require(Admin(settings), settings)
    with pytest.raises(BrokerRefusedError, match="'gateway' lacks the right Create on topic shop-new"):
        Admin(settings).create([topics.NewTopic("shop-new", 1, -1)])


def test_each_missing_right_is_named_until_all_are_granted(cluster, tmp_path):
    settings, place = settings_of(cluster, "worker"), Partition("shop-ratings", 0)
    grant(cluster, tmp_path, "worker", "--operation", "Describe", "--topic", "shop-ratings")
    eventually(lambda: place.topic in Admin(settings).partitions())
    with pytest.raises(
        BrokerRefusedError, match="'worker' lacks the right DescribeConfigs on topic shop-ratings"
    ):
        Admin(settings).configs([place.topic])
    producer = Producer(settings)
    producer.send(Output(place.topic, b"u1", b"{}", 0))
    with pytest.raises(BrokerRefusedError, match="'worker' lacks the right Write on topic shop-ratings"):
        producer.flush()
    reader = Consumer(settings, group=GROUP, start="earliest")
    with pytest.raises(BrokerRefusedError, match=f"'worker' lacks the right Read on group {GROUP}"):
        reader.committed([place])
    reader.close()
    member = Consumer(settings, group=GROUP, start="earliest")
    member.subscribe([place.topic])
    with pytest.raises(BrokerRefusedError, match=f"'worker' lacks the right Read on group {GROUP}"):
        eventually(member.poll)
    member.close()
    reader = Consumer(settings, group=GROUP, start="earliest")
    reader.assign({place: 0})
    with pytest.raises(
        BrokerRefusedError, match=f"lacks the right Read on (topic {place.topic}|group {GROUP})"
    ):
        eventually(reader.poll)  # both are missing; either may be found first
    reader.close()
    grant(
        cluster, tmp_path, "worker", "--operation", "Read", "--operation", "Write", "--topic", "shop-ratings"
    )
    grant(cluster, tmp_path, "worker", "--operation", "Read", "--group", GROUP)

    def written():
        try:
            writer = Producer(settings)
            writer.send(Output(place.topic, b"u1", b"{}", 0))
            writer.flush()
        except BrokerRefusedError:
            return False
        return True

    eventually(written)
    reader = Consumer(settings, group=GROUP, start="earliest")
    reader.assign({place: 0})
    eventually(reader.poll)
    reader.mark_applied()

    def committed():  # a commit that the coordinator cannot do yet is made up for by the next
        reader.commit()
        return reader.committed([place])[place] > 0

    eventually(committed)
    reader.close()
