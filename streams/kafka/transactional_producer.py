"""Write records in transactions: all of them become visible together, and only one process can write them.

Of all producers with one transactional id, the broker accepts only the newest one. The others are *fenced*:
their transactions are refused for good, however late they come.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import DeliveryError
from streams.kafka.config import (
    PRODUCER_DEFAULTS,
    PRODUCER_REQUIRED,
    LastError,
    client_config,
    create_client,
    error_text,
)
from streams.kafka.offset_queries import retry_until_ready
from streams.kafka.records import Output
from streams.settings import KafkaSettings

TRANSACTION_S = 60.0
"""Longest transaction; the broker aborts a longer one, such as that of a process that was killed."""


class TransactionalProducer:
    """The newest producer with its transactional id; fences all earlier ones when it is created.

    Args:
        settings: broker addresses and timeouts.
        transactional_id: the id that all producers of which one may write have in common.

    Raises:
        BrokerUnavailableError: no broker answers, or it refuses the id.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._timeout_s = min(settings.delivery_timeout_s, TRANSACTION_S)
        self._last_error = LastError()
        required = PRODUCER_REQUIRED | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(TRANSACTION_S * 1000),
            "delivery.timeout.ms": int(self._timeout_s * 1000),
        }
        config = client_config(settings, self._last_error, PRODUCER_DEFAULTS, required)
        self._client = create_client(ConfluentProducer, config)
        retry_until_ready(self._client.init_transactions, settings, self._last_error)

    def send_all(self, outputs: Sequence[Output]) -> None:
        """Write records in one transaction; return once it is committed.

        Raises:
            DeliveryError: nothing was written: this producer was fenced, or the brokers do not answer.
        """
        try:
            self._client.begin_transaction()
            for output in outputs:
                self._client.produce(output.topic, output.value, output.key)
            self._client.commit_transaction(self._timeout_s)
        except KafkaException as error:
            self._abort(error)
            raise DeliveryError(f"the transaction was not committed: {error_text(error)}") from error

    def _abort(self, error: KafkaException) -> None:
        """Abort, so that another transaction may begin; a fenced producer can do no more."""
        if error.args[0].fatal():
            return
        try:
            self._client.abort_transaction(self._timeout_s)
        except KafkaException as second:
            raise DeliveryError(f"the transaction could not be aborted: {error_text(second)}") from error
