"""Write records in transactions: all of them become visible together, and only one process can write them.

Of all producers with one transactional id, the broker accepts only the newest one. The others are *fenced*:
their transactions are refused for good, however late they come.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import BrokerRefusedError, BrokerUnavailableError, DeliveryError
from streams.kafka.broker_errors import Right, error_of, error_text
from streams.kafka.config import PRODUCER_DEFAULTS, create_client, producer_config
from streams.kafka.patience import Patience, retry
from streams.kafka.problems import Problems
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from streams.settings.fixed_values import PRODUCER_FIXED

TRANSACTION_S = 60.0
"""Longest transaction; the broker aborts a longer one, such as that of a process that was killed."""


class TransactionalProducer:
    """The newest producer with its transactional id; fences all earlier ones when it is created.

    Args:
        settings: broker addresses and timeouts.
        transactional_id: the id that all producers of which one may write have in common.
        patience: how long to wait for a broker that is away; None is ``broker_patience_s``.

    Raises:
        BrokerUnavailableError: no broker answers in time.
        BrokerRefusedError: the right to use the id is missing.
        StoppedError: the process was told to stop.
    """

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, patience: Patience | None = None
    ) -> None:
        patience = patience or Patience(settings.broker_patience_s)
        self._patience = patience.at_most(TRANSACTION_S)
        self._timeout_s = self._patience.limit_s
        self._problems = Problems(settings, patience.suspect)
        fixed = {
            **PRODUCER_FIXED,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(TRANSACTION_S * 1000),
            "delivery.timeout.ms": int(self._timeout_s * 1000),
        }
        config = producer_config(settings, self._problems, PRODUCER_DEFAULTS, fixed)
        self._client = create_client(ConfluentProducer, config)
        right = Right("Write", "transactional-id", transactional_id)
        retry(self._client.init_transactions, patience, self._problems, right=right, serve=self._serve)

    def send_all(self, outputs: Sequence[Output]) -> None:
        """Write records in one transaction; return once it is committed.

        Raises:
            DeliveryError: nothing was written: this producer was fenced, or the brokers do not answer.
        """
        try:
            self._client.begin_transaction()
            for output in outputs:
                self._client.produce(output.topic, output.value, output.key)
            retry(self._client.commit_transaction, self._patience, self._problems, serve=self._serve)
        except KafkaException as cause:
            self._abort(cause)
            raise DeliveryError(f"the transaction was not committed: {error_text(cause)}") from cause
        except (BrokerUnavailableError, BrokerRefusedError) as error:
            if isinstance(error.__cause__, KafkaException):
                self._abort(error.__cause__)
            raise DeliveryError(f"the transaction was not committed: {error}") from error

    def _serve(self) -> None:
        self._client.poll(0)

    def _abort(self, error: KafkaException) -> None:
        """Abort, so that another transaction may begin; a fenced producer can do no more."""
        if error_of(error).fatal():
            return
        try:
            self._client.abort_transaction(self._timeout_s)
        except KafkaException as second:
            raise DeliveryError(f"the transaction could not be aborted: {error_text(second)}") from error
