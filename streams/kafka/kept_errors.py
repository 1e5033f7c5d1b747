"""Keep what a callback raises, until the caller of librdkafka can raise it as itself.

confluent-kafka cannot hand on every exception of a callback: some arrive as a ``SystemError`` without the
cause, and some as a ``KafkaError``, which is no exception and passes by every ``except``.
"""

from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class KeptErrors:
    """The first error of the callbacks of one client. Only the polling thread uses it."""

    def __init__(self) -> None:
        self._first: BaseException | None = None
        self.is_in_callback = False
        """Whether a callback runs. Then nothing may ask this client for the metadata of the cluster: by that,
        confluent-kafka 2.16 forgets in which call it is, and the next callback of the call aborts the process
        ("CallState_get: Assertion `cs != NULL' failed")."""

    def guard(self, callback: Callable[P, object]) -> Callable[P, None]:
        """Return a callback that raises nothing."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            self.is_in_callback = True
            try:
                callback(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - also what ends a thread must get past librdkafka
                self._first = self._first or error
            finally:
                self.is_in_callback = False

        return guarded

    def raise_first(self) -> None:
        """Raise the first error since the last call, if there was one."""
        error, self._first = self._first, None
        if error is not None:
            raise error
