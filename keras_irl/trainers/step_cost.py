"""Wall time of a training step: sampling and update."""

import time

import keras
import numpy as np
from keras import ops

from keras_irl.types import Logs
from keras_irl.types import Tensor


class Stopwatch:
    """Takes the time between two tensors of a step, on every backend.

    What a compiled step spends where can't be seen from outside. So the step
    itself reads the clock: once a first tensor is there, and again once a
    second is, which depends on what `start` returned.

    Under a `keras.distribution`, where a step runs on several devices, it
    takes no time and says 0.
    """

    def __init__(self) -> None:
        self._started = 0.0

    def start(self, tensor: Tensor) -> Tensor:
        """Reads the clock as soon as a tensor is there.

        Args:
            tensor: Integer tensor of shape `(B, T)`.

        Returns:
            The tensor. What is to be timed must be computed from it.
        """
        return self._read(tensor, self._keep)[0]

    def stop(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Reads the clock again, as soon as another tensor is there.

        Args:
            tensor: Integer tensor of shape `(B, T)`.

        Returns:
            The tensor, and the seconds since `start`, a float32 scalar.
        """
        return self._read(tensor, self._difference)

    def _keep(self, _):
        self._started = time.perf_counter()
        return np.float32(0.0)

    def _difference(self, _):
        return np.float32(time.perf_counter() - self._started)

    def _read(self, tensor, read):
        if keras.distribution.distribution() is not None:
            return tensor, ops.zeros((), dtype="float32")
        backend = keras.config.backend()
        if backend == "jax":
            return _read_in_jax(tensor, read)
        if backend == "tensorflow":
            return _read_in_tensorflow(tensor, read)
        # PyTorch computes as it goes; a number waits for an accelerator.
        seconds = read(int(tensor[0, 0]))
        return tensor, ops.convert_to_tensor(seconds)


def _read_in_jax(tensor, read):
    import jax
    from jax.experimental import io_callback

    scalar = jax.ShapeDtypeStruct((), "float32")
    seconds = io_callback(read, scalar, tensor[0, 0])
    # The product is 0, but only known when the clock has been read.
    return tensor + ops.cast(0.0 * seconds, tensor.dtype), seconds


def _read_in_tensorflow(tensor, read):
    import tensorflow

    seconds = tensorflow.numpy_function(read, [tensor[0, 0]], "float32")
    seconds.set_shape(())
    with tensorflow.control_dependencies([seconds]):
        return tensorflow.identity(tensor), seconds


class StepCost(keras.callbacks.Callback):
    """Adds seconds a step to the logs of every batch, and of an epoch.

    The step itself takes the time of its sampling, `sampling_seconds`. This
    adds `update_seconds`, all the rest, and their ratio `sampling_ratio`. All
    are means since the epoch began. The first step of a `fit` compiles: where
    there are others, it is left out of all three.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_compiled = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start = time.perf_counter()
        self._left_out = 0, 0.0
        self._costs = {}

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        # Keras waited for the step, to call this with its numbers.
        assert logs is not None
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

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs.update(self._costs)
