"""What can go wrong on the Kafka side, as a tree; each class exists because some caller acts on it.

StreamError
├── SettingsError           bad flags or environment; exit 2
├── TopicError              a topic is missing or differs; exit 2
├── BadRecord               -> dead letter, go on
├── BrokerUnavailableError  no broker answered at the start; exit 1
├── EmbeddedBrokerError     the embedded broker cannot run here; exit 1
├── DeliveryError           -> stop, restart, repeat
└── ReplyTimeout            raised to the asker only
"""


class StreamError(Exception):
    """Any error the Kafka side raises on purpose."""


class SettingsError(StreamError, ValueError):
    """A flag or an environment variable is wrong; the message names both."""


class TopicError(StreamError):
    """A topic is missing, or differs from its definition; the message says what to run."""


class BadRecord(StreamError, ValueError):  # noqa: N818 - it is data about a record, not a fault of the program
    """A record can never be processed; the message names the field at fault and what was found in it.

    Args:
        field: where in the record; ``value`` for all of it, ``key``, a field, or ``header <name>``.
        fault: what was expected and what was found there.
        reason: what kind of fault, from a closed set: the label of the dead-letter counter.
    """

    def __init__(self, field: str, fault: str, *, reason: str = "field") -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.reason = reason


class BrokerUnavailableError(StreamError):
    """No broker answered; the message names the addresses tried."""


class EmbeddedBrokerError(StreamError):
    """The embedded broker cannot run here: port in use, folder not writable, or it ended by itself."""


class DeliveryError(StreamError):
    """Records were not acknowledged by the broker, so nothing that depends on them may be committed."""


class ReplyTimeout(StreamError):  # noqa: N818 - the name that users of request and reply know
    """No reply came within the time the asker gave."""
