"""Write records in transactions: all of them become visible together, and only one process can write them.

Of all producers with one transactional id, the broker accepts only the newest one. The others are *fenced*:
their transactions are refused for good, however late they come.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    StoppedError,
    UnconfirmedError,
)
from streams.kafka.broker_errors import Right, error_of, error_text, is_retriable
from streams.kafka.config import PRODUCER_DEFAULTS, create_client, producer_config
from streams.kafka.patience import Patience, retry
from streams.kafka.problems import Problems
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from streams.settings.fixed_values import PRODUCER_FIXED

TRANSACTION_S = 60.0
"""Longest transaction; the broker aborts a longer one, such as that of a process that was killed."""

UNKNOWN = "it is not known whether the transaction was committed"


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
            DeliveryError: nothing was written: this producer was fenced, or the transaction was aborted.
            UnconfirmedError: it is not known whether all or nothing was written: a commit got no answer.
            StoppedError: the process was told to stop before that was known.
        """
        try:
            self._client.begin_transaction()
            for output in outputs:
                self._client.produce(output.topic, output.value, output.key)
        except KafkaException as cause:
            self._abort(cause)
            raise DeliveryError(f"the transaction was not committed: {error_text(cause)}") from cause
        self._commit()

    def _commit(self) -> None:
        """Commit; a commit that got no answer may have been made all the same."""
        n_tries = 0

        def commit(timeout_s: float) -> None:
            nonlocal n_tries
            n_tries += 1
            self._client.commit_transaction(timeout_s)

        try:
            retry(commit, self._patience, self._problems, serve=self._serve)
        except StoppedError as error:  # between two tries
            raise StoppedError(
                f"stopped before a commit was answered, so {UNKNOWN}; its topic shows that"
            ) from error
        except (BrokerUnavailableError, BrokerRefusedError) as error:
            cause = error.__cause__
            is_refused = isinstance(cause, KafkaException) and not is_retriable(error_of(cause))
            if self._abort(cause) or (n_tries == 1 and is_refused):
                raise DeliveryError(f"the transaction was not committed: {error}") from error
            raise UnconfirmedError(f"{UNKNOWN}: {error}") from error

    def _serve(self) -> None:
        self._client.poll(0)

    def _abort(self, error: BaseException | None) -> bool:
        """Abort, so that another transaction may begin, and return True; a fenced producer can do no more.

        Raises:
            UnconfirmedError: it cannot be aborted, for example because a commit is on its way.
        """
        if not isinstance(error, KafkaException) or error_of(error).fatal():
            return False
        try:
            self._client.abort_transaction(self._timeout_s)
        except KafkaException as second:
            raise UnconfirmedError(f"{UNKNOWN}, and it could not be aborted: {error_text(second)}") from error
        return True
