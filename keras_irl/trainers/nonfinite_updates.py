"""Updates that are not finite: skipped steps, and the end of a `fit`."""

import math
import threading
import warnings
from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_irl.optimizers.unwrapping import wrapper_of
from keras_irl.types import Logs
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer
    from keras_irl.trainers.stateless import TrainingStep


class SkippedUpdates:
    """Restores the counters and metrics of a step whose update is skipped.

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


class EndOnNonfinite(keras.callbacks.Callback):
    """Ends a `fit` at steps whose loss or gradient is not finite.

    It ends at the first, or after as many in a row as the optimizer has
    patience for. The optimizer takes no step from then on, so that it does no
    harm to look at the logs later, in a thread, without waiting for a step.
    Of several steps an execution, only the last is seen.

    Args:
        optimizer: The `keras_irl.optimizers.TokenWeightedOptimizer`.

    Attributes:
        found: `None`, or the epoch and the batch, counted from 0.
    """

    def __init__(self, optimizer: "TokenWeightedOptimizer") -> None:
        super().__init__()
        self.found = None
        self._optimizer = optimizer
        self._epoch = 0
        self._is_first_epoch = True
        self._num_before = self._num_seen = 0
        # The epoch and batch of each step; none where it was of a `fit` before.
        self._broken = {}
        self._lock = threading.Lock()
        self.async_safe = True

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Under JAX, asking for `self.model` copies the weights back into it,
        # which only the thread that trains may do.
        self._trained = model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._num_before += self._num_seen
        self._num_seen = 0
        if self._is_first_epoch:
            # A backup may have been made of a training that had ended so.
            if self._optimizer.has_given_up:
                self._optimizer.resume()
            # Steps before that of a resumed training count as in a row, too.
            before = range(-self._optimizer.num_broken, 0)
            self._broken.update(dict.fromkeys(before))
            self._is_first_epoch = False

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        is_broken = logs is not None and self._is_broken(logs)
        with self._lock:
            # Threads may come a little out of order.
            step = batch // self._trained.steps_per_execution
            self._num_seen = max(self._num_seen, step + 1)
            if not is_broken:
                return
            self._broken[self._num_before + step] = self._epoch, batch
            ends = self._ends()
            if not ends:
                return
            # The first; this step may be another, whose thread came late.
            self.found = self._broken[min(ends)]
        self._trained.stop_training = True

    def _ends(self):
        """Lists steps by which as many in a row were broken as are borne."""
        patience = self._optimizer.patience
        return [
            last
            for last, place in self._broken.items()
            if place is not None
            and self._broken.keys() >= set(range(last - patience + 1, last + 1))
        ]

    def _is_broken(self, logs):
        """Tells whether the logs of a batch show a step that was not taken."""
        if not math.isfinite(logs["gradient_norm"]):
            return True
        # Loss scaling keeps gradients from the optimizer that overflow, which
        # is as it should be, and those of a loss that is lost, which is not.
        # Without any token yet, all means are NaN.
        if math.isnan(logs["token_accuracy"]):
            return False
        losses = [logs[name] for name in self._trained.loss_names]
        return not all(map(math.isfinite, losses))

    def explanation(self) -> str | None:
        """Says what happened, or `None` if nothing did."""
        if self.found is None:
            return None
        epoch, batch = self.found
        patience = self._optimizer.patience
        if patience == 1:
            what, before = "its", "that batch"
        else:
            what = f"as in the {patience - 1} before, its"
            before = f"these {patience}"
        return (
            f"Training ended in epoch {epoch + 1} at batch {batch + 1}: {what} "
            "loss or gradient is not finite, or its learning rate. The weights "
            f"are those of before {before}. Lower the learning rate, or "
            "`td_weight` where there is one, clip the gradient "
            "(`global_clipnorm` of the optimizer), or train in mixed_bfloat16 "
            "instead of mixed_float16. "
            f"Received: epoch={epoch}, batch={batch}, counted from 0"
        )
