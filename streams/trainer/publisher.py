"""Publish models as the active trainer: one of all trainers of a group, and fenced by the next one.

The active trainer is the owner of the partition of `models` in the consumer group of the trainers. It writes
pointers by a transactional producer, whose id is that of the group. A trainer that becomes active creates a
new one. From then on, the broker refuses the pointers of the trainer before, even if it does not know yet
that it lost the ownership. A rollback has the same id, see ``rollback``.

A broker forgets an id that was not used for ``transactional.id.expiration.ms`` (seven days), and then refuses
its producer for good. So an active trainer without a fit claims the id again every day.
"""

import logging
from pathlib import Path

from streams import artifacts, topics
from streams.errors import DeliveryError
from streams.kafka import Patience
from streams.kafka.ownership import Ownership
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import ModelPointer
from streams.metrics import TRAINER_ACTIVE
from streams.settings import TrainerSettings
from streams.trainer.rating_log import Watermarks
from streams.trainer.retention import remove_old

log = logging.getLogger("streams.trainer")

CLAIM_S = 24 * 3600.0
"""Age of a claim of the transactional id from which on it is renewed before the next fit begins."""


class Publisher:
    """The right to publish models, and their publication."""

    def __init__(self, settings: TrainerSettings, patience: Patience | None = None) -> None:
        self._settings, self._patience = settings, patience or Patience(settings.broker_patience_s)
        self._topic = settings.topic(topics.MODELS.name)
        self.group = settings.group_of("trainer")
        self._ownership = Ownership(settings, self._topic, self.group, self._patience)
        self._producer: TransactionalProducer | None = None
        self._claimed_at = 0.0
        self._published = ""  # checksum of the last model that this trainer published
        self._must_begin_again = False

    def poll(self, *, has_fit: bool = False) -> bool:
        """Return whether this trainer is the active one; call it often.

        Once it returns True, no earlier trainer can publish: all that they published is on the topic.

        Args:
            has_fit: whether a fit runs. Without one, an old claim is renewed: this returns False once.
        """
        self._must_begin_again |= not has_fit and self._has_old_claim()
        is_owner = self._ownership.poll() and not self._must_begin_again
        self._must_begin_again = False
        if not is_owner:
            self._producer = None
        elif self._producer is None:
            self._producer = TransactionalProducer(self._settings, self.group, self._patience)
            self._claimed_at = self._patience.now()
        TRAINER_ACTIVE.set(is_owner)
        return is_owner

    def note(self, pointer: ModelPointer | None) -> None:
        """Begin again as a standby if another process, such as a rollback, has published this model.

        It has fenced this trainer, which would else learn of it only when it publishes its next fit.
        """
        is_own = pointer is None or pointer.sha256 == self._published
        self._must_begin_again |= self._producer is not None and not is_own

    def publish(self, folder: Path, watermarks: Watermarks) -> None:
        """Upload an artifact, publish its pointer, and remove artifacts that are no longer needed.

        Raises:
            ArtifactError: the folder cannot be read, or the store cannot be written.
            DeliveryError: the pointer was not published; another trainer may be active now.
        """
        if self._producer is None:
            raise DeliveryError("this trainer is not the active one any more")
        pointer = artifacts.upload_model(self._settings.artifacts, folder, watermarks)
        self._send(self._producer, pointer)
        self._published = pointer.sha256
        log.info("generation published generation=%d location=%s", pointer.generation, pointer.location)
        remove_old(self._settings.artifacts, pointer, self._settings.keep_generations)

    def close(self) -> None:
        """Leave the group, so that a standby becomes active at once."""
        self._producer = None
        self._ownership.close()

    def _has_old_claim(self) -> bool:
        return self._producer is not None and self._patience.now() - self._claimed_at > CLAIM_S

    def _send(self, producer: TransactionalProducer, pointer: ModelPointer) -> None:
        try:
            producer.send_all([artifacts.pointer_output(self._settings, pointer)])
        except DeliveryError:
            self._must_begin_again = True  # begin again as a standby: another trainer may have published
            raise
