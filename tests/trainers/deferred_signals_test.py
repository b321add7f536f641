"""Signals in the middle of a training, sent for real."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import weakref

import keras
import numpy as np
import pytest
from keras.src.utils import python_utils
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.trainers.deferred_signals import DeferredSignals

CHILD = """
    import time
    import keras
    import numpy as np
    from testing import *
    import keras_irl

    class Waited(keras.callbacks.Callback):
        # Makes Keras wait for every step, and turn its logs into numbers.
        def on_train_batch_end(self, batch, logs=None):
            pass

    policy = tiny_gpt2(max_length=16, num_layers=1)
    data = demonstrations(policy, ["a"] * 4, ["b"] * 4, 2)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(1e-3))
    trainer.fit(data, verbose=0)
    trainer.evaluate(data, verbose=0)
    for number in range(8):
        moved = False
        while not moved:
            before = int(trainer.step.numpy())
            try:
                print("ready", flush=True)
                if number < 6:
                    trainer.fit(
                        data,
                        epochs=10**6,
                        verbose=0,
                        callbacks=[Waited()] if number % 2 else None,
                        validation_data=data if number % 3 == 0 else None,
                    )
                else:
                    trainer.evaluate(data.repeat(), steps=10**6, verbose=0)
                print("went on", flush=True)
            except KeyboardInterrupt:
                weights = trainer.get_weights()
                is_whole = all(np.isfinite(w).all() for w in weights)
                moved = int(trainer.step.numpy()) > before or number >= 6
                print("stopped", is_whole, moved, flush=True)
    logs = trainer.fit(data, verbose=0).history
    print("loss", np.isfinite(logs["loss"][0]), flush=True)
