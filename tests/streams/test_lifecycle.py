"""Signals that end a role."""

import os
import signal
import subprocess
import sys

import pytest

from streams.lifecycle import stop_on_signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_sets_the_event_and_restores_the_default_handlers(name):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = stop_on_signals()
        assert not stop.is_set()
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.wait(5)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_process_may_end_without_taking_its_objects_apart_and_keeps_what_it_wrote():
    program = (
        "import atexit, logging; from streams.lifecycle import end_now; atexit.register(print, 'torn down'); "
        "logging.basicConfig(); logging.warning('a line'); print('written'); end_now()"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "written\n"
    assert "a line" in found.stderr
