"""The consumer of Faust in a daemon thread, because it cannot be ended while a broker is away."""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from mode.threads import WorkerThread


class DaemonThread(WorkerThread):
    """A thread of Faust that ends with the process."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - those of Faust
        super().__init__(*args, **options)
        self.daemon = True


class DaemonConsumerThread(AIOKafkaConsumerThread):
    """The thread of a consumer, as a daemon."""

    Worker = DaemonThread


class DaemonConsumer(Consumer):
    """A consumer of Faust whose thread is a daemon."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return DaemonConsumerThread(self, loop=self.loop, beacon=self.beacon)