"""


def run_child(code):
    lines = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    paths = [str(pathlib.Path(__file__).parents[1]), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", lines],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def test_ctrl_c_ends_a_training_at_any_moment_with_its_weights():
    child = run_child(CHILD)
    # Where a signal is dropped, the child would train for ever.
    watch = threading.Timer(240.0, child.kill)
    watch.start()
    seconds = []
    for number in range(8):
        wait, line = 0.1 + 0.077 * number, None
        # Where other processes are busy, no step may have ended by then.
        while line != "stopped True True\n":
            assert line in (None, "stopped True False\n"), (
                f"{line!r} in round {number} after {seconds}"
            )
            assert child.stdout.readline() == "ready\n"
            time.sleep(wait)
            child.send_signal(signal.SIGINT)
            start = time.perf_counter()
            line = child.stdout.readline()
            seconds.append(time.perf_counter() - start)
            wait *= 2
    assert child.stdout.readline() == "loss True\n"
    assert child.wait() == 0
    watch.cancel()
    assert max(seconds) < 10.0


class Moment(keras.callbacks.Callback):
    """Calls a function at a moment of a training."""

    def __init__(self, name, function):
        super().__init__()
        setattr(self, name, lambda *_, **__: function())


def tiny():
    policy = tiny_gpt2(max_length=32, num_layers=1)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    return trainer, demonstrations(policy, PROMPTS, RESPONSES, 1)


def interrupt():
    signal.raise_signal(signal.SIGINT)


class FewSteps:
    """What the callbacks of a training tell of its steps, without one."""

    def __init__(self):
        self.handled = []
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd")
        self.steps = DeferredSignals(model)

    def handle(self, number, frame):
        self.handled.append(number)


def test_no_moment_in_which_keras_turns_logs_into_numbers_drops_a_signal(
    monkeypatch,
):
    trainer_of_backend = sys.modules[keras.Model.fit.__module__]
    from_logs, moments = python_utils.pythonify_logs, []

    def pythonify_logs(logs):
        moments.append(sorted(logs or ()))
        if len(moments) == moment:
            try:
                interrupt()
            except:  # noqa: E722
                pass
        return from_logs(logs)

    monkeypatch.setattr(python_utils, "pythonify_logs", pythonify_logs)
    monkeypatch.setattr(trainer_of_backend, "pythonify_logs", pythonify_logs)
    trainer, data = tiny()
    # Keras waits for every step, and calls back in this thread.
    look = Moment("on_train_batch_end", lambda: None)

    def fit():
        trainer.fit(data, verbose=0, callbacks=[look], validation_data=data)

    moment = 0
    fit()
    num_moments = len(moments)
    assert any("loss" in names for names in moments)
    for moment in range(1, num_moments + 1):
        moments.clear()
        with pytest.raises(KeyboardInterrupt):
            fit()
        assert len(moments) >= moment


class Finalized:
    def __del__(self):
        interrupt()


class Broken:
    def __del__(self):
        raise OSError("It can't be closed.")


def finalize():
    Finalized()


def call_back():
    thing = Moment("on_train_end", lambda: None)
    kept = weakref.ref(thing, lambda _: interrupt())
    del thing
    assert kept() is None


@pytest.mark.parametrize("drop", [finalize, call_back])
@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_epoch_end"])
def test_no_finalizer_drops_a_signal(drop, moment):
    trainer, data = tiny()
    hook, told = sys.unraisablehook, []
    sys.unraisablehook = told.append
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(data, verbose=0, callbacks=[Moment(moment, drop)])
        assert told == []
        # What else is dropped is told to whoever listened before.
        with FewSteps().steps:
            Broken()
        assert [type(one.exc_value) for one in told] == [OSError]
        assert sys.unraisablehook == told.append
    finally:
        sys.unraisablehook = hook


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_a_step(number):
    few = FewSteps()
    before = signal.signal(number, few.handle)
    try:
        with few.steps as steps:
            signal.raise_signal(number)
            assert few.handled == [number]
            steps.begin_step()
            signal.raise_signal(number)
            assert few.handled == [number]
            steps.end_step()
            assert few.handled == [number] * 2
            steps.begin_step()
            # The first waits; the second, of somebody in a hurry, does not.
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert few.handled == [number] * 3
            steps.begin_step()
            assert few.handled == [number] * 4
            signal.raise_signal(number)
        assert few.handled == [number] * 5
        assert signal.getsignal(number) == few.handle
    finally:
        signal.signal(number, before)


def test_what_python_does_not_handle_is_left_alone():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with FewSteps().steps:
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_those_of_before_when_a_training_has_ended():
    trainer, data = tiny()
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    seen = []
    look = Moment(
        "on_train_batch_begin",
        lambda: seen.append(signal.getsignal(signal.SIGINT)),
    )
    trainer.fit(data, verbose=0, callbacks=[look])
    assert before[0] not in seen
    stop = Moment("on_train_batch_begin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, verbose=0, callbacks=[stop])
    with pytest.raises(ValueError, match="no end"):
        trainer.fit(data.repeat(), verbose=0)
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert before == after


def test_another_thread_trains_without_handlers():
    trainer, data = tiny()
    before, seen = signal.getsignal(signal.SIGINT), []
    look = Moment(
        "on_train_batch_begin",
        lambda: seen.append(signal.getsignal(signal.SIGINT)),
    )
    thread = threading.Thread(
        target=trainer.fit,
        args=[data],
        kwargs={"verbose": 0, "callbacks": [look]},
    )
    thread.start()
    thread.join()
    assert set(seen) == {before}
    assert int(numpy(trainer.step)) == 3


@pytest.mark.parametrize(
    ("moment", "num_steps"),
    [
        ("on_train_begin", 0),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 1),
        ("on_test_begin", 3),
        ("on_test_batch_begin", 3),
        ("on_test_batch_end", 3),
        ("on_epoch_end", 3),
    ],
)
def test_an_interrupted_training_keeps_what_it_has_learned(moment, num_steps):
    trainer, data = tiny()
    start = trainer.policy.get_weights()
    trainer.fit(data, steps_per_epoch=3, verbose=0)
    learned = trainer.policy.get_weights()
    trainer.policy.set_weights(start)
    trainer.step.assign(0)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(
            data,
            epochs=2,
            verbose=0,
            validation_data=data,
            callbacks=[Moment(moment, interrupt)],
        )
    assert int(numpy(trainer.step)) == num_steps
    weights = trainer.policy.get_weights()
    if num_steps in (0, 3):
        expected = learned if num_steps else start
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.isfinite(trainer.evaluate(data, verbose=0)[0])


class RaiseAt(keras.callbacks.Callback):
    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("batch", [1, 2])
def test_what_fails_right_after_a_step_leaves_all_weights(batch):
    # Under JAX, the weights of before are gone, and a thread that tells of the
    # step may come too late.
    trainer, data = tiny()
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(data, verbose=0, callbacks=[RaiseAt(batch)])
        for variable in trainer.variables:
            assert np.isfinite(numpy(variable)).all()
    assert int(numpy(trainer.step)) == 4 * batch
    assert np.isfinite(trainer.fit(data, verbose=0).history["loss"][0])


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_first_step_that_fails_leaves_the_weights(method):
    trainer, data = tiny()
    before = trainer.get_weights()
    inputs, actions, mask = data[0]
    # Token ids of two batches in one.
    wide = {**inputs, "token_ids": np.stack([inputs["token_ids"]] * 2)}
    broken = ((wide, actions, mask) for _ in range(2))
    with pytest.raises(Exception, match="[sS]hape|dimension|size|rank"):
        getattr(trainer, method)(broken, verbose=0)
    for ours, theirs in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(trainer.fit(data, verbose=0).history["loss"][0])
