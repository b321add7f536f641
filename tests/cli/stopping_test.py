"""A command is interrupted by any signal that would end it, once or again."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from keras_irl.cli import stopping
from keras_irl.cli.stopping import Stop
from keras_irl.runtime.signals import STOPPING


@pytest.fixture(autouse=True)
def handlers():
    """What is set before a test, and again after it."""
    before = {n: signal.getsignal(n) for n in (*STOPPING, signal.SIGALRM)}
    yield before
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    for number, handler in before.items():
        signal.signal(number, handler)


def begun():
    stop = Stop()
    with stop.at_once():
        pass
    return stop


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (None, 130, "Interrupted"),
        (signal.SIGINT, 130, "Interrupted"),
        (signal.SIGTERM, 143, "Stopped by SIGTERM"),
        (signal.SIGHUP, 129, "Stopped by SIGHUP"),
    ],
)
def test_the_exit_code_is_that_of_the_signal(number, code, word):
    stop = Stop()
    stop.signal = number
    assert (stop.exit_code, stop.word) == (code, word)


@pytest.mark.parametrize("number", STOPPING)
def test_every_signal_is_an_interrupt_while_a_command_runs(number, handlers):
    stop = begun()
    with stop.heeded(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert stop.signal == number
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_an_interrupt_that_a_library_swallows_is_made_again(monkeypatch):
    monkeypatch.setattr(stopping, "_AGAIN", 0.2)
    with begun().heeded():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)


def test_what_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = begun()
    with stop.heeded():
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.05)
    assert stop.signal is None


def test_handlers_are_those_of_the_main_thread(handlers):
    found = []

    def look():
        with Stop().heeded():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [handlers[signal.SIGTERM]]


def test_a_system_without_an_alarm_is_interrupted_once(monkeypatch):
    monkeypatch.setattr(stopping, "_ALARM", ())
    with begun().heeded():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_before_anything_is_done_the_process_ends_at_once():
    code = (
        "import os, signal\n"
        "from keras_irl.cli.stopping import Stop\n"
        "stop = Stop()\n"
        "with stop.heeded(), stop.at_once():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert found.returncode == 143 and found.stdout == b""
    assert found.stderr == b"\nStopped by SIGTERM, before anything was done.\n"
