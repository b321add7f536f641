"""A counter of training steps for scheduled losses."""

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_integer


class StepCounter:
    """Counts training steps from within a loss.

    A Keras loss is told neither the step nor whether it is trained on or only
    evaluated. It can tell by its gradient: a step is made whenever the gradient
    of what `count` returns is computed, and evaluation computes none. That is
    the number of batches trained on, as counted by `optimizer.iterations`.

    Args:
        initial_step: Number of steps made before. Defaults to 0.

    Raises:
        ValueError: If it is no integer of at least 0.
    """

    def __init__(self, initial_step=0):
        initial_step = check_integer("initial_step", initial_step)
        self.initial_step = initial_step
        if keras.config.backend() == "jax":
            self._step = np.int32(initial_step)
        else:
            self._step = keras.Variable(
                initial_step, trainable=False, dtype="int32"
            )

    def count(self, tensor):
        """Returns `tensor`, unchanged, and the number of steps before this one.

        Args:
            tensor: Float tensor, of which the loss is a function.

        Returns:
            A pair of the tensor and an int32 scalar tensor.
        """
        if keras.config.backend() == "jax":
            return self._count_on_the_host(tensor)
        return self._count_in_a_variable(tensor)

    def _count_in_a_variable(self, tensor):
        step = ops.convert_to_tensor(self._step)

        @ops.custom_gradient
        def identity(tensor):
            def gradient(*args, upstream=None):
                self._step.assign(step + 1)
                return args[0] if upstream is None else upstream

            return ops.copy(tensor), gradient

        return identity(tensor), step

    def _count_on_the_host(self, tensor):
        # A loss owns no variable that a compiled JAX step would carry along.
        # The data flow orders the two calls: the weights, by way of `tensor`,
        # before the count is read, and the number read before it is written.
        import jax
        from jax.experimental import io_callback

        def read(_):
            return self._step

        def write(step):
            self._step = np.int32(step + 1)

        scalar = jax.ShapeDtypeStruct((), "int32")
        weights = jax.lax.stop_gradient(tensor.ravel()[0])
        step = io_callback(read, scalar, weights)

        @jax.custom_vjp
        def identity(tensor, step):
            return tensor

        def backward(step, upstream):
            io_callback(write, None, step)
            return upstream, np.zeros((), jax.dtypes.float0)

        identity.defvjp(lambda tensor, step: (tensor, step), backward)
        return identity(tensor, step), step
