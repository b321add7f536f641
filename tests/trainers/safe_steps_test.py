"""Signals in the middle of a training, sent for real."""

import pathlib
import signal
import subprocess
import sys
import time

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

    policy = tiny_gpt2(max_length=16)
    data = demonstrations(policy, ["a"] * 4, ["b"] * 4, 2)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(1e-3))
    trainer.fit(data, verbose=0)
    trainer.evaluate(data, verbose=0)
    for number in range(10):
        before = int(trainer.step.numpy())
        print("ready", flush=True)
        try:
            if number < 8:
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
            moved = int(trainer.step.numpy()) > before
            print("stopped", is_whole, moved or number >= 8, flush=True)
    logs = trainer.fit(data, verbose=0).history
    print("loss", np.isfinite(logs["loss"][0]), flush=True)
"""


def run_child(code):
    lines = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", lines],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **__import__("os").environ,
            "PYTHONPATH": ":".join(
                map(str, (pathlib.Path(__file__).parents[1], *sys.path))
            ),
        },
    )


def test_ctrl_c_ends_a_training_at_any_moment_with_its_weights():
    child = run_child(CHILD)
    seconds = []
    for number in range(10):
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3 + 0.077 * number)
        child.send_signal(signal.SIGINT)
        start = time.perf_counter()
        assert child.stdout.readline() == "stopped True True\n"
        seconds.append(time.perf_counter() - start)
    assert child.stdout.readline() == "loss True\n"
    assert child.wait() == 0
    assert max(seconds) < 3.0
