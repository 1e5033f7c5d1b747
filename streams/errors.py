"""The errors of the Kafka side. Each class exists because some caller handles it differently.

StreamError
├── SettingsError           a wrong flag, variable or configuration file; exit 2
├── TopicError              a topic is missing or has wrong settings; exit 2
├── BadRecord               the record goes to dead letters; processing continues
│   └── RequestTooHeavy     only the client is told: nothing is wrong with the record
├── BrokerUnavailableError  no broker answered, or it failed; a role retries it, then exit 1
├── BrokerRefusedError      the log-in, the TLS connection or a right; no retry helps; exit 2
├── StoppedError            the role was told to stop while it waited or compiled kernels; exit 0
├── EmbeddedBrokerError     the embedded broker cannot run here; exit 1
├── DeliveryError           the role stops; after a restart it repeats the uncommitted records
│   ├── TimeRefusedError    dch publish says by how much the clock is ahead
│   └── UnconfirmedError    a rollback does not say that nothing was published
└── ReplyTimeout            raised to the client only
"""


class StreamError(Exception):
    """Base class of all errors that the Kafka side raises on purpose."""


class SettingsError(StreamError, ValueError):
    """A setting is wrong; the message names its flag and its environment variable."""


class TopicError(StreamError):
    """A topic is missing or differs from its definition; the message says which command to run."""


class BadRecord(StreamError, ValueError):  # noqa: N818 - it describes a record, not a fault of the program
    """A record that can never be processed. The message names the field at fault and what it holds.

    Args:
        field: the part at fault: ``value`` for the whole value, ``key``, a field name, or ``header <name>``.
        fault: what was expected and what was found.
        reason: the kind of fault, from a closed set; the label of the dead-letter counter.
    """

    def __init__(self, field: str, fault: str, *, reason: str = "field") -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.reason = reason


class RequestTooHeavy(BadRecord):
    """A request asks for more work than the settings of the worker allow; the message names the setting."""


class BrokerUnavailableError(StreamError):
    """No broker answered in time, or a request failed; the message names the addresses that were tried."""


class BrokerRefusedError(StreamError):
    """A broker answered and refused: a wrong password, a missing right, or no common TLS settings."""


class StoppedError(StreamError):
    """A role was told to stop while it waited for a broker. What it had not written stays uncommitted."""


class EmbeddedBrokerError(StreamError):
    """The embedded broker cannot run: its port is in use, its folder cannot be written, or it crashed."""


class DeliveryError(StreamError):
    """The broker did not acknowledge some records, so no offset that depends on them may be committed."""


class TimeRefusedError(DeliveryError):
    """The broker refused a record because it is stamped too far ahead of the broker's clock."""


class UnconfirmedError(DeliveryError):
    """No broker said whether it has committed a transaction; its topic shows that later."""


class ReplyTimeout(StreamError):  # noqa: N818 - the usual name in request-reply messaging
    """No reply arrived before the client's timeout."""
