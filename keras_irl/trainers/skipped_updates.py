"""Training steps that are skipped, as their gradient is not finite."""

import warnings
from typing import TYPE_CHECKING

from keras import ops

from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras

    from keras_irl.trainers.stateless import TrainingStep


class SkippedUpdates:
    """Leaves what a step has counted as it was, where its update is skipped.

    The optimizer takes no step by a gradient that is not finite. What the loss
    has written meanwhile would be wrong as well: one NaN in a sum is NaN for
    the rest of an epoch, and an offset found by it for good. With a patience
    of 1 nothing follows such a step, and its logs show what was wrong.

    Args:
        trainer: A compiled `keras_irl.Trainer`.
        step: The `TrainingStep`, before it is taken.
    """

    def __init__(self, trainer: "keras.Model", step: "TrainingStep") -> None:
        self._trainer = trainer
        self._step = step
        self._optimizer = wrapper_of(trainer.optimizer)
        self._written = []
        if self._optimizer.patience > 1:
            self._written = [
                *trainer.metrics_variables,
                *trainer.counter.variables,
                *trainer.offset.variables,
            ]
            with step.variables():
                self._before = [
                    ops.copy(ops.convert_to_tensor(v)) for v in self._written
                ]

    def logs(self, logs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Undoes what a skipped step has written, after it was taken.

        Args:
            logs: Dictionary of what the step has logged.

        Returns:
            A dictionary of what is to be logged, `gradient_norm` besides.
        """
        with self._step.variables():
            norm = ops.convert_to_tensor(self._optimizer.gradient_norm)
            if not self._written:
                return {**logs, "gradient_norm": norm}
            is_skipped = ops.isnan(norm)
            for variable, before in zip(
                self._written, self._before, strict=True
            ):
                after = ops.convert_to_tensor(variable)
                variable.assign(ops.where(is_skipped, before, after))
            return {**self._trainer.get_metrics_result(), "gradient_norm": norm}


def warn_of_skipped(num_skipped: int) -> None:
    """Warns of the steps that a `fit` has skipped, if there are any.

    Args:
        num_skipped: The number of them.
    """
    if num_skipped:
        warnings.warn(
            f"{num_skipped} training steps were skipped, as their loss or "
            "gradient was not finite: they moved no weight. If there are many, "
            "lower the learning rate, or clip the gradient. "
            f"Received: num_skipped={num_skipped}",
            stacklevel=4,
        )
