"""Broker errors: their kind, whether they may pass, and the sentence that describes them."""

from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerRefusedError, BrokerUnavailableError, StreamError
from streams.settings import KafkaSettings

UNREACHABLE, MOVING = "unreachable", "moving"
AUTHENTICATION, AUTHORIZATION, TLS, OTHER = "authentication", "authorization", "tls", "other"

RETRIABLE = (UNREACHABLE, MOVING)
"""Kinds that pass by themselves: a broker restarts, hangs or is slow, or the brokers elect a leader."""

CODES = {
    UNREACHABLE: (
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._DESTROY_BROKER,  # the broker left the cluster's metadata while a request waited for it
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
    ),
    MOVING: (
        KafkaError._WAIT_COORD,
        KafkaError._UNKNOWN_PARTITION,  # a client that lost its broker knows no leader for a moment
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.KAFKA_STORAGE_ERROR,
    ),
    AUTHENTICATION: (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
    ),
    AUTHORIZATION: (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    TLS: (KafkaError._SSL,),
}
KIND_OF = {code: kind for kind, codes in CODES.items() for code in codes}

FINAL = (*CODES[AUTHENTICATION], *CODES[TLS])
"""Codes with which a broker does not let a client in. It would not let it in later either."""

TLS_SIGNS = ("SSL handshake failed", "SSL routines", "SSL listener")
"""What librdkafka writes about connections that fail by TLS with the code of a lost connection."""

NO_PROTOCOL_SIGN = "APIVERSION_QUERY"
"""A connection that ends in this state: the broker accepts it and closes it at the first request."""


FENCED_SIGN = "group.instance.id"
FENCED_HINT = ", with a group.instance.id (--kafka) that no other member of the group has"


class Right(NamedTuple):
    """A right that the authorizer of the brokers grants."""

    operation: str
    """As kafka-acls.sh names it: Read, Write, Describe, DescribeConfigs, Create or Delete."""

    resource: str
    """topic, group or transactional-id."""

    name: str
    """Its name."""


def kind_of(error: KafkaError) -> str:
    """Return the kind of an error, which is the label of ``dch_broker_errors_total``."""
    kind = KIND_OF.get(error.code(), OTHER)
    return TLS if kind == UNREACHABLE and any(sign in error.str() for sign in TLS_SIGNS) else kind


def is_retriable(error: KafkaError) -> bool:
    """Tell whether the same request may succeed later."""
    return not is_fatal(error) and (kind_of(error) in RETRIABLE or bool(error.retriable()))


def is_fatal(error: KafkaError) -> bool:
    """Tell whether the client can do nothing any more. The error callback says so by the code alone."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL


def error_of(cause: KafkaException) -> KafkaError:
    """Return librdkafka's error in an exception."""
    found: KafkaError = cause.args[0]
    return found


def error_text(cause: KafkaException) -> str:
    """Return librdkafka's description of an error."""
    return str(error_of(cause).str())


def unavailable(settings: KafkaSettings, waited_s: float, details: str) -> BrokerUnavailableError:
    """Return the error to raise if no broker answered for some seconds."""
    return BrokerUnavailableError(
        f"no broker at {settings.bootstrap_servers} answered within {waited_s:g} s"
        f"{details and f' ({details})'}; is it running, and is --bootstrap-servers right? "
        "to start one here: dch broker start --data DIR"
    )


def failed(settings: KafkaSettings, error: KafkaError, right: Right | None = None) -> StreamError:
    """Return the error to raise if a broker answered, and refused or failed.

    Args:
        settings: settings with the addresses and the user.
        error: librdkafka's error.
        right: the right that the request needs.
    """
    if kind_of(error) == AUTHORIZATION and right is not None:
        return _missing_right(settings, right, error)
    if is_fatal(error):
        return BrokerUnavailableError(
            f"a client of {settings.bootstrap_servers} failed for good: {error.str()}; "
            f"start this process again{FENCED_HINT if FENCED_SIGN in error.str() else ''}"
        )
    return BrokerUnavailableError(f"the broker at {settings.bootstrap_servers} refused: {error.str()}")


def refused(settings: KafkaSettings, kind: str, reason: str) -> BrokerRefusedError:
    """Return the error to raise if no broker lets this client in: wrong credentials, or TLS fails."""
    servers = settings.bootstrap_servers
    if kind == AUTHENTICATION:
        return BrokerRefusedError(
            f"authentication at {servers} failed for {_user(settings)}: {reason}; check sasl.username, "
            "sasl.password and sasl.mechanism (--kafka KEY=VALUE or DCH_KAFKA_...)"
        )
    return BrokerRefusedError(
        f"no TLS connection to {servers}: {reason}; check security.protocol and ssl.ca.location "
        "(--kafka KEY=VALUE or DCH_KAFKA_...)"
    )


def _missing_right(settings: KafkaSettings, right: Right, error: KafkaError) -> BrokerRefusedError:
    user, servers = settings.kafka.get("sasl.username", "ANONYMOUS"), settings.bootstrap_servers
    return BrokerRefusedError(
        f"{_user(settings)} lacks the right {right.operation} on "
        f"{right.resource} {right.name} at {servers} ({error.name()}); to grant it: kafka-acls.sh "
        f"--bootstrap-server {servers} --add --allow-principal User:{user} "
        f"--operation {right.operation} --{right.resource} {right.name}"
    )


def _user(settings: KafkaSettings) -> str:
    name = settings.kafka.get("sasl.username")
    return "this client, which names no user," if name is None else f"user {name!r}"
