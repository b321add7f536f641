"""Schedules: loss weights that change over training steps."""

import keras
from keras import ops

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_number


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
        if not callable(td_weight):
            td_weight = check_number(
                "td_weight",
                td_weight,
                least=0.0,
                meaning="A negative one rewards ever larger values. Pass 0 for "
                "maximum likelihood, or a function of the step for a schedule.",
            )
        warm_up_steps = check_integer(
            "warm_up_steps",
            warm_up_steps,
            meaning="It is the number of first steps without the "
            "temporal-difference term.",
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
