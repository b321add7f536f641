"""A counter of policy updates."""

import keras
from keras import ops

from keras_irl.keras_seams import batch_count
from keras_irl.optimizers.unwrapping import inner_optimizer


class UpdateCounter(keras.layers.Layer):
    """Counts updates, of which each may be made of several batches.

    With `gradient_accumulation_steps`, an optimizer updates the weights once
    in so many batches. Schedules and warm-ups go by updates, as learning rates
    do: all batches of an update have the same weights then, and are together
    what one large batch would be.

    Its variables are those of the model that is trained, since the optimizer's
    can't be read while a loss is computed under JAX. A batch whose gradient
    loss scaling skips is counted all the same.

    Attributes:
        step: A `keras.Variable`, the number of updates so far.
    """

    def __init__(self) -> None:
        super().__init__(name="update_counter")
        self.step = self._integer("step")
        self.num_waiting = self._integer("num_waiting")
        self._batches_per_update = 1
        self._counted = None
        self.built = True

    def _integer(self, name):
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            name=name,
        )

    @property
    def num_batches(self) -> int:
        """The number of batches so far, if all updates were of as many."""
        step, waiting = map(ops.convert_to_numpy, (self.step, self.num_waiting))
        return int(step) * self._batches_per_update + int(waiting)

    def follow(self, optimizer: keras.Optimizer) -> None:
        """Counts the updates of an optimizer from now on.

        Args:
            optimizer: A `keras.optimizers.Optimizer`, that of the policy.
        """
        optimizer = inner_optimizer(optimizer)
        steps = optimizer.gradient_accumulation_steps
        self._batches_per_update = steps or 1
        if self._counted != id(optimizer):
            self._counted = id(optimizer)
            self.sync_with(optimizer)

    def sync_with(self, optimizer: keras.Optimizer) -> None:
        """Sets the place within an update to that of an optimizer.

        Args:
            optimizer: A `keras.optimizers.Optimizer`, which may have been used
                before, or left out batches.
        """
        count = batch_count(inner_optimizer(optimizer))
        waiting = int(ops.convert_to_numpy(count)) % self._batches_per_update
        self.num_waiting.assign(waiting)

    def count_batch(self) -> None:
        """Counts a batch that is trained on."""
        num_waiting = self.num_waiting + 1
        is_due = num_waiting >= self._batches_per_update
        self.step.assign(self.step + ops.cast(is_due, "int32"))
        self.num_waiting.assign(ops.where(is_due, 0, num_waiting))
