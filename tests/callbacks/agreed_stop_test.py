"""Stops that processes agree on; the others are made up."""

import os
import signal
import threading

import numpy as np
import pytest

from keras_irl.callbacks import agreed_stop
from keras_irl.callbacks.agreed_stop import AgreedStop
from keras_irl.callbacks.agreed_stop import HeldSignals


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


@pytest.fixture
def stop():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    found = AgreedStop()
    found.hold(0)
    yield found
    found.release()
    signal.signal(signal.SIGTERM, before)


class Others:
    """Answers of two processes: of this one, and what was set of the other."""

    def __init__(self, monkeypatch):
        self.answer, self.asked = [0, 100], []
        monkeypatch.setattr(agreed_stop, "num_processes", lambda: 2)
        monkeypatch.setattr(agreed_stop, "all_gather", self.all_gather)

    def all_gather(self, numbers):
        self.asked.append(numbers)
        return np.array([numbers, self.answer])


def test_a_process_alone_stops_at_its_signal(stop):
    assert not stop.ask(1)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.ask(1) and stop.is_agreed
    with pytest.raises(SystemExit):
        stop.hand_on()
    assert not stop.is_agreed


def test_all_stop_at_the_step_where_they_are_asked(stop, monkeypatch):
    others = Others(monkeypatch)
    assert not stop.ask(0)
    os.kill(os.getpid(), signal.SIGTERM)
    # It is told when the next question is due: after a step at least.
    assert stop.ask(1)
    assert [number for number, _ in others.asked] == [0, signal.SIGTERM]
    with pytest.raises(SystemExit):
        stop.hand_on()


def test_a_signal_of_another_process_stops_this_one(stop, monkeypatch):
    others = Others(monkeypatch)
    others.answer = [signal.SIGTERM, 1]
    assert stop.ask(0)
    with pytest.raises(SystemExit) as ended:
        stop.hand_on()
    assert ended.value.code == 128 + signal.SIGTERM


def test_quick_steps_are_asked_of_seldom_and_all_at_the_same(stop, monkeypatch):
    others, now = Others(monkeypatch), [0.0]
    monkeypatch.setattr(agreed_stop.time, "monotonic", lambda: now[0])
    stop.hold(0)
    for step in range(402):
        stop.ask(step)
        now[0] += 0.01
    # At 0, 1, 101, 201, 301 and 401: the slower one has its way.
    assert len(others.asked) == 6
    assert others.asked[-1][1] in (199, 200)
    stop.ask(401)
    assert len(others.asked) == 6
    stop.ask(401, at_end=True)
    assert len(others.asked) == 7
