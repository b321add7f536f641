"""What a training step spends on sampling, and what on the update."""

import time

import keras


class StepCost(keras.callbacks.Callback):
    """Adds seconds a step to the logs of every batch, and of an epoch.

    The step itself takes the time of its sampling, `sampling_seconds`. This
    adds `update_seconds`, all the rest, and their ratio `sampling_ratio`. All
    are means since the epoch began. The first step of a `fit` compiles: where
    there are others, it is left out of all three.
    """

    def __init__(self):
        super().__init__()
        self._is_compiled = False

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._left_out = 0, 0.0
        self._costs = {}

    def on_train_batch_end(self, batch, logs=None):
        # Keras waited for the step, to call this with its numbers.
        sampling = float(logs["sampling_seconds"])
        now = time.perf_counter()
        if not self._is_compiled:
            self._is_compiled = True
            self._start = now
            self._left_out = batch + 1, (batch + 1) * sampling
            return
        num_left_out, seconds_left_out = self._left_out
        num_steps = batch + 1 - num_left_out
        sampling = ((batch + 1) * sampling - seconds_left_out) / num_steps
        update = max((now - self._start) / num_steps - sampling, 1e-9)
        self._costs = {
            "sampling_seconds": sampling,
            "update_seconds": update,
            "sampling_ratio": sampling / update,
        }
        logs.update(self._costs)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self._costs)
