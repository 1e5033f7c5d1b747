"""A standstill of the process is noticed by whichever thread looks first, and lasts until it is settled."""

import pytest

from streams.settings import KafkaSettings
from streams.worker.standstill import Standstill, clock_s


@pytest.mark.parametrize(("kafka", "limit_s"), [({}, 5.0), ({"session.timeout.ms": "30000"}, 15.0)])
def test_half_a_session_timeout_without_a_look_puts_the_membership_in_doubt(kafka, limit_s):
    now_s = 100.0
    found = Standstill(KafkaSettings(kafka=kafka), now=lambda: now_s)
    for _ in range(3):
        now_s += limit_s
        assert not found.look()
    now_s += limit_s + 0.1
    assert found.look()
    now_s += 0.1
    assert found.look()
    found.settle(found.count)
    assert not found.look()


def test_a_standstill_that_comes_while_the_group_is_asked_stays_in_doubt():
    now_s = 0.0
    found = Standstill(KafkaSettings(), now=lambda: now_s)
    now_s += 60
    assert found.look()
    count = found.count
    now_s += 60
    assert found.look()
    found.settle(count)
    assert found.look()
    found.settle(found.count)
    assert not found.look()


def test_the_clock_goes_forward():
    assert 0 < clock_s() <= clock_s()
