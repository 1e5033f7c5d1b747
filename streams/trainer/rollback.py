"""Go back to an earlier model: publish its artifact once more, as the next generation.

Generations only grow, so that pointers and item codes of any age can be told apart. A rollback is therefore a
new generation with the weights of an old one.

It publishes as trainers do, by the transactional id of their group. Whatever can fail comes first: the copy
is in the store before the id is claimed. The claim fences the active trainer, so that a fit which began
before cannot undo the rollback. The trainer reads the new pointer, drops that fit, and claims the id again.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec

from dch.artifact import save_model
from streams import artifacts, topics
from streams.errors import DeliveryError, StreamError, UnconfirmedError
from streams.kafka import Consumer, Partition, Patience
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import ModelPointer
from streams.settings import TrainerSettings
from streams.trainer.published import Published, in_service, is_loadable, is_stored, read_published


class RollbackError(StreamError):
    """No rollback was published; the message says why, and what can be done."""


def roll_back(settings: TrainerSettings, to: int | None = None) -> ModelPointer:
    """Publish the artifact of an earlier generation under the next number; return its pointer.

    Ratings count towards the next refit from now on. That refit starts from the copied weights, and learns
    from all ratings that these have not seen.

    Args:
        settings: brokers, store, and the group of the trainers.
        to: the generation to go back to; None takes the one before that in service.

    Raises:
        RollbackError: there is no such generation, its artifact was removed or is corrupt, or another process
            published.
        StoreError: the store cannot be read or written.
        DchError: the artifact cannot be read.
        BrokerUnavailableError, BrokerRefusedError: as for ``TransactionalProducer``.
    """
    history = read_published(settings)
    current = _in_service(settings, history)
    chosen = _first_loadable(
        settings, choose(history, current, to), [found for found in history if found is not current]
    )
    newest = history[-1].pointer
    copy = _upload_copy(settings, chosen, generation=newest.generation + 1)
    pointer = msgspec.structs.replace(
        copy,
        watermarks=chosen.pointer.watermarks,
        trained_at=chosen.pointer.trained_at,
        metrics=chosen.pointer.metrics,
        rolled_back_from=current.pointer.generation,
        rolled_back_to=chosen.original,
        counted_from=_ends_of_ratings(settings),
    )
    _publish(settings, pointer, newest)
    return pointer


def choose(history: Sequence[Published], current: Published, to: int | None) -> Sequence[Published]:
    """Return the models to go back to, best first: the first that can be loaded is taken.

    Without ``to`` it is the newest one before that in service, except those that were rolled back from. After
    a rollback from 8 to 7, that is 6: the model in service is that of 7.

    Args:
        history: all published models, in the order of their generations.
        current: that in service.
        to: a generation, or None.

    Raises:
        RollbackError: there is none.
    """
    others = [found for found in history[::-1] if found is not current]
    left = {found.pointer.rolled_back_from for found in history}
    if to is None:
        before = [found for found in others if found.pointer.generation < current.original]
        good = [found for found in before if found.pointer.generation not in left]
        if not good:
            raise RollbackError(
                f"there is no model before that of generation {current.original}, which is in service; to "
                "choose one yourself: dch models rollback --to N"
            )
        return good
    if to in (current.pointer.generation, current.original):
        raise RollbackError(f"the model of generation {to} is in service already; see: dch models list")
    if wanted := [found for found in others if found.pointer.generation == to]:
        return wanted
    numbers = ", ".join(str(found.pointer.generation) for found in history[-10:])
    raise RollbackError(f"there is no generation {to} to go back to; the newest ones are {numbers}")


def _in_service(settings: TrainerSettings, history: Sequence[Published]) -> Published:
    if not history:
        raise RollbackError("no model was published yet, so there is none to go back to")
    if (found := in_service(settings, history)) is None:
        raise RollbackError(
            f"the store {settings.artifacts} holds none of the published models that can be loaded; check "
            "--artifacts, and see: dch models list"
        )
    return found


def _first_loadable(
    settings: TrainerSettings, wanted: Sequence[Published], others: Sequence[Published]
) -> Published:
    """Return the first of the wanted models that can be loaded."""
    for found in wanted:
        if is_loadable(settings, found.pointer):
            return found
    stored = [found.pointer for found in others if is_loadable(settings, found.pointer)]
    left = ", ".join(str(pointer.generation) for pointer in stored) or "none"
    raise RollbackError(
        f"the artifact of generation {wanted[0].pointer.generation} {_fault(settings, wanted[0].pointer)}; "
        f"other generations that are still there: {left}"
    )


def _fault(settings: TrainerSettings, pointer: ModelPointer) -> str:
    """Return why a model cannot be loaded."""
    if is_stored(settings, pointer):
        return f"in the store {settings.artifacts} is corrupt, or not that of the published pointer"
    return (
        f"is not in the store {settings.artifacts}: the trainer keeps the newest generations only "
        "(--keep-generations)"
    )


def _upload_copy(settings: TrainerSettings, chosen: Published, generation: int) -> ModelPointer:
    """Store the model of a pointer under another number; its content and so its checksum change."""
    model = artifacts.load_announced(settings.artifacts, chosen.pointer)
    with tempfile.TemporaryDirectory(prefix="dch-rollback-") as scratch:
        save_model(folder := Path(scratch) / "artifact", replace(model, generation=generation))
        return artifacts.upload_model(settings.artifacts, folder, {})


def _ends_of_ratings(settings: TrainerSettings) -> Mapping[str, int]:
    topic, patience = settings.topic(topics.RATINGS.name), Patience(settings.broker_timeout_s)
    partitions = [Partition(topic, number) for number in range(settings.partitions)]
    group = f"{settings.prefix}models"
    with closing(Consumer(settings, group=group, start="earliest", patience=patience)) as consumer:
        ends = consumer.end_offsets(partitions)
    return {str(one.partition): end for one, end in ends.items()}


def _publish(settings: TrainerSettings, pointer: ModelPointer, before: ModelPointer) -> None:
    """Publish a pointer unless another one was published since ``before``."""
    patience = Patience(settings.broker_timeout_s)
    producer = TransactionalProducer(settings, settings.group_of("trainer"), patience)
    # From here on no earlier trainer can publish, so what it published is on the topic now.
    newest = read_published(settings)[-1].pointer
    if newest.sha256 != before.sha256:
        raise RollbackError(
            f"generation {newest.generation} was published meanwhile, so nothing was rolled back; look at it "
            "with: dch models list, then run the rollback again"
        )
    try:
        producer.send_all([artifacts.pointer_output(settings, pointer)])
    except UnconfirmedError as error:
        raise RollbackError(
            f"{error}; it may be in service: see dch models list before you try again"
        ) from error
    except DeliveryError as error:
        raise RollbackError(
            f"nothing was rolled back: {error}; another trainer or rollback may have published at the same "
            "moment; see: dch models list"
        ) from error
