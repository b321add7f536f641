"""Weights that change while training goes on."""

import math

import keras
from keras import ops


class Schedule:
    """A weight that is zero at first, then a number or a function of steps.

    Args:
        td_weight: A number of at least 0, or a function from the number of
            updates made so far, an integer scalar tensor, to a scalar,
            such as a `keras.optimizers.schedules.LearningRateSchedule`.
        warm_up_steps: Number of first steps in which the weight is 0.

    Attributes:
        constant: The number, or `None` where the weight changes.

    Raises:
        ValueError: If the weight or the number of steps is negative.
    """

    def __init__(self, td_weight, warm_up_steps=0):
        if not callable(td_weight) and not 0 <= td_weight < math.inf:
            raise ValueError(
                "`td_weight` must be a number of at least 0: a negative one "
                "rewards ever larger values. Pass 0 for maximum likelihood, "
                "or a function of the step for a schedule. "
                f"Received: td_weight={td_weight}"
            )
        if warm_up_steps < 0:
            raise ValueError(
                "`warm_up_steps` is the number of first steps without the "
                "temporal-difference term, at least 0. "
                f"Received: warm_up_steps={warm_up_steps}"
            )
        changes = callable(td_weight) or warm_up_steps > 0
        self.constant = None if changes else td_weight
        self.td_weight = td_weight
        self.warm_up_steps = warm_up_steps

    def __call__(self, step):
        """Computes the weight after so many updates.

        Args:
            step: Integer scalar tensor.

        Returns:
            Float32 scalar tensor.
        """
        weight = self.td_weight
        if callable(weight):
            weight = weight(step)
        # Not `step == warm_up_steps`: a counter may skip that very step.
        warm = ops.cast(step >= self.warm_up_steps, "float32")
        return warm * ops.cast(weight, "float32")

    def get_config(self):
        weight = self.td_weight
        if callable(weight):
            weight = keras.saving.serialize_keras_object(weight)
        return {"td_weight": weight, "warm_up_steps": self.warm_up_steps}
