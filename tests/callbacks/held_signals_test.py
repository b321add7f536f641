import os
import signal
import threading

import pytest

from keras_irl.callbacks.held_signals import HeldSignals


@pytest.fixture
def caught():
    """The signals that reach the handlers of a program."""
    seen, numbers = [], (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        signal.signal(number, lambda number, frame: seen.append(number))
    yield seen
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_signal_waits_and_a_second_one_does_not(caught):
    signals = HeldSignals()
    signals.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.number == signal.SIGTERM and caught == []
    os.kill(os.getpid(), signal.SIGINT)
    assert caught == [signal.SIGINT]
    signals.hand_on(signals.number)
    assert caught == [signal.SIGINT, signal.SIGTERM]
    assert signals.number is None
    os.kill(os.getpid(), signal.SIGTERM)
    assert len(caught) == 3


def test_what_is_ignored_stays_ignored(caught):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signals = HeldSignals()
    signals.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.number is None
    signals.release()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_without_a_handler_the_process_ends_in_good_order(caught):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals = HeldSignals()
    signals.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        signals.hand_on(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_one_that_waits_at_the_end_is_handed_on(caught):
    signals = HeldSignals()
    before = signal.getsignal(signal.SIGTERM)
    signals.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    signals.release()
    assert caught == [signal.SIGTERM] and signals.number is None
    assert signal.getsignal(signal.SIGTERM) is before
    signals.release()
    assert caught == [signal.SIGTERM]


def test_in_another_thread_nothing_is_held(caught):
    before, signals = signal.getsignal(signal.SIGINT), HeldSignals()
    thread = threading.Thread(target=signals.hold)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_of_another_process_is_handled_as_one_of_this(caught):
    signals = HeldSignals()
    signals.hold()
    signals.hand_on(signal.SIGTERM)
    assert caught == [signal.SIGTERM]
    # In another thread, nobody would have handled it.
    with pytest.raises(SystemExit):
        HeldSignals().hand_on(signal.SIGINT)
