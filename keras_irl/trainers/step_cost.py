"""What a training step spends on sampling, and what on the update."""

import time

import keras


class StepCost(keras.callbacks.Callback):
    """Adds seconds a step to the logs of an epoch.

    The step itself takes the time of its sampling, `sampling_seconds`. This
    adds `update_seconds`, all the rest, and their ratio `sampling_ratio`. The
    first step of a `fit` compiles, and is left out where there are others.
    """

    def __init__(self):
        super().__init__()
        self._is_compiled = False
        self._logs = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._num_steps = 0
        self._end = None

    def on_train_batch_end(self, batch, logs=None):
        self._num_steps += 1
        self._logs = logs
        if not self._is_compiled:
            # Reading a number waits for the step, which runs beside.
            float(logs["sampling_seconds"])
            self._is_compiled = True
            self._first = time.perf_counter()
            self._num_steps = 0

    def on_test_begin(self, logs=None):
        # A validation ends the steps of its epoch.
        self._stop()

    def _stop(self):
        if self._logs is not None and self._end is None:
            float(self._logs["sampling_seconds"])
            self._end = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()
        if logs is None or not self._num_steps:
            return
        start = max(self._start, self._first)
        seconds = (self._end - start) / self._num_steps
        sampling = float(logs["sampling_seconds"])
        update = max(seconds - sampling, 1e-9)
        logs["update_seconds"] = update
        logs["sampling_ratio"] = sampling / update
