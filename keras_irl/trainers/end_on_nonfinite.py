"""The end of a training whose loss or gradient is not finite."""

import math
import threading
from typing import Any

import keras
from keras import ops

from keras_irl.types import Tensor


def nan_unless_finite(loss: Tensor, num_tokens: Tensor) -> Tensor:
    """Makes the gradient of a loss NaN where the loss is not finite.

    The gradient of an infinite loss may be finite, and a step by it is a step
    to nowhere. The optimizer, which is never told the loss, then sees it.

    Args:
        loss: Float32 scalar.
        num_tokens: Scalar tensor, the number of tokens that it is a mean of.
            Without any it is NaN, and its gradient zero, which harms nothing.

    Returns:
        Float32 scalar, equal if finite.
    """
    is_sound = ops.logical_or(ops.isfinite(loss), num_tokens == 0)
    return loss * ops.stop_gradient(ops.where(is_sound, 1.0, float("nan")))


class EndOnNonfinite(keras.callbacks.Callback):
    """Ends a `fit` at the first step whose loss or gradient is not finite.

    The optimizer takes no step from then on, so that it does no harm to look
    at the logs later, in a thread, without waiting for a step.

    Args:
        optimizer: The `keras_irl.optimizers.TokenWeightedOptimizer`.

    Attributes:
        found: `None`, or the epoch and the batch, counted from 0.
    """

    def __init__(self, optimizer: Any) -> None:
        super().__init__()
        self.found = None
        self._optimizer = optimizer
        self._epoch = 0
        self._lock = threading.Lock()
        self.async_safe = True

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # Under JAX, asking for `self.model` copies the weights back into it,
        # which only the thread that trains may do.
        self._trained = model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self.found is None:
            # A backup may have been made of a training that had ended so.
            self._optimizer.resume()

    def on_train_batch_end(self, batch: Any, logs: Any = None) -> None:
        if logs is None or not self._is_broken(logs):
            return
        with self._lock:
            # Threads may come a little out of order.
            here = self._epoch, batch
            self.found = here if self.found is None else min(self.found, here)
        self._trained.stop_training = True

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
        return (
            f"Training ended in epoch {epoch + 1} at batch {batch + 1}: its "
            "loss or gradient is not finite, or its learning rate. The weights "
            "are those of before that batch. Lower the learning rate, or "
            "`td_weight` where there is one, clip the gradient "
            "(`global_clipnorm` of the optimizer), or train in mixed_bfloat16 "
            "instead of mixed_float16. "
            f"Received: epoch={epoch}, batch={batch}, counted from 0"
        )
