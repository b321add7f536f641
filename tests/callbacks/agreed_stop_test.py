"""Stops that processes agree on; the others are made up."""

import os
import signal

import numpy as np
import pytest

from keras_irl.callbacks import agreed_stop
from keras_irl.callbacks.agreed_stop import AgreedStop


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
