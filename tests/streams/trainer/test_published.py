"""Which generations were published, and which of them a rollback goes back to."""

import msgspec
import pytest

from streams.messages import encode_model_pointer
from streams.trainer.published import Published, published
from streams.trainer.rollback import RollbackError, choose
from tests.streams.messages.records import record
from tests.streams.trainer.test_refits import pointer


def rollback_pointer(generation, from_, to):
    return msgspec.structs.replace(
        pointer(generation, seen=generation * 100), rolled_back_from=from_, rolled_back_to=to
    )


def history(*found):
    """Return generations: a number was fitted, a triple is (generation, rolled back from, to)."""
    pointers = [
        rollback_pointer(*one) if isinstance(one, tuple) else pointer(one, one * 100) for one in found
    ]
    return [Published(one, 0) for one in pointers]


def test_the_last_pointer_of_each_generation_counts_and_what_no_role_follows_does_not():
    second = msgspec.structs.replace(pointer(2, seen=7), sha256="1" * 64)
    sent = [pointer(3, 300), pointer(2, 200), second, pointer(2 * 10**9, 1)]
    values = [*map(encode_model_pointer, sent), b"no pointer"]
    records = [record(value, topic="models", timestamp_ms=1000 + at) for at, value in enumerate(values)]
    assert published(records) == [Published(second, 1002), Published(pointer(3, 300), 1000)]


@pytest.mark.parametrize(
    ("found", "to", "chosen"),
    [
        ([6, 7, 8], None, 7),
        ([6, 7, 8], 6, 6),
        ([6, 7, 8, (9, 8, 7)], None, 6),  # the model of 7 is in service
        ([6, 7, 8, (9, 8, 7), 10], None, 9),
        ([6, 7, 8, (9, 8, 7), 10, (11, 10, 7)], None, 6),  # 9 was gone back to, so it is 7 that serves
        ([6, 7, 8, (9, 8, 6), 10, (11, 10, 9)], None, 7),  # not 8 and 10, which somebody left
        ([6, 7, 8, (9, 8, 7)], 8, 8),  # whoever asks for it gets it
    ],
)
def test_a_rollback_goes_to_the_model_before_that_in_service_which_nobody_left(found, to, chosen):
    assert choose(history(*found), to).pointer.generation == chosen


@pytest.mark.parametrize(
    ("found", "to", "words"),
    [
        ([], None, "no model was published yet"),
        ([7], None, "no model before that of generation 7"),
        ([7, 8, (9, 8, 7)], None, "no model before that of generation 7"),
        ([7, 8], 8, "generation 8 is in service already"),
        ([7, 8, (9, 8, 7)], 7, "generation 7 is in service already"),
        ([7, 8], 5, "no generation 5 to go back to; the newest ones are 7, 8"),
        ([7, 8], 9, "no generation 9"),
    ],
)
def test_a_rollback_that_is_impossible_is_refused_with_what_exists(found, to, words):
    with pytest.raises(RollbackError, match=words):
        choose(history(*found), to)
