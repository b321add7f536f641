"""Schedules: loss weights that change over training steps."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number
from keras_irl.types import Tensor

# Names of arguments until version 0.3, and what they are now.
OLD_NAMES = {"warm_up_steps": "warmup_steps"}


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

    def __init__(self, initial_step: int = 0) -> None:
        initial_step = check_integer("initial_step", initial_step)
        self.initial_step = initial_step
        if keras.config.backend() == "jax":
            self._step = np.int32(initial_step)
        else:
            self._step = keras.Variable(
                initial_step, trainable=False, dtype="int32"
            )

    def count(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
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


class Schedule:
    """A weight that is zero at first, then a number or a function of steps.

    Args:
        td_weight: A number of at least 0, or a function from the number of
            updates made so far, an integer scalar tensor, to a scalar,
            such as a `keras.optimizers.schedules.LearningRateSchedule`.
        warmup_steps: Number of first steps in which the weight is 0.

    Attributes:
        constant: The number, or `None` where the weight changes.

    Raises:
        ValueError: If the weight or the number of steps is negative.
    """

    def __init__(
        self,
        td_weight: float | Callable[[Tensor], Tensor],
        warmup_steps: int = 0,
    ) -> None:
        if not callable(td_weight):
            td_weight = check_number(
                "td_weight",
                td_weight,
                least=0.0,
                meaning="A negative one rewards ever larger values. Pass 0 for "
                "maximum likelihood, or a function of the step for a schedule.",
            )
        warmup_steps = check_integer(
            "warmup_steps",
            warmup_steps,
            meaning="It is the number of first steps without the "
            "temporal-difference term.",
        )
        changes = callable(td_weight) or warmup_steps > 0
        self.constant = None if changes else td_weight
        self.td_weight = td_weight
        self.warmup_steps = warmup_steps

    def __call__(self, step: Tensor) -> Tensor:
        """Computes the weight after so many updates.

        Args:
            step: Integer scalar tensor.

        Returns:
            Float32 scalar tensor.
        """
        weight = self.td_weight
        if callable(weight):
            weight = weight(step)
        # Not `step == warmup_steps`: a counter may skip that very step.
        warm = ops.cast(step >= self.warmup_steps, "float32")
        return warm * ops.cast(weight, "float32")

    def get_config(self) -> dict[str, Any]:
        weight = self.td_weight
        if callable(weight):
            weight = keras.saving.serialize_keras_object(weight)
        return {"td_weight": weight, "warmup_steps": self.warmup_steps}
