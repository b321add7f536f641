"""Signals are handled for a while, and then as before."""

import os
import signal

import pytest

from keras_irl.runtime import signals


@pytest.fixture
def handlers():
    before = {n: signal.getsignal(n) for n in signals.STOPPING}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_a_system_lacks_is_left_out():
    found = signals.known_signals("SIGTERM", "SIGOFWINDOWS", "SIGINT")
    assert found == (signal.SIGTERM, signal.SIGINT)
    assert signals.STOPPING[:2] == (signal.SIGINT, signal.SIGTERM)


def test_handlers_are_replaced_where_they_should_be_and_put_back(handlers):
    came = []

    def note(number, frame):
        came.append(number)

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    replaced = signals.replace_handlers(
        note, lambda handler: handler is not signal.SIG_IGN
    )
    assert signal.SIGTERM not in replaced
    assert replaced[signal.SIGINT] is handlers[signal.SIGINT]
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGINT]
    signals.put_back(replaced)
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_handlers_are_noted_where_a_signal_finds_them(handlers):
    noted = {}
    seen = []
    signals.replace_handlers(
        lambda number, frame: seen.append(noted[number]),
        callable,
        [signal.SIGINT],
        replaced=noted,
    )
    os.kill(os.getpid(), signal.SIGINT)
    assert seen == [handlers[signal.SIGINT]]


def test_what_was_not_made_in_python_is_not_put_back(handlers):
    signals.put_back({signal.SIGINT: None})
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]
