"""Wall-clock time of a part of a compiled training step."""

import time

import keras
import numpy as np
from keras import ops


class Stopwatch:
    """Takes the time between two tensors of a step, on every backend.

    What a compiled step spends where can't be seen from outside. So the step
    itself reads the clock: once a first tensor is there, and again once a
    second is, which depends on what `start` returned.

    Under a `keras.distribution`, where a step runs on several devices, it
    takes no time and says 0.
    """

    def __init__(self):
        self._started = 0.0

    def start(self, tensor):
        """Reads the clock as soon as a tensor is there.

        Args:
            tensor: Integer tensor of shape `(B, T)`.

        Returns:
            The tensor. What is to be timed must be computed from it.
        """
        return self._read(tensor, self._keep)[0]

    def stop(self, tensor):
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
